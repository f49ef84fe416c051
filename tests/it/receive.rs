//! `podvisor receive`: what it takes, shows and counts, and how it fails to order.

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1 as collector;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use serde_json::{Value, json};

use crate::support::receiver::{Answer, Receiver, post, post_for};
use crate::support::{Done, Place, Running, get, wait_until};

const PROTOBUF: &str = "Content-Type: application/x-protobuf";

/// The command, listening.
struct Command {
    running: Running,
    port: u16,
}

impl Command {
    fn start(place: &Place, args: &[&str]) -> Self {
        let args = [&["receive", "--listen", "127.0.0.1:0"], args].concat();
        let mut running = Running::start(place, &args);
        let line = running.wait_line("! listening on http://127.0.0.1:");
        let port = line.rsplit(':').next().unwrap().parse().unwrap();
        Self { running, port }
    }

    fn post(&self, body: &str) -> Answer {
        post(self.port, "/", &[], body.as_bytes()).unwrap()
    }

    fn counts(&self) -> Value {
        let (status, body) = get(self.port, "/counts").unwrap();
        assert_eq!(status, 200);
        serde_json::from_str(&body).unwrap()
    }

    fn stop(self) -> Done {
        let done = self.running.stop();
        assert_eq!(done.code(), 0, "{}", done.stderr);
        done
    }
}

/// A line as the sinks write it.
fn line(seq: u64, message: &str) -> String {
    let record = json!({
        "timestamp": "2026-11-23T10:20:30.123456789Z", "service": "web", "stream": "stdout",
        "source_id": "00ab", "seq": seq, "level": "info", "message": message,
    });
    format!("{record}\n")
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn attribute(key: &str, text: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: string(text),
        ..KeyValue::default()
    }
}

fn string(text: &str) -> Option<AnyValue> {
    let value = Some(Any::StringValue(text.to_owned()));
    Some(AnyValue { value })
}

/// An OTLP request with one record for each message.
fn otlp(messages: &[&str]) -> Vec<u8> {
    let record = |(seq, message): (usize, &&str)| LogRecord {
        time_unix_nano: 1_700_000_000_000_000_000,
        severity_number: 17,
        body: string(message),
        attributes: vec![
            attribute("log.iostream", "stderr"),
            attribute("log.record.uid", &format!("00ab.0.{seq}")),
        ],
        ..LogRecord::default()
    };
    let resource = Resource {
        attributes: vec![attribute("service.name", "db")],
        ..Resource::default()
    };
    let scope_logs = vec![ScopeLogs {
        log_records: messages.iter().enumerate().map(record).collect(),
        ..ScopeLogs::default()
    }];
    collector::ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource),
            scope_logs,
            ..ResourceLogs::default()
        }],
    }
    .encode_to_vec()
}

#[test]
fn ndjson_is_taken_however_it_is_packed() {
    let place = Place::new();
    let out = place.path("out");
    let command = Command::start(&place, &["--out", &out]);
    let members = [gzip(&line(1, "b")), gzip(&line(2, "c"))].concat();
    let zstd = zstd::bulk::compress(line(3, "d\u{1b}[2J").as_bytes(), 3).unwrap();
    let lines = [
        line(0, "a"),
        line(1, "b"),
        line(2, "c"),
        line(3, "d\u{1b}[2J"),
    ];
    let bytes: usize = lines.iter().map(String::len).sum();
    let wire = lines[0].len() + members.len() + zstd.len();
    for (encoding, body) in [
        ("identity", lines[0].clone().into_bytes()),
        ("gzip", members),
        ("zstd", zstd),
    ] {
        let header = format!("Content-Encoding: {encoding}");
        let answer = post(command.port, "/any/path", &[&header], &body).unwrap();
        assert_eq!(answer.status, 200, "{encoding}: {}", answer.text());
    }
    let counts = command.counts();
    assert_eq!(counts["requests"], 3);
    assert_eq!(counts["records"], 4);
    assert_eq!(counts["services"]["web"]["last"], 3);
    assert_eq!(
        (&counts["wire_bytes"], &counts["bytes"]),
        (&wire.into(), &bytes.into())
    );
    assert_eq!(get(command.port, "/ping"), Some((200, "pong".to_owned())));

    let done = command.stop();
    let first = "2026-11-23T10:20:30.123Z web          stdout info  a";
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(lines[0], first);
    assert!(lines[3].ends_with(" d^[[2J"), "{}", lines[3]);
    assert!(lines[4].starts_with("3 requests, 0 failed; 4 records, "));
    let service = "  web          4 records, 0 duplicates, 0 missing in 0 gaps, numbers 0 to 3";
    assert_eq!(lines[5], service);
    assert_eq!(place.read("out").lines().next(), Some(line(0, "a").trim()));
    assert_eq!(place.read("out").lines().count(), 4);
}

#[test]
fn one_bad_line_and_nothing_is_kept() {
    let place = Place::new();
    let out = place.path("out");
    let command = Command::start(&place, &["--out", &out]);
    let answer = command.post(&format!("{}not json\n", line(0, "good")));
    assert_eq!(answer.status, 400);
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["code"], 400);
    let message = body["message"].as_str().unwrap();
    assert!(message.starts_with("Failed decoding body: line 2"));
    for (header, status) in [("br", 415), ("gzip", 422)] {
        let header = format!("Content-Encoding: {header}");
        let answer = post(command.port, "/", &[&header], b"not packed").unwrap();
        assert_eq!(answer.status, status);
    }
    let counts = command.counts();
    assert_eq!(
        (&counts["failed"], &counts["records"]),
        (&3.into(), &0.into())
    );
    let done = command.stop();
    assert!(done.stderr.contains("! 400 /: Failed decoding body"));
    assert_eq!(done.stdout.lines().count(), 1);
    assert_eq!(place.read("out"), "");
}

#[test]
fn otlp_is_taken_and_answered_in_kind() {
    let place = Place::new();
    let command = Command::start(&place, &["-o", "json"]);
    for path in ["/v1/logs", "/otlp/v1/logs"] {
        let answer = post(command.port, path, &[PROTOBUF], &otlp(&["x", "y"])).unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.head.contains("application/x-protobuf"));
        let response = collector::ExportLogsServiceResponse::decode(&answer.body[..]).unwrap();
        assert_eq!(response.partial_success, None);
    }
    let json = "Content-Type: application/json";
    let answer = post(command.port, "/v1/logs", &[json], b"{}").unwrap();
    assert_eq!(answer.status, 415);
    let mut broken = otlp(&["x"]);
    broken.pop();
    let answer = post(command.port, "/v1/logs", &[PROTOBUF], &broken).unwrap();
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("Failed decoding body"));

    let counts = command.counts();
    assert_eq!(counts["services"]["db"]["records"], 4);
    // The same records on another path have come to another receiver.
    assert_eq!(counts["duplicates"], 0);
    let done = command.stop();
    let first: Value = serde_json::from_str(done.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["message"], &first["level"]),
        (&"x".into(), &"error".into())
    );
    assert_eq!(
        (&first["source_id"], &first["seq"]),
        (&"00ab".into(), &0.into())
    );
    assert_eq!(done.stdout.lines().count(), 4);
    assert!(done.stderr.contains("4 requests, 2 failed; 4 records"));
}

#[test]
fn what_comes_twice_and_what_is_missing_is_found() {
    let place = Place::new();
    let command = Command::start(&place, &["-o", "counts"]);
    for seqs in [&[0, 1, 2][..], &[1, 2, 3], &[9, 6]] {
        let body: String = seqs.iter().map(|seq| line(*seq, "m")).collect();
        assert_eq!(command.post(&body).status, 200);
    }
    let live = command.counts();
    let done = command.stop();
    let counts: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(counts, live);
    let web = json!({
        "records": 8, "duplicates": 2, "missing": 4, "gaps": 2, "first": 0, "last": 9,
    });
    assert_eq!(counts["services"]["web"], web);
    assert_eq!(counts["missing"], 4);
}

#[test]
fn faults_strike_as_asked() {
    let place = Place::new();
    let faults = [
        "--fail",
        "429:1x:retry-after=2",
        "--fail",
        "400-if:poison",
        "--fail",
        "413-over:1KB",
    ];
    let command = Command::start(&place, &[&faults[..], &["--quiet"]].concat());
    let answer = command.post(&line(0, "a"));
    assert_eq!(answer.status, 429);
    assert!(answer.head.contains("\r\nretry-after: 2\r\n"));
    assert_eq!(command.post(&line(0, "some poison")).status, 400);
    assert_eq!(command.post(&line(0, &"x".repeat(1000))).status, 413);
    assert_eq!(command.post(&line(0, "a")).status, 200);
    let done = command.stop();
    assert!(done.stdout.starts_with("4 requests, 3 failed; 1 record, "));
    assert!(!done.stderr.contains("! 429"), "{}", done.stderr);
}

#[test]
fn no_answer_and_half_answers() {
    let receiver = Receiver::start(&["hang:1x", "reset:1x", "lost:1x", "partial:2x"]);
    let body = [line(0, "a"), line(1, "b")].concat();
    let send = |patience| post_for(patience, receiver.port(), "/", &[], body.as_bytes());
    let error = send(Duration::from_millis(50)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    for kept in [0, 2] {
        let error = send(Duration::from_secs(10)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(receiver.records().len(), kept);
    }
    assert_eq!(send(Duration::from_secs(10)).unwrap().status, 500);
    assert_eq!(receiver.records().len(), 3);

    let body = otlp(&["x", "y", "z"]);
    let answer = post(receiver.port(), "/v1/logs", &[PROTOBUF], &body).unwrap();
    assert_eq!(answer.status, 200);
    let response = collector::ExportLogsServiceResponse::decode(&answer.body[..]).unwrap();
    assert_eq!(response.partial_success.unwrap().rejected_log_records, 1);

    let counts = receiver.counts();
    assert_eq!((counts.requests, counts.failed), (5, 4));
    assert_eq!((counts.records, counts.duplicates), (5, 1));
    let refused = receiver.refused();
    assert_eq!(refused[0], "0 /: no answer, as asked for");
    assert_eq!(
        refused[3],
        "500 /: Contents failed to deliver to sink, as asked for"
    );
}

#[test]
fn bodies_are_read_slowly_if_asked() {
    let receiver = Receiver::start(&["slow:20KB/s"]);
    let began = Instant::now();
    let body = line(0, &"x".repeat(2000));
    let answer = post(receiver.port(), "/", &[], body.as_bytes()).unwrap();
    assert_eq!(answer.status, 200);
    assert!(began.elapsed() > Duration::from_millis(100));
}

#[test]
fn the_command_can_be_down() {
    let place = Place::new();
    let command = Command::start(&place, &["--fail", "down:0s-1h"]);
    let refused = || get(command.port, "/ping").is_none();
    wait_until("connections are refused", refused, String::new);
    command.stop();
}

#[test]
fn it_goes_down_and_comes_back_on_its_port() {
    let receiver = Receiver::start(&[]);
    let send = |seq| {
        let body = line(seq, "m");
        post(receiver.port(), "/", &[], body.as_bytes())
    };
    for seq in 0..3 {
        assert_eq!(send(seq).unwrap().status, 200);
        receiver.down();
        let error = send(seq).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        receiver.up();
    }
    receiver.fail(&["503"]);
    assert_eq!(send(3).unwrap().status, 503);
    receiver.fail(&[]);
    assert_eq!(send(3).unwrap().status, 200);
    let records = receiver.wait_count(4);
    let seqs: Vec<u64> = records.iter().filter_map(|r| r["seq"].as_u64()).collect();
    assert_eq!(seqs, [0, 1, 2, 3]);
    assert_eq!(receiver.counts().gaps, 0);
    assert!(
        receiver
            .url("/x")
            .ends_with(&format!(":{}/x", receiver.port()))
    );
}

#[test]
fn connections_are_kept_and_cut_when_it_goes_down() {
    use std::io::Read;
    let receiver = Receiver::start(&[]);
    let mut peer = std::net::TcpStream::connect(("127.0.0.1", receiver.port())).unwrap();
    let mut buffer = [0; 1024];
    for _ in 0..2 {
        peer.write_all(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let size = peer.read(&mut buffer).unwrap();
        assert!(buffer[..size].ends_with(b"pong"));
    }
    receiver.down();
    assert!(matches!(peer.read(&mut buffer), Ok(0) | Err(_)));
}

#[test]
fn mistakes_are_told_before_it_listens() {
    let place = Place::new();
    let done = Running::start(&place, &["receive", "--fail", "expolde"]).wait();
    assert_eq!(done.code(), 64);
    assert!(
        done.stderr.contains("`expolde` is no fault"),
        "{}",
        done.stderr
    );

    let receiver = Receiver::start(&[]);
    let address = format!("127.0.0.1:{}", receiver.port());
    let done = Running::start(&place, &["receive", "--listen", &address]).wait();
    assert_eq!(done.code(), 1);
    assert!(
        done.stderr
            .contains(&format!("{address}: Address already in use"))
    );
}

#[test]
fn it_ends_when_nothing_can_be_written() {
    let place = Place::new();
    let command = Command::start(&place, &["--out", "/dev/full"]);
    assert_eq!(command.post(&line(0, "a")).status, 500);
    let done = command.running.wait();
    assert_eq!(done.code(), 1);
    assert!(done.stderr.contains("No space left on device"));
}
