//! gRPC over HTTP/2, as far as one unary call needs it: five bytes before the message, and the status after it.
//!
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>

use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::HeaderMap;

use crate::ship::otlp::response;
use crate::ship::parcel::Codec;

/// What comes before the message: whether it is compressed, and its length.
pub(super) const PREFIX: usize = 5;

/// Puts the prefix before the message. None: the parts can't be one message, as what was compressed apart must be sent
/// apart (receivers read one gzip member only), or it is longer than 4 GiB.
pub(super) fn frame(mut parts: Vec<Bytes>, codec: Codec) -> Option<Vec<Bytes>> {
    let compressed = codec != Codec::Identity;
    if compressed && parts.len() > 1 {
        return None;
    }
    let length = parts.iter().map(Bytes::len).sum::<usize>();
    let mut prefix = BytesMut::with_capacity(PREFIX);
    prefix.put_u8(u8::from(compressed));
    prefix.put_u32(u32::try_from(length).ok()?);
    parts.insert(0, prefix.freeze());
    Some(parts)
}

/// The message in an answer, as much as there is of it; nothing if it is compressed, which was not asked for.
pub(super) fn message(body: &[u8]) -> &[u8] {
    match body.split_first_chunk() {
        Some(([0, a, b, c, d], rest)) => {
            let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
            rest.get(..length).unwrap_or(rest)
        }
        _ => &[],
    }
}

/// `grpc-timeout`: eight digits at most.
pub(super) fn timeout(timeout: Duration) -> String {
    const MOST: u128 = 99_999_999;
    format!("{}m", timeout.as_millis().clamp(1, MOST))
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) code: i32,
    pub(super) message: String,
    /// `RetryInfo`.
    pub(super) retry_after: Option<Duration>,
}

/// Reads the status from trailers, or from headers where there is no message.
pub(super) fn status(headers: &HeaderMap) -> Option<Status> {
    let text = |name| headers.get(name).map(http::HeaderValue::as_bytes);
    let code = std::str::from_utf8(text("grpc-status")?)
        .ok()?
        .parse()
        .ok()?;
    let details = text("grpc-status-details-bin").and_then(decode);
    let details = details.and_then(|bytes| response::status(&bytes));
    let mut message = percent_decode(text("grpc-message").unwrap_or_default());
    if message.is_empty() {
        message = details
            .as_ref()
            .map(|d| d.message.clone())
            .unwrap_or_default();
    }
    Some(Status {
        code,
        message,
        retry_after: details.and_then(|details| details.retry_after),
    })
}

/// Binary metadata is base64; the padding may be missing. Several values are joined by commas: the first counts.
fn decode(value: &[u8]) -> Option<Vec<u8>> {
    const CONFIG: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let first = value.split(|b| *b == b',').next()?;
    GeneralPurpose::new(&STANDARD, CONFIG)
        .decode(first.trim_ascii())
        .ok()
}

/// What is not well encoded stays as it is, as the protocol demands.
fn percent_decode(value: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&first, tail)) = rest.split_first() {
        let hex = |b: &u8| char::from(*b).to_digit(16);
        rest = match (first, tail) {
            (b'%', [a, b, after @ ..]) if hex(a).is_some() && hex(b).is_some() => {
                let byte = hex(a).unwrap_or_default() << 4 | hex(b).unwrap_or_default();
                bytes.push(byte as u8);
                after
            }
            _ => {
                bytes.push(first);
                tail
            }
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_a_prefix() {
        let one = vec![Bytes::from_static(b"abc")];
        let two = vec![Bytes::from_static(b"abc"), Bytes::from_static(b"de")];
        let framed = |parts: Vec<Bytes>, codec| Some(frame(parts, codec)?.concat());
        assert_eq!(
            framed(one.clone(), Codec::Gzip).unwrap(),
            b"\x01\0\0\0\x03abc"
        );
        assert_eq!(framed(one, Codec::Identity).unwrap(), b"\0\0\0\0\x03abc");
        assert_eq!(
            framed(two.clone(), Codec::Identity).unwrap(),
            b"\0\0\0\0\x05abcde"
        );
        assert_eq!(framed(two, Codec::Zstd), None);
        assert_eq!(message(b"\0\0\0\0\x02abc"), b"ab");
        assert_eq!(message(b"\0\0\0\0\x09abc"), b"abc");
        assert_eq!(message(b"\x01\0\0\0\x01abc"), b"");
        assert_eq!(message(b"\0\0"), b"");
    }

    #[test]
    fn statuses_are_read() {
        let mut headers = HeaderMap::new();
        assert_eq!(status(&headers), None);
        headers.insert("grpc-status", "14".parse().unwrap());
        headers.insert("grpc-message", "caf%C3%A9 100% %zz".parse().unwrap());
        let read = status(&headers).unwrap();
        assert_eq!((read.code, &*read.message), (14, "café 100% %zz"));
        headers.insert("grpc-status", "x".parse().unwrap());
        assert_eq!(status(&headers), None);
    }

    #[test]
    fn timeouts_have_eight_digits_at_most() {
        assert_eq!(timeout(Duration::from_secs(10)), "10000m");
        assert_eq!(timeout(Duration::ZERO), "1m");
        assert_eq!(timeout(Duration::MAX), "99999999m");
    }
}
