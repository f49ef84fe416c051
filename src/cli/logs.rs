//! `podvisor logs`: the lines kept in memory, and those that follow.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};

use super::live;
use crate::control::client::{Client, ClientError, LogLine};
use crate::exit;
use crate::units::HumanDuration;

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// The lines as they are
    Raw,
    /// With time and service
    Pretty,
    /// One object a line
    Json,
}

/// Which stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Stream {
    /// Standard output
    Stdout,
    /// Standard error
    Stderr,
}

/// `podvisor logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Only of these services
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Go on with what they write
    #[arg(short, long)]
    pub follow: bool,
    /// The last lines of each only
    #[arg(short = 'n', long, value_name = "N")]
    pub lines: Option<usize>,
    /// Only what is not older
    #[arg(long, value_name = "DURATION", value_parser = super::args::parse::<HumanDuration>)]
    pub since: Option<HumanDuration>,
    /// Only this stream
    #[arg(long, value_enum)]
    pub stream: Option<Stream>,
    /// How it is written
    #[arg(short, long, value_enum, default_value = "pretty")]
    pub output: Output,
}

/// Shows the lines.
pub fn run(args: &LogsArgs) -> u8 {
    live::report(Client::find().and_then(|client| show(&client, args)))
}

fn show(client: &Client, args: &LogsArgs) -> Result<u8, ClientError> {
    live::only(client.status(None)?, &args.names)?;
    let mut query = String::new();
    // Writing into a String cannot fail.
    for name in &args.names {
        let _ = write!(query, "service={name}&");
    }
    if let Some(lines) = args.lines {
        let _ = write!(query, "lines={lines}&");
    }
    if let Some(since) = args.since {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let at = now.saturating_sub(since.get());
        let _ = write!(query, "since={}&", at.as_secs_f64());
    }
    if let Some(stream) = args.stream {
        let name = if stream == Stream::Stdout {
            "stdout"
        } else {
            "stderr"
        };
        let _ = write!(query, "stream={name}&");
    }
    let _ = write!(query, "follow={}", u8::from(args.follow));
    let colour = args.output == Output::Pretty && crate::logs::colour_wanted(&std::io::stdout());
    client.logs(&query, |line| {
        live::print(&rendered(line, args.output, colour));
        true
    })?;
    Ok(exit::OK)
}

fn rendered(line: &[u8], output: Output, colour: bool) -> String {
    let text = String::from_utf8_lossy(line);
    if output == Output::Json {
        return format!("{text}\n");
    }
    let Ok(line) = serde_json::from_str::<LogLine>(&text) else {
        return format!("{text}\n");
    };
    if line.lost > 0 {
        return format!("… {} lines of {} are gone\n", line.lost, line.service);
    }
    if output == Output::Raw {
        return format!("{}\n", line.text);
    }
    // A service must not be able to write into the reader's terminal.
    let text: String = line
        .text
        .chars()
        .map(|c| {
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect();
    let name = if colour {
        live::paint(&line.service, 36)
    } else {
        line.service
    };
    let mark = if line.stream == "stderr" { "!" } else { "|" };
    format!("{} {name} {mark} {text}\n", line.time)
}
