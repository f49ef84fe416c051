//! Against what OpenTelemetry's own types encode, and against anything else.

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceResponse,
};
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::ship::otlp::wire::{put_bytes, put_number};

fn response(rejected_log_records: i64, error_message: &str) -> Vec<u8> {
    let response = ExportLogsServiceResponse {
        partial_success: Some(ExportLogsPartialSuccess {
            rejected_log_records,
            error_message: error_message.to_owned(),
        }),
    };
    response.encode_to_vec()
}

/// A `google.rpc.Status` with one detail, a `RetryInfo` of this many seconds and nanoseconds.
fn failure(code: i32, message: &[u8], url: &[u8], secs: i64, nanos: i32) -> Vec<u8> {
    let mut duration = Vec::new();
    put_number(1, secs.cast_unsigned(), &mut duration);
    put_number(2, i64::from(nanos).cast_unsigned(), &mut duration);
    let mut info = Vec::new();
    put_bytes(1, &duration, &mut info);
    let mut any = Vec::new();
    put_bytes(1, url, &mut any);
    put_bytes(2, &info, &mut any);
    let mut status = Vec::new();
    put_number(1, i64::from(code).cast_unsigned(), &mut status);
    put_bytes(2, message, &mut status);
    put_bytes(3, &any, &mut status);
    status
}

const URL: &[u8] = b"type.googleapis.com/google.rpc.RetryInfo";

#[test]
fn all_taken_says_nothing() {
    assert_eq!(partial_success(b""), None);
    assert_eq!(partial_success(&response(0, "")), None);
    assert_eq!(partial_success(&response(-1, "")), None);
}

#[test]
fn refusals_and_warnings() {
    let some = |rejected, message: &str| {
        Some(PartialSuccess {
            rejected,
            message: message.to_owned(),
        })
    };
    assert_eq!(partial_success(&response(3, "too old")), some(3, "too old"));
    assert_eq!(
        partial_success(&response(0, "slow\ndown")),
        some(0, "slow down")
    );
    let long = "\u{e9}".repeat(MAX_MESSAGE);
    let message = partial_success(&response(1, &long)).unwrap().message;
    assert!(message.len() <= MAX_MESSAGE && message.len() > MAX_MESSAGE - 4);
}

#[test]
fn a_status_may_ask_for_a_wait() {
    let wait = |url, secs, nanos| status(&failure(14, b"busy", url, secs, nanos)).unwrap();
    let got = wait(URL, 2, 500_000_000);
    assert_eq!((got.code, got.message.as_str()), (14, "busy"));
    assert_eq!(got.retry_after, Some(Duration::from_millis(2500)));
    assert_eq!(wait(b"x/google.rpc.ErrorInfo", 2, 0).retry_after, None);
    assert_eq!(wait(URL, -5, -1).retry_after, Some(Duration::ZERO));
    assert_eq!(
        wait(URL, i64::MAX, i32::MAX).retry_after,
        Some(MAX_RETRY_DELAY)
    );
    assert_eq!(status(&failure(-7, b"\xff", b"", 0, 0)).unwrap().code, -7);
}

#[test]
fn garbage_says_nothing() {
    for body in [
        &b"<html>502 Bad Gateway</html>"[..],
        b"{\"code\":3}",
        b"\x0a\x7f",
    ] {
        assert_eq!(
            (partial_success(body), status(body)),
            (None, None),
            "{body:?}"
        );
    }
    assert_eq!(status(b""), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_an_end(bytes in prop::collection::vec(prop_oneof![0u8..0x30, any::<u8>()], 0..200)) {
        for message in [partial_success(&bytes).map(|p| p.message), status(&bytes).map(|s| s.message)] {
            prop_assert!(message.is_none_or(|m| m.len() <= MAX_MESSAGE));
        }
    }

    #[test]
    fn damage_is_no_disaster(at in 0usize..60, byte in any::<u8>()) {
        let mut body = failure(8, b"no", URL, 1, 1);
        if let Some(place) = body.get_mut(at) {
            *place = byte;
        }
        let wait = status(&body).and_then(|s| s.retry_after);
        prop_assert!(wait.is_none_or(|w| w <= MAX_RETRY_DELAY));
    }
}
