//! Records as JSON, one strict object a line: what Vector's `http_server` source and its like take.
//!
//! One line that is not strict JSON costs Vector's user the whole request, so nothing gets in that
//! was not escaped here or checked before ([`Record::json`]). Vector sets `path` and `source_type`
//! itself: no key of ours is called so.

use std::collections::BTreeMap;

use super::identity::Identity;
use super::record::Record;
use super::table::Table;
use crate::logs::escape::{decimal, json};
use crate::logs::stamp::rfc3339_ns;
use crate::logs::{ServiceId, Stream};

/// What a record of a service that was never set is said to be of.
const UNKNOWN: &str = "unknown";

/// How every line starts.
const STAMP: &[u8] = b"{\"timestamp\":\"";

/// Writes records. All that does not change from record to record is rendered beforehand, and
/// nothing is allocated but the room in the output.
#[derive(Debug)]
pub struct Ndjson {
    source: String,
    /// From the host to the end of the line.
    tail: Vec<u8>,
    services: Table<Service>,
    unknown: Service,
    /// The start of a line with the stamp of `ts_ns`: all records of one read share it.
    head: Vec<u8>,
    ts_ns: u64,
    /// Bytes of a line with its end, at most.
    max_line: usize,
}

#[derive(Debug)]
struct Service {
    /// From the stamp to the sequence number.
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// From after the message, or the fields, to the end of the line.
    tail: Vec<u8>,
}

impl Ndjson {
    /// For the records of this run.
    #[must_use]
    pub fn new(identity: &Identity) -> Self {
        let source = identity.source_hex();
        let tail = tail(identity);
        let unknown = Service::new(UNKNOWN, &source, &BTreeMap::new(), &tail);
        Ndjson {
            source,
            tail,
            services: Table::default(),
            unknown,
            head: [STAMP, &rfc3339_ns(0)].concat(),
            ts_ns: 0,
            max_line: usize::MAX,
        }
    }

    /// Bounds every line to so many bytes with its end. What would be longer loses its fields, then the end of its
    /// message, and says so by `truncated`.
    pub fn set_max_line(&mut self, bytes: usize) {
        self.max_line = bytes;
    }

    /// Names a service and its labels, before its first record and whenever they change.
    pub fn set_service(&mut self, id: ServiceId, name: &str, labels: &BTreeMap<String, String>) {
        let service = Service::new(name, &self.source, labels, &self.tail);
        self.services.set(id, service);
    }

    /// Forgets a service that is gone from the config.
    pub fn remove_service(&mut self, id: ServiceId) {
        self.services.remove(id);
    }

    /// Appends one line.
    pub fn encode(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        self.line(record, false, out);
        let mut keep = record.message.len();
        while out.len() - start > self.max_line && keep > 0 {
            out.truncate(start);
            keep = (keep / 4 * 3).min(self.max_line);
            let cut = Record {
                json: false,
                json_message: None,
                message: record.message.get(..keep).unwrap_or_default(),
                ..*record
            };
            self.line(&cut, true, out);
        }
    }

    fn line(&mut self, record: &Record<'_>, truncated: bool, out: &mut Vec<u8>) {
        if record.ts_ns != self.ts_ns {
            self.head.truncate(STAMP.len());
            self.head.extend_from_slice(&rfc3339_ns(record.ts_ns));
            self.ts_ns = record.ts_ns;
        }
        let service = self.services.get(record.service).unwrap_or(&self.unknown);
        out.extend_from_slice(&self.head);
        out.extend_from_slice(match record.stream {
            Stream::Stdout => &service.stdout,
            Stream::Stderr => &service.stderr,
        });
        decimal(record.seq, out);
        if let Some(level) = record.severity.word() {
            out.extend_from_slice(b",\"level\":\"");
            out.extend_from_slice(level.as_bytes());
            out.push(b'"');
        }
        if record.partial || record.part > 0 {
            out.extend_from_slice(b",\"part\":");
            decimal(u64::from(record.part), out);
            out.extend_from_slice(b",\"partial\":");
            out.extend_from_slice(if record.partial { b"true" } else { b"false" });
        }
        if truncated {
            out.extend_from_slice(b",\"truncated\":true");
        }
        if let Some(id) = &record.trace_id {
            out.extend_from_slice(b",\"trace_id\":\"");
            hex(id, out);
            out.push(b'"');
        }
        if let Some(id) = &record.span_id {
            out.extend_from_slice(b",\"span_id\":\"");
            hex(id, out);
            out.push(b'"');
        }
        out.extend_from_slice(b",\"message\":\"");
        match record.json_message {
            Some(escaped) if record.json => out.extend_from_slice(escaped),
            _ => json(record.message, out),
        }
        out.push(b'"');
        if record.json {
            out.extend_from_slice(b",\"fields\":");
            object(record.message, out);
        }
        out.extend_from_slice(&service.tail);
    }
}

impl Service {
    fn new(name: &str, source: &str, labels: &BTreeMap<String, String>, rest: &[u8]) -> Self {
        let head = |stream: Stream| {
            let mut out = b"\",\"service\":".to_vec();
            string(name, &mut out);
            out.extend_from_slice(b",\"stream\":");
            string(stream.as_str(), &mut out);
            out.extend_from_slice(b",\"source_id\":");
            string(source, &mut out);
            out.extend_from_slice(b",\"seq\":");
            out
        };
        let mut tail = Vec::new();
        let labels = labels.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        member("labels", labels, &mut tail);
        tail.extend_from_slice(rest);
        Service {
            stdout: head(Stream::Stdout),
            stderr: head(Stream::Stderr),
            tail,
        }
    }
}

/// The host, and the pod by the names that Vector's `kubernetes_logs` source has for it.
fn tail(identity: &Identity) -> Vec<u8> {
    let mut out = Vec::new();
    if !identity.host.is_empty() {
        out.extend_from_slice(b",\"host\":");
        string(&identity.host, &mut out);
    }
    let pod = [
        ("pod_name", &identity.pod_name),
        ("pod_namespace", &identity.pod_namespace),
        ("pod_uid", &identity.pod_uid),
        ("pod_node_name", &identity.node_name),
        ("container_name", &identity.container_name),
    ];
    let known = pod.iter().filter_map(|(k, v)| Some((*k, v.as_deref()?)));
    member("kubernetes", known, &mut out);
    out.extend_from_slice(b"}\n");
    out
}

/// `,"name":{"key":"value",…}`, or nothing if there are no entries.
fn member<'a>(name: &str, entries: impl Iterator<Item = (&'a str, &'a str)>, out: &mut Vec<u8>) {
    let mut open = false;
    for (key, value) in entries {
        if open {
            out.push(b',');
        } else {
            out.push(b',');
            string(name, out);
            out.extend_from_slice(b":{");
            open = true;
        }
        string(key, out);
        out.push(b':');
        string(value, out);
    }
    if open {
        out.push(b'}');
    }
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    json(text.as_bytes(), out);
    out.push(b'"');
}

/// A JSON object as it stands, but in one line: the lines of a merged record are joined by spaces.
/// A newline in strict JSON is between tokens, never in a string.
fn object(text: &[u8], out: &mut Vec<u8>) {
    let text = text.trim_ascii();
    let start = out.len();
    out.extend_from_slice(text);
    if memchr::memchr(b'\n', text).is_some() {
        let copied = out.get_mut(start..).unwrap_or_default();
        copied
            .iter_mut()
            .filter(|b| **b == b'\n')
            .for_each(|b| *b = b' ');
    }
}

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' + n - 10 };
    out.extend(bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]));
}

#[cfg(test)]
mod tests;
