//! What a strict parser makes of the lines.

use serde_json::{Value, json};

use super::*;
use crate::ship::record::Severity;
use crate::ship::samples::{Sample, any_sample, identity, labels, plain};
use proptest::prelude::*;

fn encoder() -> Ndjson {
    let mut encoder = Ndjson::new(&identity());
    encoder.set_service(ServiceId(0), "db", &BTreeMap::new());
    encoder.set_service(ServiceId(1), "web", &labels());
    encoder.set_service(ServiceId(2), "we\"b", &labels());
    encoder
}

fn encoded(record: &Record<'_>) -> Value {
    let mut out = Vec::new();
    encoder().encode(record, &mut out);
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn all_that_is_known_is_said() {
    let record = Record {
        severity: Severity::NOTICE,
        trace_id: Some([0xAB; 16]),
        span_id: Some([0x0C; 8]),
        ..plain(b"caf\xe9 \"x\"\n")
    };
    let mut out = Vec::new();
    encoder().encode(&record, &mut out);
    let got: Value = serde_json::from_slice(&out).unwrap();
    let want = json!({
        "timestamp": "2023-11-14T22:13:20.000000001Z",
        "service": "web",
        "stream": "stdout",
        "source_id": "00000000000000ab",
        "seq": 7,
        "level": "info",
        "trace_id": "abababababababababababababababab",
        "span_id": "0c0c0c0c0c0c0c0c",
        "message": "caf\u{fffd} \"x\"\n",
        "labels": {"a \"b\"": "\n", "team": "web"},
        "host": "box",
        "kubernetes": {
            "pod_name": "web-1",
            "pod_namespace": "shop",
            "pod_uid": "u-1",
            "pod_node_name": "node \"7\"",
        },
    });
    assert_eq!(got, want);
}

#[test]
fn what_is_not_known_is_left_out() {
    let mut encoder = Ndjson::new(&Identity::default());
    let mut out = Vec::new();
    encoder.encode(&plain(b""), &mut out);
    let got: Value = serde_json::from_slice(&out).unwrap();
    let want = json!({
        "timestamp": "2023-11-14T22:13:20.000000001Z",
        "service": "unknown",
        "stream": "stdout",
        "source_id": "0000000000000000",
        "seq": 7,
        "message": "",
    });
    assert_eq!(got, want);
}

#[test]
fn json_keeps_its_fields_and_gives_its_message() {
    let text = b" {\"msg\":\"a\\tb\",\n\"n\":1e2, \"big\":12345678901234567890}\r\n";
    let record = Record {
        json: true,
        json_message: Some(b"a\\tb"),
        ..plain(text)
    };
    let got = encoded(&record);
    assert_eq!(got["message"], "a\tb");
    let fields = json!({"msg": "a\tb", "n": 1e2, "big": 12_345_678_901_234_567_890u64});
    assert_eq!(got["fields"], fields);
    let got = encoded(&Record {
        json_message: None,
        ..record
    });
    assert_eq!(got["message"], String::from_utf8_lossy(text).as_ref());
}

#[test]
fn pieces_of_a_line_are_numbered() {
    let piece = |part, partial| {
        let got = encoded(&Record {
            part,
            partial,
            ..plain(b"x")
        });
        (got["part"].clone(), got["partial"].clone())
    };
    assert_eq!(piece(0, true), (json!(0), json!(true)));
    assert_eq!(piece(3, false), (json!(3), json!(false)));
    assert_eq!(piece(0, false), (Value::Null, Value::Null));
}

#[test]
fn a_service_can_change_and_go() {
    let mut encoder = encoder();
    encoder.set_service(ServiceId(1), "api", &BTreeMap::new());
    encoder.remove_service(ServiceId(2));
    let mut out = Vec::new();
    for id in [1, 2] {
        let record = Record {
            service: ServiceId(id),
            ..plain(b"")
        };
        encoder.encode(&record, &mut out);
    }
    let names: Vec<Value> = serde_json::Deserializer::from_slice(&out)
        .into_iter::<Value>()
        .map(|line| line.unwrap()["service"].clone())
        .collect();
    assert_eq!(names, ["api", "unknown"]);
}

proptest! {
    #[test]
    fn always_one_strict_line(samples in prop::collection::vec(any_sample(), 0..8)) {
        let (mut encoder, mut out) = (encoder(), Vec::new());
        for sample in &samples {
            encoder.encode(&sample.record(), &mut out);
        }
        let lines: Vec<_> = out.split_inclusive(|b| *b == b'\n').collect();
        prop_assert_eq!(lines.len(), samples.len());
        for (line, sample) in lines.iter().zip(&samples) {
            check(&serde_json::from_slice(line).unwrap(), sample)?;
        }
    }
}

fn check(got: &Value, sample: &Sample) -> Result<(), TestCaseError> {
    let record = sample.record();
    let names = ["db", "web", "we\"b", "unknown"];
    prop_assert_eq!(&got["service"], names[record.service.0 as usize]);
    prop_assert_eq!(&got["stream"], record.stream.as_str());
    prop_assert_eq!(&got["seq"], &json!(record.seq));
    let stamp: jiff::Timestamp = got["timestamp"].as_str().unwrap().parse().unwrap();
    prop_assert_eq!(stamp.as_nanosecond(), i128::from(record.ts_ns));
    prop_assert_eq!(got["level"].as_str(), record.severity.word());
    prop_assert_eq!(
        got["trace_id"].as_str().is_some(),
        record.trace_id.is_some()
    );
    prop_assert_eq!(got["span_id"].as_str().is_some(), record.span_id.is_some());
    prop_assert!(got.get("path").is_none() && got.get("source_type").is_none());
    if record.json {
        let fields: Value = serde_json::from_slice(record.message).unwrap();
        prop_assert_eq!(&got["fields"], &fields);
    } else {
        prop_assert!(got.get("fields").is_none());
    }
    let text = String::from_utf8_lossy(record.message);
    let message = if record.json_message.is_some() {
        "said \"so\" \u{e9}"
    } else {
        &text
    };
    prop_assert_eq!(&got["message"], message);
    Ok(())
}

#[test]
fn a_line_is_as_long_as_the_receiver_takes() {
    let mut ndjson = Ndjson::new(&identity());
    ndjson.set_max_line(2000);
    let messages = [vec![b'x'; 5000], vec![0; 1500], vec![b'y'; 10]];
    for message in &messages {
        let mut out = Vec::new();
        ndjson.encode(
            &Record {
                message,
                ..plain(b"")
            },
            &mut out,
        );
        assert!(out.len() <= 2000);
        let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let kept = line["message"].as_str().unwrap().len();
        assert!(kept > 0 && kept <= message.len());
        assert_eq!(line.get("truncated").is_some(), kept < message.len());
    }
}
