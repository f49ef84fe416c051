//! OTLP's records by the names that NDJSON has for them.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::Seen;
use crate::logs::stamp::rfc3339_ns;
use crate::ship::otlp::read::{AnyValue, LogRecord, ResourceLogs, resources};
use crate::ship::otlp::wire::Malformed;

/// Where in the request a record stands.
#[derive(Debug, Clone)]
pub(super) struct Origin<'a> {
    resource: ResourceLogs<'a>,
    record: LogRecord<'a>,
}

pub(super) fn each(body: &[u8], take: &mut dyn FnMut(&Seen<'_>)) -> Result<u64, Malformed> {
    let mut records = 0;
    for resource in resources(body) {
        let resource = resource?;
        let service = service(&resource)?;
        for scope in resource.scopes() {
            for record in scope?.records() {
                take(&seen(resource, record?, service)?);
                records += 1;
            }
        }
    }
    Ok(records)
}

/// The service's own name, else the one that others know it by.
fn service<'a>(resource: &ResourceLogs<'a>) -> Result<&'a str, Malformed> {
    let (mut own, mut known) = ("", "");
    for attribute in resource.attributes() {
        match attribute? {
            ("podvisor.service", AnyValue::Str(name)) => own = name,
            ("service.name", AnyValue::Str(name)) => known = name,
            _ => {}
        }
    }
    Ok(if own.is_empty() { known } else { own })
}

fn seen<'a>(
    resource: ResourceLogs<'a>,
    record: LogRecord<'a>,
    service: &'a str,
) -> Result<Seen<'a>, Malformed> {
    let (mut stream, mut uid) = ("", "");
    for attribute in record.attributes() {
        match attribute? {
            ("log.iostream", AnyValue::Str(name)) => stream = name,
            ("log.record.uid", AnyValue::Str(text)) => uid = text,
            _ => {}
        }
    }
    let (source, seq) = identity(uid);
    let level = match record.severity_text {
        "" => word(record.severity_number),
        text => text,
    };
    Ok(Seen {
        time: time(&record),
        source: source.into(),
        service: service.into(),
        stream: stream.into(),
        level: level.into(),
        message: text(record.body),
        seq,
        origin: super::Origin::Otlp(Origin { resource, record }),
    })
}

/// podvisor's `log.record.uid` is `SOURCE.SERVICE.SEQ`, the service by its number. Of anything else
/// no sequence is known.
fn identity(uid: &str) -> (&str, Option<u64>) {
    let parts = uid
        .rsplit_once('.')
        .and_then(|(rest, seq)| Some((rest.rsplit_once('.')?.0, seq.parse().ok()?)));
    parts.map_or((uid, None), |(source, seq)| (source, Some(seq)))
}

/// When it happened, else when it was first seen, as OTLP's readers are told to take it.
fn time(record: &LogRecord<'_>) -> Cow<'static, str> {
    let ns = match record.time_unix_nano {
        0 => record.observed_time_unix_nano,
        ns => ns,
    };
    if ns == 0 {
        return Cow::Borrowed("");
    }
    Cow::Owned(String::from_utf8_lossy(&rfc3339_ns(ns)).into_owned())
}

fn word(severity: i32) -> &'static str {
    match severity {
        1..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warn",
        17..=20 => "error",
        21..=24 => "fatal",
        _ => "",
    }
}

fn text(value: AnyValue<'_>) -> Cow<'_, str> {
    match value {
        AnyValue::Empty => Cow::Borrowed(""),
        AnyValue::Str(text) => Cow::Borrowed(text),
        AnyValue::Bytes(bytes) => String::from_utf8_lossy(bytes),
        other => Cow::Owned(any(other).to_string()),
    }
}

/// A value as JSON. What can't be read is left out: the request has been checked before. Ends: every
/// level of a value knows its depth.
fn any(value: AnyValue<'_>) -> Value {
    match value {
        AnyValue::Empty => Value::Null,
        AnyValue::Str(text) => text.into(),
        AnyValue::Bool(yes) => yes.into(),
        AnyValue::Int(number) => number.into(),
        AnyValue::Double(number) => number.into(),
        AnyValue::Bytes(bytes) => String::from_utf8_lossy(bytes).into(),
        AnyValue::Array(items) => items.iter().flatten().map(any).collect(),
        AnyValue::Map(entries) => Value::Object(object(entries.iter().flatten())),
    }
}

fn object<'a>(entries: impl Iterator<Item = (&'a str, AnyValue<'a>)>) -> Map<String, Value> {
    entries
        .map(|(key, value)| (key.to_owned(), any(value)))
        .collect()
}

impl Origin<'_> {
    /// All that the record and its resource say; what they don't say is not there.
    pub(super) fn object(&self, seen: &Seen<'_>) -> Map<String, Value> {
        let record = &self.record;
        let all = [
            ("timestamp", json!(seen.time)),
            ("service", json!(seen.service)),
            ("stream", json!(seen.stream)),
            ("source_id", json!(seen.source)),
            ("seq", json!(seen.seq)),
            ("level", json!(seen.level)),
            ("severity_number", json!(record.severity_number)),
            ("trace_id", json!(hex(record.trace_id))),
            ("span_id", json!(hex(record.span_id))),
            ("message", any(record.body)),
            (
                "attributes",
                Value::Object(object(record.attributes().flatten())),
            ),
            (
                "resource",
                Value::Object(object(self.resource.attributes().flatten())),
            ),
        ];
        all.into_iter()
            .filter(|(_, value)| !value.is_null() && value != "")
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
