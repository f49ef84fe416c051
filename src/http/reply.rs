//! What is sent back: status, type, body, and the headers that go with all of them.

use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Bytes;

/// Plain text, as the API server sends it.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
/// JSON.
pub(super) const JSON: &str = "application/json";
/// The page.
pub(super) const HTML: &str = "text/html; charset=utf-8";

/// An answer.
pub(super) type Reply = Response<Full<Bytes>>;

/// An answer with the headers that every answer has: nothing here is to be kept or guessed at.
pub(super) fn reply(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    reply
}

/// The values of one parameter of a query, percent-decoded.
pub(super) fn parameters<'a>(query: &'a str, name: &'a str) -> impl Iterator<Item = String> + 'a {
    query.split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then(|| decode(value))
    })
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .and_then(|hex| std::str::from_utf8(hex).ok());
        match (
            bytes[at],
            hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()),
        ) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_repeatable() {
        let query = "verbose&exclude=a&exclude=b%2Fc+d&format=json&exclude=%zz";
        let all: Vec<String> = parameters(query, "exclude").collect();
        assert_eq!(all, ["a", "b/c d", "%zz"]);
        assert_eq!(parameters(query, "verbose").count(), 1);
        assert_eq!(parameters(query, "nothing").count(), 0);
    }
}
