//! What is taken, what is not, and what is seen in it.

use std::io::Write;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::prelude::*;
use prost::Message;
use serde_json::json;

use super::*;

fn messages(body: &str) -> Result<Vec<String>, Refused> {
    let mut all = Vec::new();
    let mut take = |seen: &Seen<'_>| all.push(seen.message.clone().into_owned());
    let records = each(Protocol::Ndjson, body.as_bytes(), &mut take)?;
    assert_eq!(records, all.len() as u64);
    Ok(all)
}

#[test]
fn lines_are_records() {
    let body = "{\"message\":\"a\"}\n\n{\"message\":\"b\\n\",\"x\":[{\"message\":\"no\"}]}\r\n{\"message\":3}";
    assert_eq!(messages(body).unwrap(), ["a", "b\n", "3"]);
    assert_eq!(messages("").unwrap(), [""; 0]);
    // Of a name that is there twice, the last counts.
    assert_eq!(messages(r#"{"message":"a","message":"b"}"#).unwrap(), ["b"]);
}

#[test]
fn a_line_that_vector_would_not_take_spoils_all() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    for bad in [
        "x",
        "[{}]",
        "3",
        "{} {}",
        "{",
        "{\"a\":1e999}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\t\"}",
        "{\"\\ud800\":1}",
        "{\"a\":NaN}",
        "{a:1}",
        "{\"a\":1,}",
        &deep,
    ] {
        let body = format!("{{\"message\":\"good\"}}\n{bad}\n");
        let refused = messages(&body).unwrap_err();
        assert_eq!(refused.status, 400, "{bad}");
        assert!(refused.why.starts_with("Failed decoding body: line 2: "));
    }
    assert_eq!(
        check(Protocol::Ndjson, b"\"\xff\"").unwrap_err().status,
        400
    );
}

proptest! {
    #[test]
    fn as_strict_as_the_parser_behind_vector(line in "[\\[\\]{}\",:\\\\a0-9eE.u -]{0,24}") {
        let line = format!("{{{line}}}");
        let want = serde_json::from_str::<serde_json::Map<String, Value>>(&line).is_ok();
        prop_assert_eq!(check(Protocol::Ndjson, line.as_bytes()).is_ok(), want);
    }

    #[test]
    fn any_bytes_are_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for protocol in [Protocol::Ndjson, Protocol::Otlp] {
            let whole = check(protocol, &bytes);
            let mut records = 0;
            let got = each(protocol, &bytes, &mut |seen| {
                records += 1;
                assert!(serde_json::from_str::<Value>(&seen.json()).is_ok());
            });
            if let Ok(whole) = whole {
                prop_assert_eq!(got, Ok(whole));
                prop_assert_eq!(records, whole);
            }
        }
    }
}

fn string(text: &str) -> Option<AnyValue> {
    value(Any::StringValue(text.to_owned()))
}

fn value(value: Any) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

fn attribute(key: &str, value: Option<AnyValue>) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value,
        ..KeyValue::default()
    }
}

fn request(log_records: Vec<LogRecord>) -> Vec<u8> {
    let resource = Resource {
        attributes: vec![
            attribute("service.name", string("shop-web")),
            attribute("podvisor.service", string("web")),
        ],
        ..Resource::default()
    };
    let scope_logs = vec![ScopeLogs {
        log_records,
        ..ScopeLogs::default()
    }];
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource),
            scope_logs,
            ..ResourceLogs::default()
        }],
    }
    .encode_to_vec()
}

#[test]
fn otlp_has_the_same_names() {
    let list = Any::ArrayValue(ArrayValue {
        values: vec![AnyValue {
            value: Some(Any::IntValue(-1)),
        }],
    });
    let body = request(vec![
        LogRecord {
            time_unix_nano: 1_700_000_000_000_000_001,
            severity_number: 13,
            body: string("hello"),
            attributes: vec![
                attribute("log.iostream", string("stderr")),
                attribute("log.record.uid", string("00ab.1.7")),
                attribute("list", value(list)),
            ],
            trace_id: vec![0xAB; 16],
            ..LogRecord::default()
        },
        LogRecord {
            severity_text: "WARNING".to_owned(),
            severity_number: 13,
            body: value(Any::BoolValue(true)),
            ..LogRecord::default()
        },
    ]);
    let mut all = Vec::new();
    let mut take = |seen: &Seen<'_>| {
        let json: Value = serde_json::from_str(&seen.json()).unwrap();
        all.push((seen.message.clone().into_owned(), seen.seq, json));
    };
    assert_eq!(each(Protocol::Otlp, &body, &mut take), Ok(2));
    let resource = json!({ "service.name": "shop-web", "podvisor.service": "web" });
    let first = json!({
        "timestamp": "2023-11-14T22:13:20.000000001Z", "service": "web", "stream": "stderr",
        "source_id": "00ab", "seq": 7, "level": "warn", "severity_number": 13,
        "trace_id": "ab".repeat(16), "message": "hello",
        "attributes": { "log.iostream": "stderr", "log.record.uid": "00ab.1.7", "list": [-1] },
        "resource": resource,
    });
    let second = json!({
        "service": "web", "level": "WARNING", "severity_number": 13, "message": true,
        "attributes": {}, "resource": resource,
    });
    assert_eq!(all[0], ("hello".to_owned(), Some(7), first));
    assert_eq!(all[1], ("true".to_owned(), None, second));
}

#[test]
fn a_broken_request_is_refused_whole() {
    let mut body = request(vec![LogRecord::default()]);
    assert_eq!(check(Protocol::Otlp, &body), Ok(1));
    body.pop();
    assert_eq!(check(Protocol::Otlp, &body).unwrap_err().status, 400);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 1).unwrap()
}

#[test]
fn packed_apart_and_joined() {
    for (encoding, pack) in [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("ZSTD", zstd)] {
        let body = [pack(b"one "), pack(b""), pack(b"two")].concat();
        assert_eq!(unpack(encoding, body.into()).unwrap(), "one two");
        let mut cut = pack(b"some text that is cut");
        cut.truncate(cut.len() - 5);
        assert_eq!(unpack(encoding, cut.into()).unwrap_err().status, 422);
    }
    assert_eq!(unpack("", Bytes::from_static(b"x")).unwrap(), "x");
    assert_eq!(unpack("br", Bytes::new()).unwrap_err().status, 415);
}

#[test]
fn a_bomb_is_not_unpacked() {
    let bomb = zstd(&vec![b'x'; MAX_BODY + 1]);
    assert!(bomb.len() < 100_000);
    assert_eq!(unpack("zstd", bomb.into()).unwrap_err().status, 413);
}
