//! One log record on its way to the sinks: what the event pipeline hands to the encoders.

use crate::logs::{ServiceId, Stream};

/// A record: one line, one piece of a line longer than `maxLine`, or several lines merged into one.
///
/// It borrows from the read buffer or from the pipeline's own merge buffer; encoders copy what they need.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Record<'a> {
    /// Whose it is.
    pub service: ServiceId,
    /// Which pipe it came through.
    pub stream: Stream,
    /// Gap-free number in its service, from 0; of merged lines the first one's.
    pub seq: u64,
    /// Lines that it was made of: 1, or more after a multi-line merge.
    pub lines: u32,
    /// When it was read: nanoseconds since the Unix epoch.
    pub ts_ns: u64,
    /// When the service says it happened, if it says so within a day of `ts_ns`.
    pub time_ns: Option<u64>,
    /// The text without line ending. May be any bytes.
    pub message: &'a [u8],
    /// Which piece of a longer line this is, from 0.
    pub part: u32,
    /// More of the same line follows in the next record.
    pub partial: bool,
    /// How bad it is, if the record says.
    pub severity: Severity,
    /// The word or number by which the record says so, as it stands there.
    pub severity_text: &'a [u8],
    /// `message` as a whole is one JSON object that every strict parser takes (see [`super::json`]).
    pub json: bool,
    /// For a JSON object: the inside of its message string, still escaped, without the quotes.
    pub json_message: Option<&'a [u8]>,
    /// The trace that it belongs to.
    pub trace_id: Option<[u8; 16]>,
    /// The span that it belongs to.
    pub span_id: Option<[u8; 8]>,
}

/// OpenTelemetry's severity number: 0 unknown, 1–4 trace, 5–8 debug, 9–12 info, 13–16 warn, 17–20 error, 21–24 fatal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Severity(u8);

impl Severity {
    /// Nothing is known.
    pub const UNKNOWN: Severity = Severity(0);
    /// Finest detail.
    pub const TRACE: Severity = Severity(1);
    /// For developers.
    pub const DEBUG: Severity = Severity(5);
    /// What happens.
    pub const INFO: Severity = Severity(9);
    /// Normal, but worth notice (syslog's notice).
    pub const NOTICE: Severity = Severity(10);
    /// Not an error yet.
    pub const WARN: Severity = Severity(13);
    /// Something failed.
    pub const ERROR: Severity = Severity(17);
    /// Worse than an error (syslog's critical).
    pub const CRITICAL: Severity = Severity(18);
    /// Worse still (syslog's alert).
    pub const ALERT: Severity = Severity(19);
    /// The process can't go on.
    pub const FATAL: Severity = Severity(21);

    /// The number as OTLP has it.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// `trace`, `debug`, `info`, `warn`, `error` or `fatal`; nothing if unknown.
    #[must_use]
    pub fn word(self) -> Option<&'static str> {
        match self.0 {
            1..=4 => Some("trace"),
            5..=8 => Some("debug"),
            9..=12 => Some("info"),
            13..=16 => Some("warn"),
            17..=20 => Some("error"),
            21..=24 => Some("fatal"),
            _ => None,
        }
    }
}
