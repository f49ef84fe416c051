//! What an answer means: status, headers and body of each protocol in delivery's words.
//!
//! OTLP: <https://opentelemetry.io/docs/specs/otlp/>. Two rules go beyond it. Vector answers 500, `INTERNAL` and
//! `DATA_LOSS` for what is worth another attempt, so these are tried again, within bounds. And what only a config can
//! mend (401, 404 …) keeps its records: they are given up when memory is full, not because a token has run out.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use super::clean::Clean;
use super::grpc;
use super::http::Answer;
use crate::ship::otlp::response;
use crate::ship::verdict::{Failure, Reason, Verdict};

/// The longest wait that a receiver is granted.
pub const MAX_WAIT: Duration = Duration::from_secs(60);

/// What Vector says when it could read a request, but its own sinks have refused it (acknowledgements are on).
const NOT_DELIVERED: &[u8] = b"Contents failed to deliver to sink";

/// NDJSON by POST.
pub(super) fn ndjson(answer: &Answer, now: SystemTime, clean: &Clean) -> Verdict {
    match answer.status.as_u16() {
        200..=299 => Verdict::Delivered { rejected: 0 },
        400 if memchr::memmem::find(&answer.body, NOT_DELIVERED).is_some() => {
            let failure = failure(answer, now, clean);
            Verdict::Retry(Failure {
                suspect: true,
                ..failure
            })
        }
        400 | 422 => malformed(answer, clean),
        413 => Verdict::TooLarge,
        _ => Verdict::Retry(failure(answer, now, clean)),
    }
}

/// OTLP by POST.
pub(super) fn otlp(answer: &Answer, now: SystemTime, clean: &Clean) -> Verdict {
    match answer.status.as_u16() {
        200..=299 => delivered(&answer.body),
        400 | 422 => malformed(answer, clean),
        413 => Verdict::TooLarge,
        status => Verdict::Retry(Failure {
            suspect: status == 500,
            ..failure(answer, now, clean)
        }),
    }
}

/// OTLP by gRPC.
pub(super) fn grpc(answer: &Answer, now: SystemTime, clean: &Clean) -> Verdict {
    match grpc::status(&answer.trailers).or_else(|| grpc::status(&answer.headers)) {
        Some(grpc::Status { code: 0, .. }) => delivered(grpc::message(&answer.body)),
        Some(status) => by_code(&status, clean),
        None => no_grpc(answer, now, clean),
    }
}

fn by_code(status: &grpc::Status, clean: &Clean) -> Verdict {
    let (name, reason, suspect) = match status.code {
        1 => ("CANCELLED", Reason::Http5xx, false),
        2 => ("UNKNOWN", Reason::Http5xx, true),
        3 => ("INVALID_ARGUMENT", Reason::Http4xx, true),
        4 => ("DEADLINE_EXCEEDED", Reason::Timeout, false),
        5 => ("NOT_FOUND", Reason::Http4xx, false),
        6 => ("ALREADY_EXISTS", Reason::Http4xx, true),
        7 => ("PERMISSION_DENIED", Reason::Http4xx, false),
        // Without RetryInfo the specification knows no way back; but it is the receiver that is full, not we.
        8 => ("RESOURCE_EXHAUSTED", Reason::Http429, false),
        9 => ("FAILED_PRECONDITION", Reason::Http4xx, true),
        10 => ("ABORTED", Reason::Http5xx, false),
        11 => ("OUT_OF_RANGE", Reason::Http5xx, false),
        12 => ("UNIMPLEMENTED", Reason::Http4xx, false),
        13 => ("INTERNAL", Reason::Http5xx, true),
        14 => ("UNAVAILABLE", Reason::Http5xx, false),
        15 => ("DATA_LOSS", Reason::Http5xx, true),
        16 => ("UNAUTHENTICATED", Reason::Http4xx, false),
        _ => ("a status that gRPC does not know", Reason::Http5xx, true),
    };
    let message = clean.text(&join(name, &status.message));
    // gRPC for Go and C++ say RESOURCE_EXHAUSTED, tonic OUT_OF_RANGE.
    if matches!(status.code, 8 | 11) && status.retry_after.is_none() && is_size(&status.message) {
        return Verdict::TooLarge;
    }
    if status.code == 3 {
        return Verdict::Malformed { message };
    }
    Verdict::Retry(Failure {
        reason,
        after: status.retry_after.map(|after| after.min(MAX_WAIT)),
        suspect,
        stale: false,
        message,
    })
}

/// "received message larger than max (5000000 vs. 4194304)" (Go, C++), "message length too large" (tonic), "message
/// exceeds maximum size" (Java).
fn is_size(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let too = [
        "larger than",
        "too large",
        "too big",
        "exceeds maximum size",
    ];
    message.contains("message") && too.iter().any(|words| message.contains(words))
}

/// An answer, but not from a gRPC server: a proxy on the way, or the wrong port.
fn no_grpc(answer: &Answer, now: SystemTime, clean: &Clean) -> Verdict {
    let kind = content_type(&answer.headers);
    let (reason, text) = match answer.status.as_u16() {
        413 => return Verdict::TooLarge,
        200..=299 if !kind.starts_with("application/grpc") => {
            (Reason::Http4xx, format!("not a gRPC answer ({kind})"))
        }
        200..=299 if answer.whole => (Reason::Http5xx, "a gRPC answer without status".to_owned()),
        200..=299 => (
            Reason::Connect,
            "the answer broke off before its status".to_owned(),
        ),
        _ => return Verdict::Retry(failure(answer, now, clean)),
    };
    Verdict::Retry(Failure {
        reason,
        after: None,
        suspect: false,
        stale: false,
        message: clean.text(&text),
    })
}

/// Taken, but for what `partial_success` says. It must not be sent again.
fn delivered(response: &[u8]) -> Verdict {
    let rejected = response::partial_success(response).map_or(0, |partial| partial.rejected);
    Verdict::Delivered { rejected }
}

fn malformed(answer: &Answer, clean: &Clean) -> Verdict {
    let message = describe(answer, clean);
    Verdict::Malformed { message }
}

fn failure(answer: &Answer, now: SystemTime, clean: &Clean) -> Failure {
    let reason = match answer.status.as_u16() {
        429 => Reason::Http429,
        500.. => Reason::Http5xx,
        _ => Reason::Http4xx,
    };
    Failure {
        reason,
        after: retry_after(&answer.headers, now),
        suspect: false,
        stale: false,
        message: describe(answer, clean),
    }
}

/// `Retry-After` in seconds or as a date, [`MAX_WAIT`] at most. A date is measured by the receiver's own clock, if it
/// shows it.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(MAX_WAIT));
    }
    let shown = headers
        .get(header::DATE)
        .and_then(|date| date.to_str().ok());
    let now = shown.and_then(http_date).or_else(|| now.try_into().ok())?;
    let wait = http_date(value)?.duration_since(now);
    Some(wait.unsigned_abs().min(MAX_WAIT)).filter(|_| wait.is_positive())
}

fn http_date(text: &str) -> Option<Timestamp> {
    const PARSER: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);
    PARSER.parse_timestamp(text).ok()
}

/// The status and what the receiver says about it.
fn describe(answer: &Answer, clean: &Clean) -> String {
    let said = said(&answer.headers, &answer.body);
    clean.text(&join(&phrase(answer.status), &said))
}

fn phrase(status: StatusCode) -> String {
    let reason = status.canonical_reason().unwrap_or_default();
    format!("{} {reason}", status.as_str())
        .trim_end()
        .to_owned()
}

fn join(what: &str, why: &str) -> String {
    if why.trim().is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {why}")
    }
}

/// The words in a body: Vector's are in JSON, OTLP's in a `google.rpc.Status`. Pages for browsers say nothing.
fn said<'a>(headers: &HeaderMap, body: &'a [u8]) -> Cow<'a, str> {
    match content_type(headers) {
        "text/html" | "application/xhtml+xml" | "application/octet-stream" => Cow::default(),
        "application/x-protobuf" | "application/protobuf" => {
            let message = response::status(body).map(|status| status.message);
            Cow::Owned(message.unwrap_or_default())
        }
        _ => in_json(body).map_or_else(|| String::from_utf8_lossy(body), Cow::Owned),
    }
}

fn in_json(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let message = ["message", "error"]
        .iter()
        .find_map(|key| body.get(key)?.as_str());
    message.map(str::to_owned)
}

/// Without its parameters.
fn content_type(headers: &HeaderMap) -> &str {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    value
        .and_then(|value| value.split(';').next())
        .unwrap_or("no content type")
        .trim()
}

#[cfg(test)]
mod tests;
