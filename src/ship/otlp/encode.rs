//! Records as OTLP log records, each a field of `ScopeLogs`, appended one after the other.
//!
//! Field numbers: `opentelemetry/proto/logs/v1/logs.proto` and `common/v1/common.proto`. Attribute
//! names: OpenTelemetry's semantic conventions (`log.*`, `process.*`); those under `podvisor.` are
//! our own, for what the conventions have no name for.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::resource::Resources;
use super::structured;
use super::wire::{bytes_tag, close, open, put_bytes, put_fixed64, put_number, put_varint};
use super::wire::{varint_len, varint_tag};
use crate::logs::escape::decimal;
use crate::logs::{ServiceId, Stream};
use crate::ship::identity::Identity;
use crate::ship::record::Record;
use crate::ship::table::Table;

/// `ScopeLogs.log_records`.
const LOG_RECORDS: u8 = 2;
/// `LogRecord.attributes`.
const ATTRIBUTES: u8 = 6;

/// What a record takes beside message, severity text and what is rendered beforehand: a guess,
/// see [`open`].
const USUAL: usize = 100;

/// Writes records. What does not change from record to record is rendered beforehand, and nothing is
/// allocated but the room in the output.
#[derive(Debug)]
pub struct Otlp {
    source: String,
    structured: bool,
    services: Table<Service>,
    unknown: Service,
    resources: Arc<Resources>,
}

/// Attributes that all records of a service share, encoded.
#[derive(Debug)]
struct Service {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Otlp {
    /// For the records of this run. `structured`: a JSON object becomes a map of values in place of
    /// a text (stores such as Loki turn maps into text again).
    #[must_use]
    pub fn new(identity: Identity, structured: bool) -> Self {
        Otlp {
            source: identity.source_hex(),
            structured,
            services: Table::default(),
            unknown: Service::new(None),
            resources: Arc::new(Resources::new(identity)),
        }
    }

    /// Names a service and its labels, before its first record and whenever they change. Its process
    /// stays what it was.
    pub fn set_service(&mut self, id: ServiceId, name: &str, labels: &BTreeMap<String, String>) {
        if self.services.get(id).is_none() {
            self.services.set(id, Service::new(None));
        }
        Arc::make_mut(&mut self.resources).set_service(id, name, labels);
    }

    /// The process of a known service whose records come from now on: its pid is said on each of
    /// them (never on the resource, where every restart would begin new streams in Loki), the name
    /// of its executable on the resource.
    pub fn set_process(&mut self, id: ServiceId, pid: Option<u32>, executable: Option<&str>) {
        self.services.set(id, Service::new(pid));
        Arc::make_mut(&mut self.resources).set_executable(id, executable);
    }

    /// Forgets a service that is gone from the config.
    pub fn remove_service(&mut self, id: ServiceId) {
        self.services.remove(id);
        Arc::make_mut(&mut self.resources).remove_service(id);
    }

    /// Whose records these are, as it stands now: to be handed on with what was encoded, for
    /// [`super::resource::Assembler`]. Cheap.
    #[must_use]
    pub fn resources(&self) -> Arc<Resources> {
        Arc::clone(&self.resources)
    }

    /// Appends one record.
    pub fn encode(&self, record: &Record<'_>, out: &mut Vec<u8>) {
        let service = self.services.get(record.service).unwrap_or(&self.unknown);
        let shared = match record.stream {
            Stream::Stdout => &service.stdout,
            Stream::Stderr => &service.stderr,
        };
        let expected = USUAL + shared.len() + record.message.len();
        let log_record = open(LOG_RECORDS, expected, out);
        put_fixed64(1, record.time_ns.unwrap_or(record.ts_ns), out);
        let severity = record.severity.number();
        if severity != 0 {
            put_number(2, u64::from(severity), out);
        }
        if !record.severity_text.is_empty() && std::str::from_utf8(record.severity_text).is_ok() {
            put_bytes(3, record.severity_text, out);
        }
        self.body(record, out);
        out.extend_from_slice(shared);
        self.uid(record, out);
        if record.partial || record.part > 0 {
            int_attribute("podvisor.part", u64::from(record.part), out);
            bool_attribute("podvisor.partial", record.partial, out);
        }
        if let Some(id) = &record.trace_id {
            put_bytes(9, id, out);
        }
        if let Some(id) = &record.span_id {
            put_bytes(10, id, out);
        }
        put_fixed64(11, record.ts_ns, out);
        close(log_record, out);
    }

    /// Text as a string, JSON as a map if wanted, and what is not UTF-8 as bytes: it would spoil the
    /// whole request.
    fn body(&self, record: &Record<'_>, out: &mut Vec<u8>) {
        const BODY: u8 = 5;
        if self.structured && record.json {
            let start = out.len();
            let body = open(BODY, record.message.len(), out);
            if structured::value(record.message, out).is_some() {
                return close(body, out);
            }
            out.truncate(start);
        }
        let text = std::str::from_utf8(record.message).is_ok();
        let len = record.message.len();
        out.push(bytes_tag(BODY));
        put_varint((1 + varint_len(len as u64) + len) as u64, out);
        put_bytes(if text { 1 } else { 7 }, record.message, out);
    }

    /// `log.record.uid`, by which receivers may drop what they have already ("records with the same
    /// ID will be considered duplicates and can be removed safely").
    fn uid(&self, record: &Record<'_>, out: &mut Vec<u8>) {
        let attribute = open(ATTRIBUTES, 0, out);
        put_bytes(1, b"log.record.uid", out);
        let value = open(2, 0, out);
        let text = open(1, 0, out);
        out.extend_from_slice(self.source.as_bytes());
        out.push(b'.');
        decimal(record.service.0.into(), out);
        out.push(b'.');
        decimal(record.seq, out);
        close(text, out);
        close(value, out);
        close(attribute, out);
    }
}

impl Service {
    fn new(pid: Option<u32>) -> Self {
        let shared = |stream: Stream| {
            let mut out = Vec::new();
            str_attribute(ATTRIBUTES, "log.iostream", stream.as_str(), &mut out);
            if let Some(pid) = pid {
                int_attribute("process.pid", u64::from(pid), &mut out);
            }
            out
        };
        Service {
            stdout: shared(Stream::Stdout),
            stderr: shared(Stream::Stderr),
        }
    }
}

/// A `KeyValue` with a text, as field `number` of whatever it is part of.
pub(super) fn str_attribute(number: u8, key: &str, text: &str, out: &mut Vec<u8>) {
    let attribute = open(number, key.len() + text.len(), out);
    put_bytes(1, key.as_bytes(), out);
    let value = open(2, text.len(), out);
    put_bytes(1, text.as_bytes(), out);
    close(value, out);
    close(attribute, out);
}

fn int_attribute(key: &str, n: u64, out: &mut Vec<u8>) {
    varint_attribute(key, varint_tag(3), n, out);
}

fn bool_attribute(key: &str, yes: bool, out: &mut Vec<u8>) {
    varint_attribute(key, varint_tag(2), u64::from(yes), out);
}

fn varint_attribute(key: &str, tag: u8, n: u64, out: &mut Vec<u8>) {
    let attribute = open(ATTRIBUTES, key.len(), out);
    put_bytes(1, key.as_bytes(), out);
    let value = open(2, 0, out);
    out.push(tag);
    put_varint(n, out);
    close(value, out);
    close(attribute, out);
}

#[cfg(test)]
mod tests;
