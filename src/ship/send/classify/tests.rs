//! The rules as tables.

use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

fn answer(status: u16, headers: Headers<'_>, body: &[u8]) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: map(headers),
        body: body.to_vec(),
        trailers: HeaderMap::new(),
        whole: true,
    }
}

fn map(headers: Headers<'_>) -> HeaderMap {
    let header = |(name, value): &(&'static str, &str)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )
    };
    headers.iter().map(header).collect()
}

/// 6 November 1994, 08:49:37 UTC: the date in RFC 9110.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
}

type Headers<'a> = &'a [(&'static str, &'a str)];
type Rule = fn(&Answer, SystemTime, &Clean) -> Verdict;

fn judge(rule: Rule, answer: &Answer) -> Verdict {
    rule(answer, now(), &Clean::new())
}

/// A verdict in few letters: the failure's label, with `?` if it is suspect.
fn brief(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Delivered { rejected } => format!("delivered-{rejected}"),
        Verdict::TooLarge => "too large".to_owned(),
        Verdict::Malformed { .. } => "malformed".to_owned(),
        Verdict::Retry(failure) => {
            assert!(!failure.stale && !failure.message.is_empty());
            format!(
                "{}{}",
                failure.reason.as_str(),
                if failure.suspect { "?" } else { "" }
            )
        }
    }
}

#[test]
fn statuses_over_http() {
    let table: [(u16, &str, &str); 22] = [
        (200, "delivered-0", "delivered-0"),
        (202, "delivered-0", "delivered-0"),
        (204, "delivered-0", "delivered-0"),
        (301, "http_4xx", "http_4xx"),
        (400, "malformed", "malformed"),
        (401, "http_4xx", "http_4xx"),
        (403, "http_4xx", "http_4xx"),
        (404, "http_4xx", "http_4xx"),
        (405, "http_4xx", "http_4xx"),
        (406, "http_4xx", "http_4xx"),
        (407, "http_4xx", "http_4xx"),
        (408, "http_4xx", "http_4xx"),
        (413, "too large", "too large"),
        (415, "http_4xx", "http_4xx"),
        (422, "malformed", "malformed"),
        (429, "http_429", "http_429"),
        (451, "http_4xx", "http_4xx"),
        (500, "http_5xx", "http_5xx?"),
        (501, "http_5xx", "http_5xx"),
        (502, "http_5xx", "http_5xx"),
        (503, "http_5xx", "http_5xx"),
        (599, "http_5xx", "http_5xx"),
    ];
    for (status, by_ndjson, by_otlp) in table {
        let answer = answer(status, &[], b"");
        assert_eq!(brief(&judge(ndjson, &answer)), by_ndjson, "{status}");
        assert_eq!(brief(&judge(otlp, &answer)), by_otlp, "{status}");
    }
}

#[test]
fn vectors_400_has_two_meanings() {
    let body = br#"{"code":400,"message":"Contents failed to deliver to sink"}"#;
    let Verdict::Retry(failure) = judge(ndjson, &answer(400, &[], body)) else {
        panic!()
    };
    assert_eq!((failure.reason, failure.suspect), (Reason::Http4xx, true));
    assert_eq!(
        failure.message,
        "400 Bad Request: Contents failed to deliver to sink"
    );
    let body = br#"{"code":400,"message":"Failed decoding body: ParsingError(x)"}"#;
    let message = "400 Bad Request: Failed decoding body: ParsingError(x)".to_owned();
    assert_eq!(
        judge(ndjson, &answer(400, &[], body)),
        Verdict::Malformed { message }
    );
}

#[test]
fn messages_come_from_what_is_said() {
    let protobuf = [("content-type", "application/x-protobuf")];
    let status = b"\x08\x03\x12\x07bad\nlog";
    let table: [(Headers<'_>, &[u8], &str); 6] = [
        (&protobuf, status, "400 Bad Request: bad log"),
        (&protobuf, b"\xff\xff", "400 Bad Request"),
        (
            &[("content-type", "text/html; charset=utf-8")],
            b"<h1>",
            "400 Bad Request",
        ),
        (
            &[("content-type", "application/json")],
            br#"{"error":"no"}"#,
            "400 Bad Request: no",
        ),
        (&[], b"plain\r\nwords", "400 Bad Request: plain words"),
        (&[], br#"{"code":3}"#, r#"400 Bad Request: {"code":3}"#),
    ];
    for (headers, body, expected) in table {
        let message = expected.to_owned();
        assert_eq!(
            judge(otlp, &answer(400, headers, body)),
            Verdict::Malformed { message }
        );
    }
}

#[test]
fn waits_are_read_and_bounded() {
    let table: [(Headers<'_>, Option<u64>); 12] = [
        (&[("retry-after", "5")], Some(5)),
        (&[("retry-after", "0")], Some(0)),
        (&[("retry-after", "3600")], Some(60)),
        (&[("retry-after", "99999999999999999999999")], Some(60)),
        (&[("retry-after", "-5")], None),
        (&[("retry-after", "")], None),
        (&[("retry-after", "soon")], None),
        (
            &[("retry-after", "Sun, 06 Nov 1994 08:49:57 GMT")],
            Some(20),
        ),
        (&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], None),
        (
            &[("retry-after", "Tue, 07 Nov 2034 08:49:37 GMT")],
            Some(60),
        ),
        (&[("retry-after", "Sun, 06 Nov 1984 08:49:37 GMT")], None),
        (
            &[
                ("retry-after", "Mon, 07 Nov 1994 00:00:30 GMT"),
                ("date", "Mon, 07 Nov 1994 00:00:00 GMT"),
            ],
            Some(30),
        ),
    ];
    for (headers, expected) in table {
        for status in [429, 503] {
            let Verdict::Retry(failure) = judge(ndjson, &answer(status, headers, b"")) else {
                panic!()
            };
            assert_eq!(
                failure.after,
                expected.map(Duration::from_secs),
                "{headers:?}"
            );
        }
    }
}

fn ended(code: i32, message: &str) -> Answer {
    let code = code.to_string();
    let mut answer = answer(200, &[("content-type", "application/grpc")], b"\0\0\0\0\0");
    answer.trailers = map(&[("grpc-status", &code), ("grpc-message", message)]);
    answer
}

#[test]
fn statuses_over_grpc() {
    let table = [
        (0, "", "delivered-0"),
        (1, "", "http_5xx"),
        (2, "", "http_5xx?"),
        (3, "", "malformed"),
        (4, "", "timeout"),
        (5, "", "http_4xx"),
        (6, "", "http_4xx?"),
        (7, "", "http_4xx"),
        (8, "quota", "http_429"),
        (
            8,
            "grpc: received message larger than max (5000000 vs. 4194304)",
            "too large",
        ),
        (
            8,
            "gRPC message exceeds maximum size 4194304: 5000000",
            "too large",
        ),
        (9, "", "http_4xx?"),
        (10, "", "http_5xx"),
        (11, "", "http_5xx"),
        (
            11,
            "Error, decoded message length too large: found 9 bytes, the limit is: 4 bytes",
            "too large",
        ),
        (12, "", "http_4xx"),
        (13, "", "http_5xx?"),
        (14, "", "http_5xx"),
        (15, "", "http_5xx?"),
        (16, "", "http_4xx"),
        (99, "", "http_5xx?"),
    ];
    for (code, message, expected) in table {
        assert_eq!(
            brief(&judge(grpc, &ended(code, message))),
            expected,
            "{code} {message}"
        );
    }
}

#[test]
fn answers_that_are_no_grpc() {
    let kind = [("content-type", "application/grpc+proto")];
    let mut cut = answer(200, &kind, b"");
    cut.whole = false;
    assert_eq!(brief(&judge(grpc, &cut)), "connect");
    assert_eq!(brief(&judge(grpc, &answer(200, &kind, b""))), "http_5xx");
    for (status, expected) in [
        (200, "http_4xx"),
        (400, "http_4xx"),
        (404, "http_4xx"),
        (413, "too large"),
        (429, "http_429"),
        (502, "http_5xx"),
    ] {
        assert_eq!(
            brief(&judge(grpc, &answer(status, &[], b"<html>"))),
            expected,
            "{status}"
        );
    }
    // A status counts, whatever HTTP says.
    let mut refused = answer(503, &[], b"");
    refused.headers = map(&[("grpc-status", "16")]);
    assert_eq!(brief(&judge(grpc, &refused)), "http_4xx");
}

proptest! {
    #[test]
    fn any_answer_has_a_verdict(
        status in 100u16..1000,
        body in prop::collection::vec(any::<u8>(), 0..300),
        header in "[ -~]{0,40}",
        kind in 0usize..4,
    ) {
        let kinds = ["text/html", "application/x-protobuf", "application/grpc", "application/json"];
        let headers = [("content-type", kinds[kind]), ("retry-after", &header), ("grpc-message", &header)];
        let mut answer = answer(status, &headers, &body);
        for rule in [ndjson as Rule, otlp, grpc] {
            for code in [None, Some("0"), Some("3"), Some("8"), Some("x")] {
                if let Some(code) = code {
                    answer.trailers = map(&[("grpc-status", code), ("grpc-status-details-bin", &header)]);
                }
                if let Verdict::Malformed { message } | Verdict::Retry(Failure { message, .. }) = judge(rule, &answer) {
                    prop_assert!(message.len() <= super::super::MAX_MESSAGE);
                    prop_assert!(!message.chars().any(char::is_control));
                }
            }
        }
    }
}
