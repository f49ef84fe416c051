//! The kept lines as NDJSON, and those that follow.

use std::time::Duration;

use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::routes::{parameter, parameters};
use crate::logs::ring::RingLine;
use crate::logs::stamp::rfc3339_ns;
use crate::logs::{LogPlane, ServiceId, Stream};

/// Pieces of an answer that wait for the client. It is waited for; the ring goes on meanwhile, and what it lost is told.
pub(super) const CHUNKS: usize = 8;

/// Lines taken from a ring at once.
const BATCH: usize = 256;

/// While somebody follows, the rings are looked at this often. A line should not wait for a reader to be woken.
const LOOK: Duration = Duration::from_millis(100);

/// A line, or word of lines that the ring gave up before they were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// The service's name.
    pub service: String,
    /// Its number in the service.
    pub seq: u64,
    /// When it was read (RFC 3339); empty with `lost`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub time: String,
    /// `stdout` or `stderr`; empty with `lost`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stream: String,
    /// The line. What is no UTF-8 is replaced.
    #[serde(default)]
    pub text: String,
    /// More of the same line follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// So many lines before this number are gone.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What was asked for.
pub(super) struct Wanted {
    services: Vec<(ServiceId, String, u64)>,
    lines: usize,
    since_ns: u64,
    stream: Option<Stream>,
    follow: bool,
}

impl Wanted {
    /// `service=NAME` (again for several; none: all), `lines=N`, `since=UNIX_SECONDS`, `stream=stdout|stderr`, `follow=1`.
    pub fn parse(query: &str, logs: &LogPlane) -> Result<Self, String> {
        let named: Vec<&str> = parameters(query, "service").collect();
        let known = logs.services();
        if let Some(unknown) = named
            .iter()
            .find(|name| !known.iter().any(|service| **service.name() == ***name))
        {
            return Err(format!("no service `{unknown}`"));
        }
        let services = known
            .iter()
            .filter(|service| named.is_empty() || named.contains(&&**service.name()))
            .map(|service| (service.id(), service.name().to_string(), 0))
            .collect();
        let number = |name: &str| match parameter(query, name) {
            None => Ok(None),
            Some(text) => match text.parse::<f64>() {
                Ok(number) if number.is_finite() && number >= 0.0 => Ok(Some(number)),
                _ => Err(format!("`{name}` is no number: `{text}`")),
            },
        };
        let stream = match parameter(query, "stream") {
            None => None,
            Some("stdout") => Some(Stream::Stdout),
            Some("stderr") => Some(Stream::Stderr),
            Some(other) => return Err(format!("`stream` is stdout or stderr, not `{other}`")),
        };
        Ok(Self {
            services,
            lines: number("lines")?.map_or(usize::MAX, |lines| lines as usize),
            since_ns: number("since")?.map_or(0, |since| (since * 1e9) as u64),
            stream,
            follow: parameter(query, "follow") == Some("1"),
        })
    }

    fn takes(&self, line: &RingLine) -> bool {
        line.ts_ns >= self.since_ns && self.stream.is_none_or(|stream| stream == line.stream)
    }
}

/// Sends what is asked for, until there is no more, or nobody listens.
pub(super) async fn send(mut wanted: Wanted, logs: LogPlane, out: mpsc::Sender<Bytes>) {
    if !first(&mut wanted, &logs, &out).await {
        return;
    }
    while wanted.follow {
        tokio::select! {
            () = out.closed() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        for at in 0..wanted.services.len() {
            loop {
                let (id, name, next) = &wanted.services[at];
                let lines = logs.since(*id, *next, BATCH);
                let Some(last) = lines.last().map(|line| line.seq + 1) else {
                    break;
                };
                let mut text = Vec::new();
                let lost = lines
                    .first()
                    .map_or(0, |line| line.seq.saturating_sub(*next));
                if lost > 0 {
                    push(&mut text, &gap(name, *next, lost));
                }
                let full = lines.len() == BATCH;
                for line in lines.into_iter().filter(|line| wanted.takes(line)) {
                    push(&mut text, &told(name, line));
                }
                wanted.services[at].2 = last;
                if !text.is_empty() && out.send(text.into()).await.is_err() {
                    return;
                }
                if !full {
                    break;
                }
            }
        }
    }
}

/// What the rings hold, in the order of time.
async fn first(wanted: &mut Wanted, logs: &LogPlane, out: &mpsc::Sender<Bytes>) -> bool {
    let mut all: Vec<(u64, LogLine)> = Vec::new();
    for at in 0..wanted.services.len() {
        let (id, name, _) = wanted.services[at].clone();
        let lines = logs.tail(id, usize::MAX);
        if let Some(last) = lines.last() {
            wanted.services[at].2 = last.seq + 1;
        }
        let taken: Vec<RingLine> = lines
            .into_iter()
            .filter(|line| wanted.takes(line))
            .collect();
        let skip = taken.len().saturating_sub(wanted.lines);
        let named = taken.into_iter().skip(skip);
        all.extend(named.map(|line| (line.ts_ns, told(&name, line))));
    }
    all.sort_by_key(|(ts_ns, _)| *ts_ns);
    for lines in all.chunks(BATCH) {
        let mut text = Vec::new();
        for (_, line) in lines {
            push(&mut text, line);
        }
        if out.send(text.into()).await.is_err() {
            return false;
        }
    }
    true
}

fn push(text: &mut Vec<u8>, line: &LogLine) {
    // Strings and numbers into memory: nothing that fails.
    let _ = serde_json::to_writer(&mut *text, line);
    text.push(b'\n');
}

fn told(name: &str, line: RingLine) -> LogLine {
    LogLine {
        service: name.to_owned(),
        seq: line.seq,
        time: String::from_utf8_lossy(&rfc3339_ns(line.ts_ns)).into_owned(),
        stream: line.stream.as_str().to_owned(),
        text: String::from_utf8_lossy(&line.text).into_owned(),
        partial: line.partial,
        lost: 0,
    }
}

fn gap(name: &str, seq: u64, lost: u64) -> LogLine {
    LogLine {
        service: name.to_owned(),
        seq,
        time: String::new(),
        stream: String::new(),
        text: String::new(),
        partial: false,
        lost,
    }
}
