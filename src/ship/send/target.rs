//! Where to send: what the config must say, checked as far as that is possible without sending.

use std::path::PathBuf;
use std::time::Duration;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;

use super::auth::Auth;
use super::clean::Clean;
use super::tls::Tls;
use crate::ship::parcel::Codec;

/// How long a connection may take, TLS and name resolution included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a request may take, the connection included.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Headers that follow from what is sent, or that belong to the connection: no config may set them.
const OWN: [&str; 10] = [
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "upgrade",
    "trailer",
    "te",
    "expect",
    "idempotency-key",
    "grpc-encoding",
];

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Lines of JSON by POST: Vector's `http_server`, VictoriaLogs and the like.
    HttpNdjson,
    /// OTLP's protobuf by POST.
    OtlpHttp,
    /// OTLP by gRPC: over HTTP/2 without asking for `http://`, by ALPN for `https://`.
    OtlpGrpc,
}

/// Where to send, and how.
#[derive(Clone)]
pub struct Target {
    /// The sink's, for the log.
    pub name: String,
    /// What is spoken there.
    pub protocol: Protocol,
    /// The whole address, path and query included.
    pub url: String,
    /// Further headers; for gRPC, metadata. Those of the same name are sent side by side.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How we say who we are.
    pub auth: Auth,
    /// For `https://`.
    pub tls: Tls,
    /// How everything is compressed that is sent here.
    pub codec: Codec,
    /// How long a connection may take. See [`CONNECT_TIMEOUT`].
    pub connect_timeout: Duration,
    /// How long a request may take. See [`TIMEOUT`].
    pub timeout: Duration,
    /// `User-Agent`.
    pub user_agent: String,
}

/// Why nothing can be sent with such a target. The files may be there later.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The address (which is not repeated: it may hold a password).
    #[error("the address is no http:// or https:// URL with a host")]
    Url,
    /// A header that is not for the config.
    #[error("the header {0} follows from what is sent and can't be set")]
    Header(HeaderName),
    /// A token or password that can't be a header.
    #[error("the credentials have characters that no header can hold")]
    Credentials,
    /// A file that can't be read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file without what it should hold.
    #[error("{}: no {what} in it", path.display())]
    Nothing {
        /// Which.
        path: PathBuf,
        /// What is missed.
        what: &'static str,
    },
    /// One of the two only.
    #[error("a certificate needs its key, and the other way round")]
    Pair,
    /// The name to be proved.
    #[error("the server name is neither a host name nor an IP address")]
    ServerName,
    /// Certificates that are of no use, such as one that does not belong to the key.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// The HTTP client.
    #[error("no HTTP client: {0}")]
    Client(#[source] reqwest::Error),
}

pub(super) fn url(text: &str, clean: &mut Clean) -> Result<Url, SetupError> {
    let url = Url::parse(text).map_err(|_| SetupError::Url)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(SetupError::Url);
    }
    clean.hide(url.username());
    clean.hide(url.password().unwrap_or_default());
    clean.hide(url.query().unwrap_or_default());
    Ok(url)
}

/// Those that are the same in every request.
pub(super) fn headers(target: &Target, clean: &mut Clean) -> Result<HeaderMap, SetupError> {
    let mut headers = HeaderMap::new();
    let ndjson = target.protocol == Protocol::HttpNdjson;
    let media_type = match target.protocol {
        Protocol::HttpNdjson => "application/x-ndjson",
        // Vector and VictoriaLogs take nothing else.
        Protocol::OtlpHttp => "application/x-protobuf",
        Protocol::OtlpGrpc => "application/grpc+proto",
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    let grpc = target.protocol == Protocol::OtlpGrpc;
    if grpc {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    let encoding = match target.codec {
        Codec::Identity => None,
        Codec::Gzip => Some("gzip"),
        Codec::Zstd => Some("zstd"),
    };
    if let Some(encoding) = encoding {
        let name = if grpc {
            HeaderName::from_static("grpc-encoding")
        } else {
            CONTENT_ENCODING
        };
        headers.insert(name, HeaderValue::from_static(encoding));
    }
    let mut given = HeaderMap::new();
    for (name, value) in &target.headers {
        let fixed = OWN.contains(&name.as_str()) || (name == CONTENT_TYPE && !ndjson);
        if fixed {
            return Err(SetupError::Header(name.clone()));
        }
        clean.hide(&String::from_utf8_lossy(value.as_bytes()));
        let mut value = value.clone();
        value.set_sensitive(true);
        given.append(name, value);
    }
    // `extend` puts its own in the place of those of the same name.
    headers.extend(given);
    Ok(headers)
}
