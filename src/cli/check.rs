//! `podvisor check`: a client for exec probes and HEALTHCHECK. Exit code 0 or 1, one line of reason.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use crate::exit;
use crate::units::HumanDuration;

/// The most of an answer that is read.
const MAX_ANSWER: u64 = 64 * 1024;
/// Where podvisor listens unless told otherwise.
const DEFAULT: &str = "127.0.0.1:4747";

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Question {
    /// Does podvisor itself work?
    Live,
    /// Is every required service ready?
    Ready,
    /// Have they all been ready once?
    Startup,
}

/// `podvisor check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// What to ask
    #[arg(value_enum)]
    pub question: Question,
    /// Only about this service (with `ready`)
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// Where podvisor listens
    #[arg(long, value_name = "ADDR", env = "PODVISOR_LISTEN", default_value = DEFAULT)]
    pub address: String,
    /// How long to wait for the answer
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = super::args::parse::<HumanDuration>)]
    pub timeout: HumanDuration,
}

/// Asks; says why in one line when the answer is no.
pub fn run(args: &CheckArgs) -> u8 {
    let (code, line) = match ask(args) {
        Ok((200, _)) => (exit::OK, "ok".to_owned()),
        Ok((status, body)) => (exit::FAILED, reason(status, &body)),
        Err(error) => (exit::FAILED, error),
    };
    println!("{line}");
    code
}

/// The failed checks of a body, in one line.
fn reason(status: u16, body: &str) -> String {
    let failed: Vec<&str> = body
        .lines()
        .filter_map(|line| line.strip_prefix("[-]"))
        .collect();
    if failed.is_empty() {
        let first = body.lines().next().unwrap_or_default();
        return format!("status {status}: {first}");
    }
    failed.join(", ")
}

fn ask(args: &CheckArgs) -> Result<(u16, String), String> {
    let path = match (args.question, &args.service) {
        (Question::Live, None) => "/livez".to_owned(),
        (Question::Startup, None) => "/startupz".to_owned(),
        (Question::Ready, None) => "/readyz".to_owned(),
        (Question::Ready, Some(name)) => format!("/readyz/{name}"),
        (_, Some(_)) => return Err("--service goes with `ready`".to_owned()),
    };
    let address = reachable(&args.address)?;
    let until = Instant::now() + args.timeout.0;
    let left = || {
        until
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(1))
    };
    let no_answer = |error: std::io::Error| format!("{address}: {error}");
    let mut peer = TcpStream::connect_timeout(&address, left()).map_err(no_answer)?;
    peer.set_write_timeout(Some(left())).map_err(no_answer)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    peer.write_all(request.as_bytes()).map_err(no_answer)?;
    let mut answer = Vec::new();
    loop {
        peer.set_read_timeout(Some(left())).map_err(no_answer)?;
        let mut buffer = [0; 4096];
        let size = peer.read(&mut buffer).map_err(no_answer)?;
        answer.extend_from_slice(&buffer[..size]);
        if size == 0 || answer.len() as u64 > MAX_ANSWER {
            break;
        }
        if Instant::now() >= until {
            return Err(format!("{address}: no answer in time"));
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    let status = answer
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((
        status.ok_or_else(|| format!("{address}: not HTTP"))?,
        body.to_owned(),
    ))
}

/// The address to connect to: one that listens everywhere is reached on the loopback.
fn reachable(text: &str) -> Result<SocketAddr, String> {
    if text.eq_ignore_ascii_case("off") {
        return Err("the endpoint is off (PODVISOR_LISTEN)".to_owned());
    }
    let local = text
        .strip_prefix("localhost:")
        .map(|port| format!("127.0.0.1:{port}"));
    let text = local.as_deref().unwrap_or(text);
    let mut address: SocketAddr = text
        .parse()
        .map_err(|_| format!("`{text}` is no address such as {DEFAULT}"))?;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_listens_everywhere_is_reached_on_the_loopback() {
        for (given, wanted) in [
            ("0.0.0.0:4747", "127.0.0.1:4747"),
            ("[::]:1", "[::1]:1"),
            ("localhost:80", "127.0.0.1:80"),
            ("10.0.0.1:80", "10.0.0.1:80"),
        ] {
            assert_eq!(reachable(given).unwrap(), wanted.parse().unwrap());
        }
        assert!(reachable("off").is_err() && reachable("nonsense").is_err());
    }

    #[test]
    fn the_reason_is_one_line() {
        let body = "[+]config ok\n[-]service/a failed: backoff\n[-]service/b failed: starting\nreadyz check failed\n";
        assert_eq!(
            reason(503, body),
            "service/a failed: backoff, service/b failed: starting"
        );
        assert_eq!(
            reason(404, "no such service\n"),
            "status 404: no such service"
        );
    }
}
