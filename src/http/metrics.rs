//! `/metrics`: which of the two text formats is asked for, and whether compressed.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::reply::{Reply, reply};
use crate::metrics::{Format, Metrics};

/// Speed before size: a scrape is a few tens of kilobytes, several times a minute.
const LEVEL: u32 = 1;

pub(super) fn metrics(metrics: &Metrics, headers: &HeaderMap) -> Reply {
    let format = wanted(header_text(headers, header::ACCEPT));
    let text = metrics.encode(format);
    let gzip = takes_gzip(header_text(headers, header::ACCEPT_ENCODING));
    let (body, packed) = match pack(&text).filter(|_| gzip) {
        Some(packed) => (packed, true),
        None => (text, false),
    };
    let mut reply = reply(StatusCode::OK, format.content_type(), body);
    if packed {
        reply
            .headers_mut()
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    reply.headers_mut().insert(
        header::VARY,
        HeaderValue::from_static("Accept, Accept-Encoding"),
    );
    reply
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn pack(text: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::new(LEVEL));
    encoder.write_all(text).ok()?;
    encoder.finish().ok()
}

/// The format with the highest q value; Prometheus 2.5 and later name OpenMetrics first. Nothing, or anything: the
/// text format, which everything reads.
fn wanted(accept: &str) -> Format {
    let mut best = (0.0, Format::Text);
    for part in accept.split(',') {
        let mut words = part.split(';').map(str::trim);
        let kind = words.next().unwrap_or_default();
        let mut quality = 1.0;
        let mut version = "";
        for word in words {
            match word.split_once('=') {
                Some(("q", value)) => quality = value.parse().unwrap_or(0.0),
                Some(("version", value)) => version = value,
                _ => {}
            }
        }
        let format = match (kind, version) {
            ("application/openmetrics-text", "" | "1.0.0" | "0.0.1") => Format::OpenMetrics,
            ("text/plain", "" | "0.0.4") | ("text/*" | "*/*", _) => Format::Text,
            _ => continue,
        };
        if quality > best.0 {
            best = (quality, format);
        }
    }
    best.1
}

fn takes_gzip(accept: &str) -> bool {
    accept.split(',').any(|part| {
        let mut words = part.split(';').map(str::trim);
        let named = matches!(words.next(), Some("gzip" | "*"));
        named && !words.any(|word| matches!(word, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_negotiated() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for (accept, wanted_format) in [
            (prometheus, Format::OpenMetrics),
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/html", Format::Text),
            (
                "text/plain;version=0.0.4;q=0.9, application/openmetrics-text;q=0.5",
                Format::Text,
            ),
            (
                "application/openmetrics-text;version=1.0.0",
                Format::OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=2.0.0,text/plain;q=0.1",
                Format::Text,
            ),
            ("application/openmetrics-text;q=0", Format::Text),
        ] {
            assert_eq!(wanted(accept), wanted_format, "{accept}");
        }
    }

    #[test]
    fn gzip_only_when_asked() {
        for (accept, wanted) in [
            ("gzip", true),
            ("deflate, gzip;q=0.5", true),
            ("*", true),
            ("", false),
            ("gzip;q=0", false),
            ("br", false),
        ] {
            assert_eq!(takes_gzip(accept), wanted, "{accept}");
        }
    }
}
