//! Records and totals as people and programs read them.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use http::StatusCode;

use super::decode::Seen;
use super::ledger::{Counts, ServiceCounts};
use super::{Output, cut};
use crate::logs::escape::terminal;

/// The longest line for people, in bytes; what is longer is cut, and says so.
pub const MAX_LINE: usize = 64 * 1024;

/// Room for saying how much more there is, and for a colour's end.
const MORE: usize = 64;

/// Room for services' names, so that what follows is in line.
const NAME_WIDTH: usize = 12;

/// How records are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A line for people.
    Pretty {
        /// With colours.
        colour: bool,
    },
    /// Whole, as JSON.
    Json,
    /// Not at all.
    Nothing,
}

/// Writes records to stdout, and to a file. Blocks for as long as they do.
pub struct Printer {
    form: Form,
    stdout: BufWriter<io::Stdout>,
    file: Option<BufWriter<File>>,
    /// Says on stderr which requests were refused.
    complain: bool,
    line: Vec<u8>,
    written: io::Result<()>,
}

impl Printer {
    /// In `form` on stdout, and whole, as JSON, to the end of `file`. `complain`: requests that were
    /// refused are told on stderr.
    #[must_use]
    pub fn new(form: Form, file: Option<File>, complain: bool) -> Self {
        Printer {
            form,
            stdout: BufWriter::new(io::stdout()),
            file: file.map(BufWriter::new),
            complain,
            line: Vec::new(),
            written: Ok(()),
        }
    }

    fn write(&mut self, seen: &Seen<'_>) -> io::Result<()> {
        match self.form {
            Form::Pretty { colour } => {
                self.line.clear();
                pretty(seen, colour, &mut self.line);
                self.stdout.write_all(&self.line)?;
            }
            Form::Json => writeln!(self.stdout, "{}", seen.json())?,
            Form::Nothing => {}
        }
        match &mut self.file {
            Some(file) => writeln!(file, "{}", seen.json()),
            None => Ok(()),
        }
    }
}

impl Output for Printer {
    fn record(&mut self, seen: &Seen<'_>) {
        if self.written.is_ok() {
            self.written = self.write(seen);
        }
    }

    fn refused(&mut self, path: &str, status: Option<StatusCode>, why: &str) {
        if !self.complain {
            return;
        }
        let status = status.map_or("---".to_owned(), |status| status.as_u16().to_string());
        let mut line = Vec::new();
        terminal(format!("! {status} {path}: {why}").as_bytes(), &mut line);
        line.push(b'\n');
        // Nobody to tell if stderr is closed.
        drop(io::stderr().write_all(&line));
    }

    fn end(&mut self) -> io::Result<()> {
        std::mem::replace(&mut self.written, Ok(()))?;
        self.stdout.flush()?;
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

/// Appends a record as a line for people, [`MAX_LINE`] bytes at most: time, service, stream, level,
/// message. Nothing in it can leave the line or move the cursor.
pub fn pretty(seen: &Seen<'_>, colour: bool, out: &mut Vec<u8>) {
    let start = out.len();
    let service = dash(&seen.service);
    let (before, after) = match (colour, paint(&seen.level)) {
        (true, Some(paint)) => (paint, "\x1b[0m"),
        _ => ("", ""),
    };
    let head = format!(
        "{} {service:<NAME_WIDTH$} {:<6} ",
        short(dash(&seen.time)),
        dash(&seen.stream)
    );
    terminal(cut(&head, MAX_LINE / 8).as_bytes(), out);
    out.extend_from_slice(before.as_bytes());
    let level = format!("{:<5}", dash(&seen.level));
    terminal(cut(&level, MAX_LINE / 8).as_bytes(), out);
    out.extend_from_slice(after.as_bytes());
    out.push(b' ');
    let room = MAX_LINE.saturating_sub(out.len() - start + MORE);
    let at = out.len();
    let mut shown = cut(&seen.message, room);
    terminal(shown.as_bytes(), out);
    if out.len() - at > room {
        // Escapes at most double it.
        out.truncate(at);
        shown = cut(shown, room / 2);
        terminal(shown.as_bytes(), out);
    }
    let more = seen.message.len() - shown.len();
    if more > 0 {
        out.extend_from_slice(format!("… ({more} bytes more)").as_bytes());
    }
    out.push(b'\n');
}

fn dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// podvisor's own stamps to the millisecond; all others as they are.
fn short(time: &str) -> String {
    match (time.len(), time.get(..23)) {
        (30, Some(start)) if time.ends_with('Z') => format!("{start}Z"),
        _ => time.to_owned(),
    }
}

fn paint(level: &str) -> Option<&'static str> {
    match level.to_ascii_lowercase().as_str() {
        "trace" | "debug" => Some("\x1b[2m"),
        "info" => Some("\x1b[32m"),
        "warn" | "warning" => Some("\x1b[33m"),
        "error" | "fatal" | "critical" => Some("\x1b[31m"),
        _ => None,
    }
}

/// The books, for people: the whole on the first line, each service on one of its own.
#[must_use]
pub fn totals(counts: &Counts) -> String {
    let mut text = format!(
        "{}, {} failed; {}, {} ({} sent); {}, {} missing in {}\n",
        many(counts.requests, "request"),
        counts.failed,
        many(counts.records, "record"),
        size(counts.bytes),
        size(counts.wire_bytes),
        many(counts.duplicates, "duplicate"),
        counts.missing,
        many(counts.gaps, "gap"),
    );
    for (name, service) in &counts.services {
        let mut safe = Vec::new();
        terminal(dash(name).as_bytes(), &mut safe);
        let name = String::from_utf8_lossy(&safe);
        text.push_str(&format!("  {name:<NAME_WIDTH$} {}\n", of(service)));
    }
    text
}

fn of(service: &ServiceCounts) -> String {
    let numbers = match (service.first, service.last) {
        (Some(first), Some(last)) => format!(", numbers {first} to {last}"),
        _ => String::new(),
    };
    format!(
        "{}, {}, {} missing in {}{numbers}",
        many(service.records, "record"),
        many(service.duplicates, "duplicate"),
        service.missing,
        many(service.gaps, "gap"),
    )
}

fn many(count: u64, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}

/// To a tenth of its unit.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests;
