//! What is in a request: unpacked, and read record by record without keeping them all.
//!
//! Read twice: first to see whether all of it can be read, as one bad record spoils the request, then
//! to hand out its records. So a request costs the memory of its bytes, however many records it has.

mod ndjson;
mod otlp;

use std::borrow::Cow;
use std::io::{self, Read};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::StatusCode;
use serde_json::Value;

/// The longest body, packed and unpacked; Vector's own limit (`--max-decompressed-size-bytes`).
pub const MAX_BODY: usize = 100 * 1024 * 1024;

/// The largest window of a zstd frame, as a power of two: what RFC 9659 allows over HTTP.
const ZSTD_WINDOW_LOG: u32 = 23;

/// How a request writes its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// One JSON object a line.
    Ndjson,
    /// OTLP's `ExportLogsServiceRequest`.
    Otlp,
}

impl Protocol {
    /// OTLP has its own path, which may lie below another one (Loki's `/otlp/v1/logs`).
    #[must_use]
    pub fn of(path: &str) -> Self {
        if path.ends_with("/v1/logs") {
            Protocol::Otlp
        } else {
            Protocol::Ndjson
        }
    }
}

/// Why a request is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    /// What is answered.
    pub status: StatusCode,
    /// Why, for people.
    pub why: String,
}

impl Refused {
    /// For that reason.
    #[must_use]
    pub fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Refused {
            status,
            why: why.into(),
        }
    }

    /// The body is longer than [`MAX_BODY`].
    #[must_use]
    pub fn too_large() -> Self {
        let why = format!("Request body is larger than {MAX_BODY} bytes");
        Refused::new(StatusCode::PAYLOAD_TOO_LARGE, why)
    }

    /// The words by which Vector's users know it.
    fn undecodable(error: impl std::fmt::Display) -> Self {
        let why = format!("Failed decoding body: {error}");
        Refused::new(StatusCode::BAD_REQUEST, why)
    }
}

/// One record as it was received. What it does not say is empty.
#[derive(Debug, Clone)]
pub struct Seen<'a> {
    /// When, as RFC 3339.
    pub time: Cow<'a, str>,
    /// Which run of podvisor sent it.
    pub source: Cow<'a, str>,
    /// Whose it is.
    pub service: Cow<'a, str>,
    /// `stdout` or `stderr`.
    pub stream: Cow<'a, str>,
    /// How bad it is, in a word.
    pub level: Cow<'a, str>,
    /// What it says.
    pub message: Cow<'a, str>,
    /// Its number in its service.
    pub seq: Option<u64>,
    origin: Origin<'a>,
}

#[derive(Debug, Clone)]
enum Origin<'a> {
    Line(&'a str),
    Otlp(otlp::Origin<'a>),
}

impl Seen<'_> {
    /// The whole record as a JSON object on one line, without the line's end: NDJSON as it came, OTLP
    /// with the same names where NDJSON has one.
    #[must_use]
    pub fn json(&self) -> Cow<'_, str> {
        match &self.origin {
            Origin::Line(line) => Cow::Borrowed(line),
            Origin::Otlp(origin) => Cow::Owned(Value::Object(origin.object(self)).to_string()),
        }
    }
}

/// Undoes the `Content-Encoding`: none, gzip of any number of members, or zstd of any number of frames.
///
/// # Errors
///
/// 415 for another encoding, 422 if it can't be undone, 413 if more than [`MAX_BODY`] comes out.
pub fn unpack(encoding: &str, body: Bytes) -> Result<Bytes, Refused> {
    match encoding.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(body),
        "gzip" => bounded(MultiGzDecoder::new(&body[..])),
        "zstd" => {
            let decoder = zstd::Decoder::with_buffer(&body[..]).and_then(|mut decoder| {
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Ok(decoder)
            });
            bounded(decoder.map_err(corrupt)?)
        }
        other => Err(Refused::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("Unsupported encoding {other}"),
        )),
    }
}

fn bounded(decoder: impl Read) -> Result<Bytes, Refused> {
    let mut out = Vec::new();
    let limit = MAX_BODY as u64 + 1;
    decoder.take(limit).read_to_end(&mut out).map_err(corrupt)?;
    if out.len() > MAX_BODY {
        return Err(Refused::too_large());
    }
    Ok(out.into())
}

fn corrupt(error: io::Error) -> Refused {
    let why = format!("Failed decompressing payload: {error}");
    Refused::new(StatusCode::UNPROCESSABLE_ENTITY, why)
}

/// Hands out every record in turn. Gives their number.
///
/// # Errors
///
/// 400 at the first record that can't be read; those before it have been handed out.
pub fn each(
    protocol: Protocol,
    body: &[u8],
    take: &mut dyn FnMut(&Seen<'_>),
) -> Result<u64, Refused> {
    match protocol {
        Protocol::Ndjson => ndjson::each(body, take),
        Protocol::Otlp => otlp::each(body, take).map_err(Refused::undecodable),
    }
}

/// Reads all of it, and gives the number of records.
///
/// # Errors
///
/// 400 if there is one that can't be read.
pub fn check(protocol: Protocol, body: &[u8]) -> Result<u64, Refused> {
    match protocol {
        Protocol::Ndjson => ndjson::each(body, &mut |_| ()),
        Protocol::Otlp => crate::ship::otlp::read::check(body).map_err(Refused::undecodable),
    }
}

#[cfg(test)]
mod tests;
