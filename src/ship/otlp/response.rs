//! What OTLP receivers answer: how many records they refused, and why a request failed.
//!
//! `logs_service.proto`, `google/rpc/status.proto` and `google/rpc/error_details.proto`. Anything may
//! come back here, such as a proxy's HTML page: what can't be read says nothing.

use std::time::Duration;

use super::wire::{Malformed, fields};

/// What is kept of a message, in bytes.
pub const MAX_MESSAGE: usize = 512;

/// The longest wait that a receiver can ask for.
pub const MAX_RETRY_DELAY: Duration = Duration::from_secs(24 * 3600);

/// Of an `ExportLogsServiceResponse`: the request was taken, but not all of it, or not gladly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialSuccess {
    /// Records refused for good. 0: the message is only a warning.
    pub rejected: u64,
    /// Why, [`MAX_MESSAGE`] bytes at most, on one line.
    pub message: String,
}

/// A `google.rpc.Status`: why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// gRPC's status code.
    pub code: i32,
    /// Why, [`MAX_MESSAGE`] bytes at most, on one line.
    pub message: String,
    /// Not before this long has passed (`RetryInfo`), [`MAX_RETRY_DELAY`] at most.
    pub retry_after: Option<Duration>,
}

/// Reads an `ExportLogsServiceResponse`. None if all was taken, or the answer can't be read.
#[must_use]
pub fn partial_success(body: &[u8]) -> Option<PartialSuccess> {
    read_partial_success(body).ok().flatten()
}

fn read_partial_success(body: &[u8]) -> Result<Option<PartialSuccess>, Malformed> {
    let (mut rejected, mut message) = (0, String::new());
    for field in fields(body) {
        let field = field?;
        if field.number == 1 {
            for field in fields(field.value.bytes()?) {
                let field = field?;
                match field.number {
                    1 => rejected = positive(field.value.varint()?),
                    2 => message = text(field.value.bytes()?),
                    _ => {}
                }
            }
        }
    }
    let any = rejected != 0 || !message.is_empty();
    Ok(any.then_some(PartialSuccess { rejected, message }))
}

/// Reads a `google.rpc.Status`. None if it is empty or can't be read.
#[must_use]
pub fn status(body: &[u8]) -> Option<Status> {
    if body.is_empty() {
        return None;
    }
    read_status(body).ok()
}

fn read_status(body: &[u8]) -> Result<Status, Malformed> {
    let mut status = Status {
        code: 0,
        message: String::new(),
        retry_after: None,
    };
    for field in fields(body) {
        let field = field?;
        match field.number {
            1 => status.code = field.value.varint()? as i32,
            2 => status.message = text(field.value.bytes()?),
            3 => {
                let delay = retry_info(field.value.bytes()?)?;
                status.retry_after = delay.or(status.retry_after);
            }
            _ => {}
        }
    }
    Ok(status)
}

/// The delay in an `Any`, if that is a `RetryInfo` with one.
fn retry_info(any: &[u8]) -> Result<Option<Duration>, Malformed> {
    let (mut url, mut value): (&[u8], &[u8]) = (&[], &[]);
    for field in fields(any) {
        let field = field?;
        match field.number {
            1 => url = field.value.bytes()?,
            2 => value = field.value.bytes()?,
            _ => {}
        }
    }
    if !url.ends_with(b"/google.rpc.RetryInfo") {
        return Ok(None);
    }
    let mut delay = None;
    for field in fields(value) {
        let field = field?;
        if field.number == 1 {
            delay = Some(duration(field.value.bytes()?)?);
        }
    }
    Ok(delay)
}

/// A `google.protobuf.Duration`; a negative one is none at all.
fn duration(message: &[u8]) -> Result<Duration, Malformed> {
    let (mut secs, mut nanos) = (0, 0);
    for field in fields(message) {
        let field = field?;
        match field.number {
            1 => secs = positive(field.value.varint()?),
            2 => nanos = positive(field.value.varint()?),
            _ => {}
        }
    }
    let whole = Duration::from_secs(secs);
    Ok(whole
        .saturating_add(Duration::from_nanos(nanos))
        .min(MAX_RETRY_DELAY))
}

/// A signed number, if it is above 0.
fn positive(n: u64) -> u64 {
    n.cast_signed().max(0).cast_unsigned()
}

/// Cut to [`MAX_MESSAGE`], without control characters: it goes to the log.
fn text(bytes: &[u8]) -> String {
    let cut = bytes.get(..MAX_MESSAGE).unwrap_or(bytes);
    let mut text: String = String::from_utf8_lossy(cut)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    text.truncate(text.floor_char_boundary(MAX_MESSAGE));
    text
}

#[cfg(test)]
mod tests;
