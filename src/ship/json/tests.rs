//! The scanner against `serde_json`.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

fn accepted(line: &[u8]) -> bool {
    serde_json::from_slice::<Value>(line).is_ok_and(|v| v.is_object())
}

#[test]
fn takes_what_is_sound() {
    for line in [
        r#"{}"#,
        "  { } \t",
        r#"{"a":[],"b":{},"c":[1,-0,0.5,1e5,1E-5,-2.5e+3],"d":true,"e":false,"f":null}"#,
        r#"{"a":"\"\\\/\b\f\n\r\t\u0041\ud83d\ude00\u0000"}"#,
        r#"{"ключ":"значение 😀"}"#,
        r#"{"a":1e307,"b":1e-400,"c":123456789012345678901234567890}"#,
        r#"{ "a" : [ 1 , 2 ] , "b" : { "c" : "d" } }"#,
    ] {
        assert!(scan(line.as_bytes()).is_some(), "{line}");
        assert!(accepted(line.as_bytes()), "{line}");
    }
}

#[test]
fn refuses_what_is_not() {
    let deep = format!("{}1{}", "{\"a\":".repeat(65), "}".repeat(65));
    for line in [
        "",
        " ",
        "1",
        "[]",
        "\"a\"",
        "null",
        "{",
        "}",
        "{}}",
        "{} x",
        "{}{}",
        "{,}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":[1}"#,
        r#"{"a":1]"#,
        r#"{a:1}"#,
        r#"{'a':1}"#,
        r#"{"a":01}"#,
        r#"{"a":-}"#,
        r#"{"a":1.}"#,
        r#"{"a":.5}"#,
        r#"{"a":+1}"#,
        r#"{"a":1e}"#,
        r#"{"a":1e999}"#,
        r#"{"a":-1e309}"#,
        r#"{"a":NaN}"#,
        r#"{"a":Infinity}"#,
        r#"{"a":tru}"#,
        r#"{"a":truex}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12"}"#,
        r#"{"a":"\u12g4"}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\ud800\u0041"}"#,
        r#"{"a":"\udc00"}"#,
        r#"{"a":"unfinished}"#,
        r#"{"a":"b\"}"#,
        "{\"a\":\"\t\"}",
        "{\"a\":\"\0\"}",
        "{\"a\":1}\0",
        "{\n\"a\":1}",
        "\u{FEFF}{}",
        &deep,
    ] {
        assert_eq!(scan(line.as_bytes()), None, "{line}");
    }
    assert_eq!(scan(b"{\"a\":\"\xff\"}"), None);
    assert_eq!(scan(b"{\"a\":\"\xed\xa0\x80\"}"), None);
    let digits = format!("{{\"a\":{}}}", "9".repeat(400));
    assert_eq!(scan(digits.as_bytes()), None);
}

#[test]
fn depth_of_64_is_taken() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(63), "]".repeat(63));
    assert!(scan(deep.as_bytes()).is_some());
    let deeper = format!("{{\"a\":{}1{}}}", "[".repeat(64), "]".repeat(64));
    assert_eq!(scan(deeper.as_bytes()), None);
}

#[test]
fn finds_what_matters_by_rank_not_by_order() {
    let line = br#"{"@m":"c","msg":"b","message":"a \"q\"","lvl":"x","severity":3,"ts":1.5,"time":"now","traceId":"t","trace_id":"u","spanId":"s"}"#;
    let object = scan(line).unwrap();
    assert_eq!(object.message, Some(&br#"a \"q\""#[..]));
    assert_eq!(object.level, Some(Scalar::Number(b"3")));
    assert!(object.under_severity);
    assert_eq!(object.time, Some(Scalar::Text(b"now")));
    assert_eq!(object.trace_id, Some(&b"u"[..]));
    assert_eq!(object.span_id, Some(&b"s"[..]));
}

#[test]
fn values_of_another_type_and_nested_ones_are_not_taken() {
    let line = br#"{"message":{"a":1},"event":"e","level":null,"a":{"level":"error","trace_id":"x"},"trace_id":5,"dd.trace_id":"7"}"#;
    let object = scan(line).unwrap();
    assert_eq!(object.message, Some(&b"e"[..]));
    assert_eq!((object.level, object.trace_id), (None, None));
}

#[test]
fn ecs_nests_its_level() {
    let object = scan(br#"{"log":{"logger":"x","level":"warn","a":{"level":"no"}}}"#).unwrap();
    assert_eq!(object.level, Some(Scalar::Text(b"warn")));
    assert_eq!(object.message, None);
    let object = scan(br#"{"log":"docker says"}"#).unwrap();
    assert_eq!(object.message, Some(&b"docker says"[..]));
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300).prop_map(Value::from),
        (-1.0..1.0).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

fn any_object() -> impl Strategy<Value = Map<String, Value>> {
    let name = prop_oneof![
        "level|msg|message|time|log|trace_id|severity",
        any::<String>()
    ];
    prop::collection::vec((name, any_value()), 0..8).prop_map(|m| m.into_iter().collect())
}

proptest! {
    #[test]
    fn takes_every_serialised_object(object in any_object(), wrap in 0usize..50) {
        let mut value = Value::Object(object);
        for _ in 0..wrap {
            value = serde_json::json!({ "log": [value] });
            if wrap > 28 { break; }
        }
        let line = serde_json::to_vec(&value).unwrap();
        prop_assert!(scan(&line).is_some());
    }

    #[test]
    fn whatever_it_takes_serde_takes(
        object in any_object(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..4),
    ) {
        let mut line = serde_json::to_vec(&Value::Object(object)).unwrap();
        for (at, byte, edit) in edits {
            if line.is_empty() { break; }
            let at = at.index(line.len());
            match edit {
                0 => line[at] = byte,
                1 => line.insert(at, byte),
                _ => { line.remove(at); }
            }
        }
        if scan(&line).is_some() {
            prop_assert!(accepted(&line), "{}", String::from_utf8_lossy(&line));
        }
    }

    #[test]
    fn whatever_it_takes_of_json_like_text_serde_takes(
        line in r#"\{("[a\\u"0dD8-9]{0,12}":?|[-0-9eE.+]{1,6}|[\[\]{},: \t\n\r]|true|null){0,12}\}"#,
    ) {
        if scan(line.as_bytes()).is_some() {
            prop_assert!(accepted(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn numbers_as_serde_has_them(number in "-?[0-9]{1,4}(\\.[0-9]{0,4})?([eE][-+]?[0-9]{0,4})?") {
        let line = format!("{{\"a\":{number}}}");
        if scan(line.as_bytes()).is_some() {
            prop_assert!(accepted(line.as_bytes()), "{line}");
        }
    }
}
