//! What OpenTelemetry's own types make of the records.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ScopeLogs};
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::ship::record::Severity;
use crate::ship::samples::{any_sample, identity, labels, plain};

fn encoder(structured: bool) -> Otlp {
    let mut encoder = Otlp::new(identity(), structured);
    encoder.set_service(ServiceId(0), "db", &BTreeMap::new());
    encoder.set_service(ServiceId(1), "web", &labels());
    encoder.set_process(ServiceId(1), Some(4711), Some("nginx"));
    encoder
}

fn encoded(structured: bool, record: &Record<'_>) -> LogRecord {
    let mut out = Vec::new();
    encoder(structured).encode(record, &mut out);
    let mut records = ScopeLogs::decode(out.as_slice()).unwrap().log_records;
    assert_eq!(records.len(), 1);
    records.remove(0)
}

fn any_value(value: Value) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: any_value(value),
        ..KeyValue::default()
    }
}

/// The record as OpenTelemetry's own types would have it, without JSON bodies.
fn wanted(record: &Record<'_>) -> LogRecord {
    let string = |s: &str| Value::StringValue(s.to_owned());
    let mut attributes = vec![attribute("log.iostream", string(record.stream.as_str()))];
    if record.service == ServiceId(1) {
        attributes.push(attribute("process.pid", Value::IntValue(4711)));
    }
    let uid = format!("00000000000000ab.{}.{}", record.service.0, record.seq);
    attributes.push(attribute("log.record.uid", string(&uid)));
    if record.part > 0 || record.partial {
        attributes.push(attribute(
            "podvisor.part",
            Value::IntValue(record.part.into()),
        ));
        attributes.push(attribute(
            "podvisor.partial",
            Value::BoolValue(record.partial),
        ));
    }
    LogRecord {
        time_unix_nano: record.time_ns.unwrap_or(record.ts_ns),
        observed_time_unix_nano: record.ts_ns,
        severity_number: record.severity.number().into(),
        severity_text: String::from_utf8(record.severity_text.to_vec()).unwrap_or_default(),
        body: any_value(match std::str::from_utf8(record.message) {
            Ok(text) => string(text),
            Err(_) => Value::BytesValue(record.message.to_vec()),
        }),
        attributes,
        trace_id: record.trace_id.map(Vec::from).unwrap_or_default(),
        span_id: record.span_id.map(Vec::from).unwrap_or_default(),
        ..LogRecord::default()
    }
}

proptest! {
    #[test]
    fn records_are_what_they_were(samples in prop::collection::vec(any_sample(), 0..8)) {
        let (encoder, mut out) = (encoder(false), Vec::new());
        for sample in &samples {
            encoder.encode(&sample.record(), &mut out);
        }
        let got = ScopeLogs::decode(out.as_slice()).unwrap().log_records;
        let want: Vec<_> = samples.iter().map(|s| wanted(&s.record())).collect();
        prop_assert_eq!(&got, &want);
        // Not a byte more than it takes.
        let scope_logs = ScopeLogs { log_records: want, ..ScopeLogs::default() };
        prop_assert_eq!(scope_logs.encoded_len(), out.len());
    }

    #[test]
    fn json_becomes_a_map_if_wanted(sample in any_sample()) {
        let record = sample.record();
        let got = encoded(true, &record);
        let map = matches!(got.body, Some(AnyValue { value: Some(Value::KvlistValue(_)) }));
        prop_assert_eq!(map, record.json);
        let rest = LogRecord { body: None, ..got };
        prop_assert_eq!(rest, LogRecord { body: None, ..wanted(&record) });
    }
}

#[test]
fn a_structured_body() {
    let record = Record {
        json: true,
        ..plain(b" {\"a\": [1, null], \"b\": 2.5}")
    };
    let got = encoded(true, &record).body.unwrap().value;
    let Some(Value::KvlistValue(map)) = got else {
        panic!("{got:?}")
    };
    let keys: Vec<&str> = map.values.iter().map(|e| e.key.as_str()).collect();
    assert_eq!(keys, ["a", "b"]);
    assert_eq!(map.values[1], attribute("b", Value::DoubleValue(2.5)));
}

#[test]
fn json_too_deep_stays_text() {
    let text = format!("{}1{}", "{\"a\":".repeat(99), "}".repeat(99));
    let record = Record {
        json: true,
        ..plain(text.as_bytes())
    };
    assert_eq!(encoded(true, &record), encoded(false, &record));
}

#[test]
fn long_records_too() {
    for len in [0, 60, 100, 127, 128, 16_000, 16_384, 3_000_000] {
        let message = vec![b'x'; len];
        let record = Record {
            severity: Severity::ERROR,
            severity_text: b"ERR",
            ..plain(&message)
        };
        assert_eq!(encoded(false, &record), wanted(&record), "{len}");
    }
}

#[test]
fn a_new_process_has_a_new_pid_and_a_service_can_go() {
    let mut encoder = encoder(false);
    let pid = |encoder: &Otlp| {
        let mut out = Vec::new();
        encoder.encode(&plain(b"x"), &mut out);
        let record = ScopeLogs::decode(out.as_slice())
            .unwrap()
            .log_records
            .remove(0);
        record
            .attributes
            .into_iter()
            .find(|a| a.key == "process.pid")
    };
    encoder.set_process(ServiceId(1), Some(4712), None);
    assert_eq!(
        pid(&encoder),
        Some(attribute("process.pid", Value::IntValue(4712)))
    );
    encoder.set_service(ServiceId(1), "web", &BTreeMap::new());
    assert_eq!(
        pid(&encoder),
        Some(attribute("process.pid", Value::IntValue(4712)))
    );
    encoder.set_process(ServiceId(1), None, None);
    assert_eq!(pid(&encoder), None);
    encoder.remove_service(ServiceId(1));
    assert_eq!(pid(&encoder), None);
}
