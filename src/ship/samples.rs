//! Records for the tests of the encoders: any bytes, any mix of fields.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::identity::Identity;
use super::record::{Record, Severity};
use crate::logs::{ServiceId, Stream};

/// A record that owns its bytes.
#[derive(Debug, Clone)]
pub struct Sample {
    /// All but the bytes.
    pub record: Record<'static>,
    /// [`Record::message`].
    pub message: Vec<u8>,
    /// [`Record::severity_text`].
    pub severity_text: Vec<u8>,
    /// [`Record::json_message`].
    pub json_message: Option<Vec<u8>>,
}

impl Sample {
    /// As the encoders take it.
    pub fn record(&self) -> Record<'_> {
        Record {
            message: &self.message,
            severity_text: &self.severity_text,
            json_message: self.json_message.as_deref(),
            ..self.record
        }
    }
}

/// A line of the service `ServiceId(1)` about which nothing is known.
pub fn plain(message: &[u8]) -> Record<'_> {
    Record {
        service: ServiceId(1),
        stream: Stream::Stdout,
        seq: 7,
        lines: 1,
        ts_ns: 1_700_000_000_000_000_001,
        time_ns: None,
        message,
        part: 0,
        partial: false,
        severity: Severity::UNKNOWN,
        severity_text: b"",
        json: false,
        json_message: None,
        trace_id: None,
        span_id: None,
    }
}

/// A pod's identity.
pub fn identity() -> Identity {
    let vars = [
        ("POD_NAME", "web-1"),
        ("POD_NAMESPACE", "shop"),
        ("NODE_NAME", "node \"7\""),
        ("OTEL_SERVICE_NAME", "shop"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "k8s.pod.uid=u-1,deployment.environment.name=prod",
        ),
    ];
    let (identity, bad) = Identity::from_env("box", 0xAB, |name| {
        let (_, value) = vars.iter().find(|(known, _)| *known == name)?;
        Some((*value).to_owned())
    });
    assert_eq!(bad, None);
    identity
}

/// Labels of a service.
pub fn labels() -> BTreeMap<String, String> {
    [("team", "web"), ("a \"b\"", "\n")]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into()
}

/// JSON values of any shape.
pub fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9f64..1e9).prop_map(Value::from),
        "[\\PC\"\\\\\n\u{1}]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            any_object(inner),
        ]
    })
}

fn any_object(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[\\PC\"\n]{0,6}", values, 0..4)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

fn any_message() -> impl Strategy<Value = (Vec<u8>, bool, Option<Vec<u8>>)> {
    let bytes = prop_oneof![
        Just(b'\n'),
        Just(b'"'),
        Just(b'\\'),
        any::<u8>(),
        Just(b'a')
    ];
    prop_oneof![
        prop::collection::vec(bytes, 0..200).prop_map(|m| (m, false, None)),
        "\\PC{0,300}".prop_map(|m| (m.into_bytes(), false, None)),
        (any_object(any_json()), any::<bool>(), any::<bool>()).prop_map(|(v, pretty, has)| {
            let text = if pretty {
                format!(" {v:#}\r\n")
            } else {
                v.to_string()
            };
            let message = has.then(|| b"said \\\"so\\\" \\u00e9".to_vec());
            (text.into_bytes(), true, message)
        }),
    ]
}

/// Any record of one of four services, the last of which is never set.
pub fn any_sample() -> impl Strategy<Value = Sample> {
    let severities = [
        Severity::UNKNOWN,
        Severity::TRACE,
        Severity::DEBUG,
        Severity::NOTICE,
        Severity::WARN,
        Severity::CRITICAL,
        Severity::FATAL,
    ];
    let numbers = (0u32..4, any::<bool>(), any::<u64>(), any::<u64>());
    let times = (any::<Option<u64>>(), 0u32..3, any::<bool>());
    let ids = (any::<Option<[u8; 16]>>(), any::<Option<[u8; 8]>>());
    let severity = (
        prop::sample::select(severities.to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    );
    (numbers, times, ids, severity, any_message()).prop_map(
        |(numbers, times, ids, severity, (message, json, json_message))| Sample {
            record: Record {
                service: ServiceId(numbers.0),
                stream: if numbers.1 {
                    Stream::Stdout
                } else {
                    Stream::Stderr
                },
                seq: numbers.2,
                ts_ns: numbers.3,
                time_ns: times.0,
                part: times.1,
                partial: times.2,
                severity: severity.0,
                json,
                trace_id: ids.0,
                span_id: ids.1,
                ..plain(b"")
            },
            message,
            severity_text: severity.1,
            json_message,
        },
    )
}
