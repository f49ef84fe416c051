//! Where a sink's requests go: endpoint, preset and environment as one address.

use std::collections::BTreeMap;

use http::uri::{Authority, Scheme};
use http::{HeaderName, HeaderValue, Uri};

use super::identity::percent_decode;
use super::send::Protocol;
use crate::config::sink::Preset;

/// OTLP's path for logs.
const LOGS_PATH: &str = "/v1/logs";
/// OTLP over gRPC.
const GRPC_PATH: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
/// What VictoriaLogs must be told of our fields.
const VICTORIALOGS_QUERY: &str = "_time_field=timestamp&_msg_field=message&_stream_fields=service,stream,kubernetes.pod_name,kubernetes.pod_namespace,kubernetes.container_name";

/// What is known of an address.
pub(super) struct Asked<'a> {
    pub protocol: Protocol,
    pub written: Option<&'a str>,
    pub preset: Option<Preset>,
    pub query: &'a BTreeMap<String, String>,
    /// `OTEL_EXPORTER_OTLP_LOGS_ENDPOINT`: taken as it is.
    pub env_logs: Option<String>,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: the path for logs is added.
    pub env_base: Option<String>,
    /// `OTEL_EXPORTER_OTLP_INSECURE`: for a gRPC address without scheme.
    pub insecure: bool,
}

/// Why there is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Of the file.
    #[error("its endpoint is no address of a server")]
    Endpoint,
    /// Of the environment.
    #[error("`{0}` is no address of a server")]
    Variable(&'static str),
}

/// The whole address, as [`super::send::Target::url`] wants it.
pub(super) fn url(asked: &Asked<'_>) -> Result<String, UrlError> {
    let (text, as_it_is, wrong) = match (asked.written, &asked.env_logs, &asked.env_base) {
        (Some(text), _, _) => (text.to_owned(), false, UrlError::Endpoint),
        (None, Some(text), _) => (
            text.clone(),
            true,
            UrlError::Variable("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"),
        ),
        (None, None, Some(text)) => (
            text.clone(),
            false,
            UrlError::Variable("OTEL_EXPORTER_OTLP_ENDPOINT"),
        ),
        (None, None, None) => (default_endpoint(asked.protocol), false, UrlError::Endpoint),
    };
    let text = match text.contains("://") {
        true => text,
        false if asked.insecure => format!("http://{text}"),
        false => format!("https://{text}"),
    };
    let uri: Uri = text.trim().parse().map_err(|_| wrong.clone())?;
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err(wrong);
    };
    if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
        return Err(wrong);
    }
    let path = path(asked, uri.path(), as_it_is);
    Ok(assemble(
        scheme,
        authority,
        &path,
        &query(asked, uri.query()),
    ))
}

fn default_endpoint(protocol: Protocol) -> String {
    let port = if protocol == Protocol::OtlpGrpc {
        4317
    } else {
        4318
    };
    format!("http://localhost:{port}")
}

fn path(asked: &Asked<'_>, written: &str, as_it_is: bool) -> String {
    let base = written.trim_end_matches('/');
    match (asked.protocol, asked.preset) {
        (Protocol::OtlpGrpc, _) => GRPC_PATH.to_owned(),
        (Protocol::HttpNdjson, Some(Preset::Victorialogs)) if base.is_empty() => {
            "/insert/jsonline".to_owned()
        }
        (Protocol::HttpNdjson, _) => written.to_owned(),
        (Protocol::OtlpHttp, _) if as_it_is => written.to_owned(),
        (Protocol::OtlpHttp, Some(Preset::Victorialogs)) if base.is_empty() => {
            format!("/insert/opentelemetry{LOGS_PATH}")
        }
        (Protocol::OtlpHttp, Some(Preset::Loki)) if base.is_empty() => format!("/otlp{LOGS_PATH}"),
        (Protocol::OtlpHttp, _) if base.ends_with(LOGS_PATH) => base.to_owned(),
        (Protocol::OtlpHttp, _) => format!("{base}{LOGS_PATH}"),
    }
}

fn query(asked: &Asked<'_>, written: Option<&str>) -> String {
    let mut parts: Vec<String> = written
        .filter(|it| !it.is_empty())
        .map(str::to_owned)
        .into_iter()
        .collect();
    let jsonline = asked.protocol == Protocol::HttpNdjson;
    if jsonline && asked.preset == Some(Preset::Victorialogs) && parts.is_empty() {
        parts.push(VICTORIALOGS_QUERY.to_owned());
    }
    parts.extend(
        asked
            .query
            .iter()
            .map(|(key, value)| format!("{}={}", encode(key), encode(value))),
    );
    parts.join("&")
}

fn assemble(scheme: &Scheme, authority: &Authority, path: &str, query: &str) -> String {
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{authority}{path}{mark}{query}")
}

/// What is not plainly a letter or digit, by its number (RFC 3986).
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~,".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// `OTEL_EXPORTER_OTLP_HEADERS`: `key=value,key=value`, values percent-encoded.
pub(super) fn headers(text: &str, warnings: &mut Vec<String>) -> Vec<(HeaderName, HeaderValue)> {
    let mut found = Vec::new();
    for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
        let header = pair.split_once('=').and_then(|(key, value)| {
            let key = HeaderName::from_bytes(key.trim().as_bytes()).ok()?;
            let mut value = HeaderValue::from_str(&percent_decode(value.trim()).ok()?).ok()?;
            value.set_sensitive(true);
            Some((key, value))
        });
        match header {
            Some(header) => found.push(header),
            // Its text may be a secret.
            None => warnings.push(
                "OTEL_EXPORTER_OTLP_HEADERS: a part is no `key=value` that can be sent; it is left out"
                    .to_owned(),
            ),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(protocol: Protocol, written: Option<&str>) -> Asked<'_> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        Asked {
            protocol,
            written,
            preset: None,
            query: &NONE,
            env_logs: None,
            env_base: None,
            insecure: false,
        }
    }

    #[test]
    fn an_endpoint_becomes_an_address() {
        use Protocol::{HttpNdjson, OtlpGrpc, OtlpHttp};
        for (protocol, written, want) in [
            (HttpNdjson, "http://vector:8080", "http://vector:8080/"),
            (
                HttpNdjson,
                "http://vector:8080/a/?b=c",
                "http://vector:8080/a/?b=c",
            ),
            (OtlpHttp, "https://c:4318", "https://c:4318/v1/logs"),
            (
                OtlpHttp,
                "http://c:4318/otlp/",
                "http://c:4318/otlp/v1/logs",
            ),
            (OtlpHttp, "http://c/v1/logs", "http://c/v1/logs"),
            (
                OtlpGrpc,
                "http://c:4317",
                "http://c:4317/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            ),
        ] {
            assert_eq!(url(&asked(protocol, Some(written))).unwrap(), want);
        }
    }

    #[test]
    fn the_environment_fills_an_open_endpoint() {
        let mut it = asked(Protocol::OtlpHttp, None);
        assert_eq!(url(&it).unwrap(), "http://localhost:4318/v1/logs");
        it.env_base = Some("http://base:4318/x".into());
        assert_eq!(url(&it).unwrap(), "http://base:4318/x/v1/logs");
        it.env_logs = Some("http://logs:4318/".into());
        assert_eq!(url(&it).unwrap(), "http://logs:4318/");
        it.env_logs = Some("ftp://logs".into());
        assert_eq!(
            url(&it),
            Err(UrlError::Variable("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"))
        );
        let mut grpc = asked(Protocol::OtlpGrpc, None);
        grpc.env_base = Some("c:4317".into());
        assert!(url(&grpc).unwrap().starts_with("https://c:4317/"));
        grpc.insecure = true;
        assert!(url(&grpc).unwrap().starts_with("http://c:4317/"));
    }

    #[test]
    fn presets_fill_in_path_and_query() {
        let query = BTreeMap::from([("a b".to_owned(), "c&d".to_owned())]);
        let mut it = asked(Protocol::HttpNdjson, Some("http://vl:9428"));
        it.preset = Some(Preset::Victorialogs);
        it.query = &query;
        let got = url(&it).unwrap();
        assert!(got.starts_with("http://vl:9428/insert/jsonline?_time_field=timestamp&"));
        assert!(got.ends_with("&a%20b=c%26d"), "{got}");
        let mut it = asked(Protocol::OtlpHttp, Some("http://loki:3100"));
        it.preset = Some(Preset::Loki);
        assert_eq!(url(&it).unwrap(), "http://loki:3100/otlp/v1/logs");
        it.preset = Some(Preset::Victorialogs);
        assert_eq!(
            url(&it).unwrap(),
            "http://loki:3100/insert/opentelemetry/v1/logs"
        );
    }

    #[test]
    fn headers_of_the_environment_are_decoded() {
        let mut warnings = Vec::new();
        let got = headers("api-key=a%20b, x=y,bad", &mut warnings);
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].1, "a b");
        assert_eq!(warnings.len(), 1);
    }
}
