//! Against what OpenTelemetry's own types encode, and against anything else.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1 as common;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1 as logs;
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::prelude::*;
use prost::Message;

use super::*;

/// Reads all that this reader reads, into OpenTelemetry's own types.
fn read(request: &[u8]) -> Result<ExportLogsServiceRequest, Malformed> {
    let resource_logs = resources(request)
        .map(|r| resource(r?))
        .collect::<Result<_, _>>()?;
    Ok(ExportLogsServiceRequest { resource_logs })
}

fn resource(from: ResourceLogs<'_>) -> Result<logs::ResourceLogs, Malformed> {
    let attributes = attributes(from.attributes())?;
    Ok(logs::ResourceLogs {
        resource: Some(Resource {
            attributes,
            ..Resource::default()
        }),
        scope_logs: from.scopes().map(|s| scope(s?)).collect::<Result<_, _>>()?,
        schema_url: String::new(),
    })
}

fn scope(from: ScopeLogs<'_>) -> Result<logs::ScopeLogs, Malformed> {
    Ok(logs::ScopeLogs {
        scope: Some(common::InstrumentationScope {
            name: from.name()?.to_owned(),
            version: from.version()?.to_owned(),
            ..common::InstrumentationScope::default()
        }),
        log_records: from
            .records()
            .map(|r| record(r?))
            .collect::<Result<_, _>>()?,
        schema_url: String::new(),
    })
}

fn record(from: LogRecord<'_>) -> Result<logs::LogRecord, Malformed> {
    Ok(logs::LogRecord {
        time_unix_nano: from.time_unix_nano,
        observed_time_unix_nano: from.observed_time_unix_nano,
        severity_number: from.severity_number,
        severity_text: from.severity_text.to_owned(),
        body: Some(value(from.body)?),
        attributes: attributes(from.attributes())?,
        dropped_attributes_count: 0,
        flags: from.flags,
        trace_id: from.trace_id.to_vec(),
        span_id: from.span_id.to_vec(),
        event_name: from.event_name.to_owned(),
    })
}

fn attributes<'a>(
    from: impl Iterator<Item = Result<(&'a str, AnyValue<'a>), Malformed>>,
) -> Result<Vec<common::KeyValue>, Malformed> {
    from.map(|entry| {
        let (key, found) = entry?;
        Ok(common::KeyValue {
            key: key.to_owned(),
            value: Some(value(found)?),
            ..common::KeyValue::default()
        })
    })
    .collect()
}

fn value(from: AnyValue<'_>) -> Result<common::AnyValue, Malformed> {
    let value = match from {
        AnyValue::Empty => None,
        AnyValue::Str(s) => Some(Value::StringValue(s.to_owned())),
        AnyValue::Bool(b) => Some(Value::BoolValue(b)),
        AnyValue::Int(n) => Some(Value::IntValue(n)),
        AnyValue::Double(n) => Some(Value::DoubleValue(n)),
        AnyValue::Bytes(b) => Some(Value::BytesValue(b.to_vec())),
        AnyValue::Array(items) => Some(Value::ArrayValue(common::ArrayValue {
            values: items.iter().map(|v| value(v?)).collect::<Result<_, _>>()?,
        })),
        AnyValue::Map(entries) => Some(Value::KvlistValue(common::KeyValueList {
            values: attributes(entries.iter())?,
        })),
    };
    Ok(common::AnyValue { value })
}

fn any_value() -> impl Strategy<Value = common::AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        "\\PC{0,9}".prop_map(|s| Some(Value::StringValue(s))),
        any::<bool>().prop_map(|b| Some(Value::BoolValue(b))),
        any::<i64>().prop_map(|n| Some(Value::IntValue(n))),
        any::<i32>().prop_map(|n| Some(Value::DoubleValue(n.into()))),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(|b| Some(Value::BytesValue(b))),
    ]
    .prop_map(|value| common::AnyValue { value });
    leaf.prop_recursive(4, 20, 4, |inner| {
        let values = prop::collection::vec(inner.clone(), 0..4);
        let entries = any_attributes(inner);
        prop_oneof![
            values.prop_map(|values| Value::ArrayValue(common::ArrayValue { values })),
            entries.prop_map(|values| Value::KvlistValue(common::KeyValueList { values })),
        ]
        .prop_map(|value| common::AnyValue { value: Some(value) })
    })
}

fn any_attributes(
    values: impl Strategy<Value = common::AnyValue>,
) -> impl Strategy<Value = Vec<common::KeyValue>> {
    let entry = ("\\PC{0,5}", values).prop_map(|(key, value)| common::KeyValue {
        key,
        value: Some(value),
        ..common::KeyValue::default()
    });
    prop::collection::vec(entry, 0..4)
}

fn any_record() -> impl Strategy<Value = logs::LogRecord> {
    let numbers = any::<(u64, u64, i32, u32)>();
    let texts = ("\\PC{0,5}", "\\PC{0,5}");
    let ids = any::<([u8; 16], [u8; 8], bool)>();
    let values = (any_value(), any_attributes(any_value()));
    (numbers, texts, ids, values).prop_map(|(numbers, texts, ids, values)| logs::LogRecord {
        time_unix_nano: numbers.0,
        observed_time_unix_nano: numbers.1,
        severity_number: numbers.2,
        severity_text: texts.0,
        body: Some(values.0),
        attributes: values.1,
        dropped_attributes_count: 0,
        flags: numbers.3,
        trace_id: if ids.2 { ids.0.to_vec() } else { Vec::new() },
        span_id: if ids.2 { ids.1.to_vec() } else { Vec::new() },
        event_name: texts.1,
    })
}

fn any_request() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let scope = (
        "\\PC{0,5}",
        "\\PC{0,5}",
        prop::collection::vec(any_record(), 0..3),
    )
        .prop_map(|(name, version, log_records)| logs::ScopeLogs {
            scope: Some(common::InstrumentationScope {
                name,
                version,
                ..common::InstrumentationScope::default()
            }),
            log_records,
            schema_url: String::new(),
        });
    let resource = (
        any_attributes(any_value()),
        prop::collection::vec(scope, 0..3),
    )
        .prop_map(|(attributes, scope_logs)| logs::ResourceLogs {
            resource: Some(Resource {
                attributes,
                ..Resource::default()
            }),
            scope_logs,
            schema_url: String::new(),
        });
    prop::collection::vec(resource, 0..3)
        .prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
}

fn records(request: &ExportLogsServiceRequest) -> u64 {
    let scopes = request.resource_logs.iter().flat_map(|r| &r.scope_logs);
    scopes.map(|s| s.log_records.len() as u64).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn reads_what_opentelemetry_writes(request in any_request()) {
        let bytes = request.encode_to_vec();
        prop_assert_eq!(check(&bytes), Ok(records(&request)));
        prop_assert_eq!(read(&bytes), Ok(request));
    }

    #[test]
    fn damage_is_no_disaster(request in any_request(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = request.encode_to_vec();
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if check(&bytes).is_ok() {
            // What passes here passes there too.
            prop_assert!(read(&bytes).is_ok());
        } else {
            let _ = read(&bytes);
        }
    }

    #[test]
    fn any_bytes_are_read_to_an_end(bytes in prop::collection::vec(prop_oneof![0u8..0x60, any::<u8>()], 0..300)) {
        let _ = (check(&bytes), read(&bytes));
    }
}

/// `levels` arrays around nothing, as the body of the only record.
fn nested(levels: usize) -> Vec<u8> {
    let wrap = |number, inner: Vec<u8>| {
        let mut out = Vec::new();
        wire::put_bytes(number, &inner, &mut out);
        out
    };
    let value = (0..levels).fold(Vec::new(), |value, i| match i {
        0 => wrap(5, wrap(1, value)),
        _ => wrap(6, wrap(1, wrap(2, value))),
    });
    [5, 2, 2, 1]
        .into_iter()
        .fold(value, |inner, n| wrap(n, inner))
}

#[test]
fn nesting_has_an_end() {
    let deepest = usize::from(MAX_DEPTH);
    assert_eq!(check(&nested(deepest)), Ok(1));
    assert!(ExportLogsServiceRequest::decode(nested(deepest).as_slice()).is_ok());
    assert_eq!(check(&nested(deepest + 1)), Err(Malformed));
    assert_eq!(check(&nested(1000)), Err(Malformed));
}

#[test]
fn text_must_be_text() {
    let mut record = Vec::new();
    wire::put_bytes(3, b"\xff", &mut record);
    let mut scope = Vec::new();
    wire::put_bytes(2, &record, &mut scope);
    let mut resource = Vec::new();
    wire::put_bytes(2, &scope, &mut resource);
    let mut request = Vec::new();
    wire::put_bytes(1, &resource, &mut request);
    assert_eq!(check(&request), Err(Malformed));
    assert!(ExportLogsServiceRequest::decode(request.as_slice()).is_err());
}

#[test]
fn a_resource_in_two_parts_is_one() {
    let part = |key: &str| {
        let request = ExportLogsServiceRequest {
            resource_logs: vec![logs::ResourceLogs {
                resource: Some(Resource {
                    attributes: vec![common::KeyValue {
                        key: key.to_owned(),
                        ..common::KeyValue::default()
                    }],
                    ..Resource::default()
                }),
                ..logs::ResourceLogs::default()
            }],
        };
        request.resource_logs[0].encode_to_vec()
    };
    let mut bytes = Vec::new();
    wire::put_bytes(1, &[part("a"), part("b")].concat(), &mut bytes);
    let resource = resources(&bytes).next().unwrap().unwrap();
    let keys: Vec<_> = resource.attributes().map(|e| e.unwrap().0).collect();
    assert_eq!(keys, ["a", "b"]);
}
