//! What the commands that talk to a running podvisor share: errors and their codes, names, times, colours.

use std::io::Write;

use crate::control::client::ClientError;
use crate::control::status::{ExitStatus, Status};
use crate::exit;

/// The exit code of a command, and its error said.
pub(super) fn report(done: Result<u8, ClientError>) -> u8 {
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("podvisor: {error}");
            match error {
                ClientError::NoAnswer { .. } => exit::UNAVAILABLE,
                ClientError::Broken(_) | ClientError::Refused { .. } => exit::FAILED,
            }
        }
    }
}

/// The status with these services alone; an error, with a suggestion, when one does not exist.
pub(super) fn only(mut status: Status, names: &[String]) -> Result<Status, ClientError> {
    let known: Vec<&str> = status.services.iter().map(|s| s.name.as_str()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        let help = crate::config::suggest_name(unknown, &known, "services");
        let help = help.map_or_else(String::new, |help| format!("; {help}"));
        return Err(ClientError::Refused {
            status: http::StatusCode::NOT_FOUND,
            error: format!("no service `{unknown}`{help}"),
        });
    }
    if !names.is_empty() {
        status
            .services
            .retain(|service| names.contains(&service.name));
    }
    Ok(status)
}

/// Writes to stdout. A reader that has gone (`| head`) ends the program as it would any.
pub(super) fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    if stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .is_err()
    {
        std::process::exit(exit::OK.into());
    }
}

/// `code 3`, or `SIGTERM`.
pub(super) fn exit_text(exit: &ExitStatus) -> String {
    match (&exit.signal, exit.code) {
        (Some(signal), _) => signal.clone(),
        (None, Some(code)) => format!("code {code}"),
        (None, None) => "unknown".to_owned(),
    }
}

/// A time for people: `12ms`, `42s`, `7m`, `3h`, `2d`.
pub(super) fn ago(seconds: f64) -> String {
    match seconds.max(0.0) {
        time if time < 1.0 => format!("{:.0}ms", time * 1000.0),
        time if time < 10.0 => format!("{time:.1}s"),
        time if time < 120.0 => format!("{time:.0}s"),
        time if time < 7200.0 => format!("{:.0}m", time / 60.0),
        time if time < 172_800.0 => format!("{:.0}h", time / 3600.0),
        time => format!("{:.0}d", time / 86_400.0),
    }
}

/// Bytes for people: `812B`, `3.4MiB`.
pub(super) fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = "B";
    for larger in units {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    if unit == "B" {
        format!("{bytes}B")
    } else {
        format!("{value:.1}{unit}")
    }
}

/// The colour of a state: green is well, yellow is on its way, red needs a look.
pub(super) fn colour_of(state: &str) -> u8 {
    match state {
        "ready" | "completed" => 32,
        "failed" | "backoff" => 31,
        "pending" | "stopped" => 90,
        _ => 33,
    }
}

/// The text in that colour.
pub(super) fn paint(text: &str, colour: u8) -> String {
    format!("\x1b[{colour}m{text}\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_short() {
        let times: Vec<String> = [-1.0, 0.5, 1.04, 59.9, 119.4, 600.0, 8000.0, 200_000.0]
            .map(ago)
            .into();
        assert_eq!(
            times,
            ["0ms", "500ms", "1.0s", "60s", "119s", "10m", "2h", "2d"]
        );
        let sizes: Vec<String> = [0, 1023, 1536, 5 << 20].map(bytes).into();
        assert_eq!(sizes, ["0B", "1023B", "1.5KiB", "5.0MiB"]);
    }
}
