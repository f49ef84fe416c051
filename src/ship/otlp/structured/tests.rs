//! Against serde_json's idea of the same text.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Otlp;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use proptest::prelude::*;
use prost::Message;
use serde_json::Value;

use super::*;
use crate::ship::samples::any_json;

fn decoded(text: &str) -> Option<AnyValue> {
    let mut out = Vec::new();
    value(text.as_bytes(), &mut out)?;
    Some(AnyValue::decode(out.as_slice()).unwrap())
}

fn wanted(json: &Value) -> AnyValue {
    let value = match json {
        Value::Null => None,
        Value::Bool(b) => Some(Otlp::BoolValue(*b)),
        Value::Number(n) => Some(match n.as_i64() {
            Some(n) => Otlp::IntValue(n),
            None => Otlp::DoubleValue(n.as_f64().unwrap()),
        }),
        Value::String(s) => Some(Otlp::StringValue(s.clone())),
        Value::Array(items) => Some(Otlp::ArrayValue(ArrayValue {
            values: items.iter().map(wanted).collect(),
        })),
        Value::Object(entries) => Some(Otlp::KvlistValue(KeyValueList {
            values: entries
                .iter()
                .map(|(key, value)| KeyValue {
                    key: key.clone(),
                    value: Some(wanted(value)),
                    ..KeyValue::default()
                })
                .collect(),
        })),
    };
    AnyValue { value }
}

proptest! {
    #[test]
    fn json_becomes_what_it_is(json in any_json(), pretty in any::<bool>()) {
        let text = if pretty { format!("\n{json:#} ") } else { json.to_string() };
        prop_assert_eq!(decoded(&text), Some(wanted(&json)));
    }

    #[test]
    fn any_text_is_read_to_an_end(text in "[\\[\\]{}\",:\\\\u0-9ae.\\PC-]{0,80}") {
        let _ = decoded(&text);
    }

    #[test]
    fn any_bytes_are_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = value(&bytes, &mut Vec::new());
        let _ = value(&[b"{\"a\":\"", bytes.as_slice(), b"\"}"].concat(), &mut Vec::new());
    }
}

#[test]
fn escapes() {
    let text = r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud800x\ud800\u0041\udc00""#;
    let want = "\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}\u{fffd}x\u{fffd}A\u{fffd}";
    let got = decoded(text).and_then(|v| v.value);
    assert_eq!(got, Some(Otlp::StringValue(want.to_owned())));
}

#[test]
fn numbers() {
    for (text, want) in [
        ("-9223372036854775808", Otlp::IntValue(i64::MIN)),
        (
            "9223372036854775808",
            Otlp::DoubleValue(9_223_372_036_854_775_808.0),
        ),
        ("1e2", Otlp::DoubleValue(100.0)),
        ("-0.5", Otlp::DoubleValue(-0.5)),
    ] {
        assert_eq!(decoded(text).and_then(|v| v.value), Some(want), "{text}");
    }
}

#[test]
fn what_is_no_json_is_refused() {
    for text in [
        "",
        "{",
        "[1",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "tru",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "-",
        "1e",
        "{} x",
        "[,]",
        "{1:2}",
    ] {
        assert_eq!(decoded(text), None, "{text}");
    }
    assert_eq!(value(b"\"\xff\"", &mut Vec::new()), None);
}

#[test]
fn nesting_has_an_end() {
    let nested = |n: usize| format!("{}1{}", "{\"a\":".repeat(n), "}".repeat(n));
    let deepest = usize::from(MAX_DEPTH);
    assert!(decoded(&nested(deepest)).is_some());
    assert_eq!(decoded(&nested(deepest + 1)), None);
    assert_eq!(decoded(&"[".repeat(100_000)), None);
}

#[test]
fn a_name_that_occurs_twice_makes_it_text() {
    for text in [r#"{"a":1,"a":2}"#, r#"{"o":{"b":1,"\u0062":2}}"#] {
        assert!(value(text.as_bytes(), &mut Vec::new()).is_none(), "{text}");
    }
    assert!(value(br#"{"a":{"a":1},"b":{"a":1}}"#, &mut Vec::new()).is_some());
}
