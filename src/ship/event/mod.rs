//! From lines to records: merging, redaction, parsing, levels, filters and limits, in this order.
//!
//! A [`Pipeline`] serves one service. It runs on the thread that reads the logs, once per read, on the bytes of the read
//! buffer: a record that nothing has to be done to is handed on as it lies there, and once the buffers have grown to what
//! the service writes, nothing is allocated.
//!
//! Nothing gets lost in here without being counted. Of the lines that come in, at any time:
//!
//! `lines = records + merged_lines + filtered + rate_limited`, and the lines of the groups that are not finished.

pub mod filter;
pub mod level;
pub mod limit;
pub mod multiline;
pub mod redact;
mod secrets;
pub mod stack;
pub mod time;
pub mod trace;
pub mod word;

use std::ops::AddAssign;
use std::time::Instant;

pub use filter::Filter;
pub use limit::{Bucket, Limit};
pub use multiline::{How, Multiline};
use multiline::{Merger, Raw};
pub use redact::{Builtin, Redact, RedactError};
pub use stack::Preset;

use super::json::{self, Object};
use super::record::{Record, Severity};
use crate::logs::{Chunk, ServiceId};

/// Whether a record's text is looked at as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Parse {
    /// If it begins with a brace.
    #[default]
    Auto,
    /// Always: the service writes nothing else.
    Json,
    /// Never.
    None,
}

/// What is done to the lines of one service.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether JSON is looked into.
    pub parse: Parse,
    /// Whether levels are looked for, and trace ids in plain text. A filter by level looks for them in any case.
    pub detect_level: bool,
    /// How lines are put together, if they are.
    pub multiline: Option<Multiline>,
    /// Bytes of a record that was merged or redacted. `maxLine`.
    pub max_bytes: usize,
    /// What is left out.
    pub filter: Filter,
    /// Lines a second.
    pub limit: Option<Limit>,
    /// What is made unreadable.
    pub redact: Redact,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            parse: Parse::Auto,
            detect_level: true,
            multiline: None,
            max_bytes: crate::logs::lines::DEFAULT_MAX_LINE,
            filter: Filter::default(),
            limit: None,
            redact: Redact::default(),
        }
    }
}

/// What became of the lines, see the module's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taken {
    /// Records handed on.
    pub records: u64,
    /// Lines of those records beyond the first of each.
    pub merged_lines: u64,
    /// Lines that the filter left out.
    pub filtered: u64,
    /// Lines that were above the limit.
    pub rate_limited: u64,
    /// Records, handed on or not, that should have been a JSON object and were not: with [`Parse::Json`] any, with
    /// [`Parse::Auto`] those that begin with a brace. Pieces of a long line do not count.
    pub invalid_json: u64,
}

impl Taken {
    /// Lines, all in all.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.records + self.merged_lines + self.filtered + self.rate_limited
    }
}

impl AddAssign for Taken {
    fn add_assign(&mut self, more: Self) {
        self.records += more.records;
        self.merged_lines += more.merged_lines;
        self.filtered += more.filtered;
        self.rate_limited += more.rate_limited;
        self.invalid_json += more.invalid_json;
    }
}

/// What turns the lines of one service into records.
#[derive(Debug)]
pub struct Pipeline {
    merger: Option<Merger>,
    stage: Stage,
}

impl Pipeline {
    /// For `service`.
    #[must_use]
    pub fn new(service: ServiceId, options: Options) -> Self {
        let Options {
            parse,
            detect_level,
            multiline,
            max_bytes,
            filter,
            limit,
            redact,
        } = options;
        Pipeline {
            merger: multiline.map(|multiline| Merger::new(multiline, max_bytes)),
            stage: Stage {
                service,
                parse,
                detect: detect_level || filter.has_level(),
                max_bytes,
                filter,
                bucket: limit.map(Bucket::new),
                redact: (!redact.is_empty()).then_some(redact),
                traces: trace::Finders::default(),
            },
        }
    }

    /// Takes the lines of a chunk and calls `out` with every record that is finished, in order.
    pub fn chunk(
        &mut self,
        chunk: &Chunk<'_>,
        now: Instant,
        out: &mut dyn FnMut(&Record<'_>),
    ) -> Taken {
        let mut taken = Taken::default();
        let stage = &mut self.stage;
        stage.tick(now);
        match &mut self.merger {
            None => {
                for line in chunk.iter() {
                    stage.pass(Raw::line(chunk, &line), out, &mut taken);
                }
            }
            Some(merger) => {
                merger.chunk(chunk, now, &mut |raw| stage.pass(raw, out, &mut taken));
            }
        }
        taken
    }

    /// When [`Pipeline::expire`] is due, if lines are held.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.merger.as_ref().and_then(Merger::deadline)
    }

    /// Hands on the groups of lines that have waited long enough.
    pub fn expire(&mut self, now: Instant, out: &mut dyn FnMut(&Record<'_>)) -> Taken {
        let mut taken = Taken::default();
        let stage = &mut self.stage;
        if let Some(merger) = &mut self.merger {
            stage.tick(now);
            merger.expire(now, &mut |raw| stage.pass(raw, out, &mut taken));
        }
        taken
    }

    /// Hands on all lines that are held.
    pub fn flush(&mut self, out: &mut dyn FnMut(&Record<'_>)) -> Taken {
        let mut taken = Taken::default();
        let stage = &mut self.stage;
        if let Some(merger) = &mut self.merger {
            merger.flush(&mut |raw| stage.pass(raw, out, &mut taken));
        }
        taken
    }
}

/// What happens to a record's text once it is whole.
#[derive(Debug)]
struct Stage {
    service: ServiceId,
    parse: Parse,
    detect: bool,
    max_bytes: usize,
    filter: Filter,
    bucket: Option<Bucket>,
    redact: Option<Redact>,
    traces: trace::Finders,
}

impl Stage {
    fn tick(&mut self, now: Instant) {
        if let Some(bucket) = &mut self.bucket {
            bucket.fill(now);
        }
    }

    fn pass(&mut self, raw: Raw<'_>, out: &mut dyn FnMut(&Record<'_>), taken: &mut Taken) {
        let lines = u64::from(raw.lines);
        if !self.filter.admits(raw.text) {
            taken.filtered += lines;
            return;
        }
        let redacted = self
            .redact
            .as_mut()
            .and_then(|redact| redact.apply(raw.text, self.max_bytes));
        let mut record = Record {
            service: self.service,
            stream: raw.stream,
            seq: raw.seq,
            lines: raw.lines,
            ts_ns: raw.ts_ns,
            time_ns: None,
            message: redacted.unwrap_or(raw.text),
            part: raw.part,
            partial: raw.partial,
            severity: Severity::UNKNOWN,
            severity_text: &[],
            json: false,
            json_message: None,
            trace_id: None,
            span_id: None,
        };
        match parse(self.parse, &record, taken) {
            Some(object) => from_object(&mut record, &object, self.detect),
            None if self.detect => from_text(&mut record, &self.traces),
            None => {}
        }
        if !self.filter.admits_level(record.severity) {
            taken.filtered += lines;
            return;
        }
        if let Some(bucket) = &mut self.bucket
            && !bucket.take(raw.lines)
        {
            taken.rate_limited += lines;
            return;
        }
        taken.records += 1;
        taken.merged_lines += lines - 1;
        out(&record);
    }
}

/// The object that the record is, if it may be one.
fn parse<'a>(parse: Parse, record: &Record<'a>, taken: &mut Taken) -> Option<Object<'a>> {
    if parse == Parse::None || record.partial || record.part > 0 {
        return None;
    }
    let braced = match record.message {
        [first, ..] if !matches!(first, b' ' | b'\t') => *first == b'{',
        message => json::trim(message).first() == Some(&b'{'),
    };
    let object = if braced {
        json::scan(record.message)
    } else {
        None
    };
    if object.is_none() && (braced || parse == Parse::Json) {
        taken.invalid_json += 1;
    }
    object
}

fn from_object<'a>(record: &mut Record<'a>, object: &Object<'a>, detect: bool) {
    record.json = true;
    record.json_message = object.message;
    record.time_ns = object
        .time
        .and_then(|value| time::parse(value, record.ts_ns));
    let ids = trace::object(object);
    (record.trace_id, record.span_id) = (ids.trace, ids.span);
    if detect && let Some((severity, text)) = word::object(object) {
        (record.severity, record.severity_text) = (severity, text);
    }
}

fn from_text(record: &mut Record<'_>, traces: &trace::Finders) {
    // What follows the first piece of a long line is somewhere in the middle of it.
    if record.part == 0
        && let Some((severity, text)) = level::text(record.message)
    {
        (record.severity, record.severity_text) = (severity, text);
    }
    let ids = traces.text(record.message);
    (record.trace_id, record.span_id) = (ids.trace, ids.span);
}

#[cfg(test)]
mod tests;
