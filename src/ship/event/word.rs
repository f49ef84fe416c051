//! The words and numbers by which loggers say how bad a record is.

use crate::ship::json::Object;
use crate::ship::json::Scalar;
use crate::ship::record::Severity;

/// The longest word, `information`.
const LONGEST: usize = 11;

/// What a word needs beside it before a line of plain text may be read as having that level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Nothing: in capitals it is only ever a level.
    Bare,
    /// A colon or a box: without these it may be a heading (`FINE`, `LOG`).
    Mark,
    /// A box: `[Note]`, `[System]` of MySQL.
    Boxed,
}

/// The level that `word` names, in any case. A digit 1 to 5 may follow the six names of OpenTelemetry, as in PostgreSQL's
/// `DEBUG1`.
#[must_use]
pub fn word(word: &[u8]) -> Option<(Severity, Need)> {
    use Need::{Bare, Boxed, Mark};
    let mut lower = [0; LONGEST];
    let lower = lower.get_mut(..word.len())?;
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    let name = match lower {
        [name @ .., b'1'..=b'5'] => name,
        name => name,
    };
    let digit = name.len() < word.len();
    let found = match &*name {
        b"trace" => (Severity::TRACE, Bare),
        b"debug" => (Severity::DEBUG, Bare),
        b"info" => (Severity::INFO, Bare),
        b"warn" => (Severity::WARN, Bare),
        b"error" => (Severity::ERROR, Bare),
        b"fatal" => (Severity::FATAL, Bare),
        _ if digit => return None,
        // Three and four letters: zerolog, Serilog, .NET.
        b"trc" | b"trce" => (Severity::TRACE, Bare),
        b"dbg" | b"dbug" | b"verbose" => (Severity::DEBUG, Bare),
        b"inf" | b"information" => (Severity::INFO, Bare),
        b"wrn" | b"warning" => (Severity::WARN, Bare),
        b"err" => (Severity::ERROR, Bare),
        b"ftl" | b"pnc" | b"panic" | b"dpanic" => (Severity::FATAL, Bare),
        // Syslog, and GCP after it.
        b"notice" => (Severity::NOTICE, Bare),
        b"crit" => (Severity::CRITICAL, Bare),
        // Python's highest, where syslog has two above it. OpenTelemetry's mapping of Python is FATAL; syslog's word is
        // `crit` in nearly every program.
        b"critical" => (Severity::FATAL, Bare),
        b"alert" => (Severity::ALERT, Bare),
        b"emerg" | b"emergency" => (Severity::FATAL, Bare),
        // java.util.logging.
        b"severe" => (Severity::ERROR, Bare),
        b"config" | b"fine" => (Severity::DEBUG, Mark),
        b"finer" | b"finest" => (Severity::TRACE, Mark),
        // loguru, PostgreSQL, .NET, MySQL.
        b"success" => (Severity::INFO, Mark),
        b"log" => (Severity::INFO, Mark),
        b"fail" => (Severity::ERROR, Mark),
        b"note" | b"system" => (Severity::INFO, Boxed),
        _ => return None,
    };
    Some(found)
}

/// The level that a JSON object names, with the word or number as it stands there.
///
/// A number under `severity` is syslog's from 0 to 7 (RFC 5424), else one of GCP's hundreds (`LogSeverity`). Under any
/// other name it is pino's and bunyan's from 10 to 69, or one of Monolog's hundreds; 0 to 9 is then nothing, since
/// everyone means something else by it.
#[must_use]
pub fn object<'a>(object: &Object<'a>) -> Option<(Severity, &'a [u8])> {
    let level = object.level?;
    let severity = match level {
        Scalar::Text(text) => word(text)
            .map(|(severity, _)| severity)
            .or_else(|| number(text, object.under_severity))?,
        Scalar::Number(digits) => number(digits, object.under_severity)?,
    };
    Some((severity, level.bytes()))
}

fn number(digits: &[u8], under_severity: bool) -> Option<Severity> {
    let number = decimal(digits)?;
    match number {
        0..=7 if under_severity => Some(syslog(number)),
        0..=9 => None,
        10..=69 if under_severity => None,
        10..=19 => Some(Severity::TRACE),
        20..=29 => Some(Severity::DEBUG),
        30..=39 => Some(Severity::INFO),
        40..=49 => Some(Severity::WARN),
        50..=59 => Some(Severity::ERROR),
        60..=69 => Some(Severity::FATAL),
        100 => Some(Severity::DEBUG),
        200 => Some(Severity::INFO),
        250 => Some(Severity::NOTICE),
        300 if under_severity => Some(Severity::NOTICE),
        300 => Some(Severity::WARN),
        400 if under_severity => Some(Severity::WARN),
        400 => Some(Severity::ERROR),
        500 if under_severity => Some(Severity::ERROR),
        500 => Some(Severity::CRITICAL),
        550 => Some(Severity::ALERT),
        600 if under_severity => Some(Severity::CRITICAL),
        700 if under_severity => Some(Severity::ALERT),
        600 | 800 => Some(Severity::FATAL),
        _ => None,
    }
}

/// A number of at most three digits.
pub(super) fn decimal(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() || digits.len() > 3 {
        return None;
    }
    digits.iter().try_fold(0, |n, &digit| {
        digit
            .is_ascii_digit()
            .then(|| n * 10 + u16::from(digit - b'0'))
    })
}

/// Syslog's severity, the last three bits of `number` (RFC 5424, 6.2.1), as OpenTelemetry maps it.
pub(super) fn syslog(number: u16) -> Severity {
    match number & 7 {
        0 => Severity::FATAL,
        1 => Severity::ALERT,
        2 => Severity::CRITICAL,
        3 => Severity::ERROR,
        4 => Severity::WARN,
        5 => Severity::NOTICE,
        6 => Severity::INFO,
        _ => Severity::DEBUG,
    }
}
