//! httpGet: one request on a new connection, judged by the kubelet's rules (pkg/probe/http/http.go).

use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{MAX_BODY, Miss, connect, tls};
use crate::config::probe::{HttpGet, Scheme};

/// Redirects that are followed, to the same host only.
const MAX_REDIRECTS: usize = 10;
/// Servers that leave probes out of their logs look for `kube-probe/`.
const USER_AGENT: &str = concat!("kube-probe/podvisor-", env!("CARGO_PKG_VERSION"));

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    secure: bool,
    host: String,
    port: u16,
    path: String,
}

impl Target {
    fn of(check: &HttpGet) -> Self {
        Self {
            secure: check.scheme == Scheme::Https,
            host: check.host.clone().unwrap_or_else(|| "127.0.0.1".to_owned()),
            port: check.port,
            path: check.path.clone().unwrap_or_else(|| "/".to_owned()),
        }
    }

    /// Where a redirect leads; None when that is another host.
    fn redirected(&self, location: &str) -> Option<Self> {
        let uri: Uri = location.parse().ok()?;
        let path = uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        let Some(authority) = uri.authority() else {
            let path = if path.starts_with('/') {
                path
            } else {
                format!("/{path}")
            };
            return Some(Self {
                path,
                ..self.clone()
            });
        };
        let secure = uri.scheme_str() == Some("https");
        let port = authority
            .port_u16()
            .unwrap_or(if secure { 443 } else { 80 });
        (authority.host() == self.host).then_some(Self {
            secure,
            port,
            path,
            ..self.clone()
        })
    }
}

/// What came back.
struct Answer {
    status: u16,
    location: Option<String>,
}

pub(super) async fn get(check: &HttpGet) -> Result<String, Miss> {
    let headers = headers(check)?;
    let mut target = Target::of(check);
    for _ in 0..=MAX_REDIRECTS {
        let answer = request(&target, &headers).await?;
        let next = answer
            .location
            .filter(|_| (300..400).contains(&answer.status));
        match (answer.status, next) {
            (status, None) if (200..400).contains(&status) => {
                return Ok(format!("status {status}"));
            }
            (status, None) => return Err(Miss::No(format!("status {status}"))),
            (status, Some(location)) => match target.redirected(&location) {
                Some(next) => target = next,
                // The kubelet does not go there, and takes it for a success with a warning.
                None => return Ok(format!("status {status}, redirect to another host")),
            },
        }
    }
    Err(Miss::No(format!("more than {MAX_REDIRECTS} redirects")))
}

fn headers(check: &HttpGet) -> Result<HeaderMap, Miss> {
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    for given in &check.http_headers {
        let name = HeaderName::from_bytes(given.name.as_bytes()).map_err(Miss::error)?;
        let value = HeaderValue::from_str(&given.value).map_err(Miss::error)?;
        if name == header::USER_AGENT || name == header::ACCEPT || name == header::HOST {
            headers.insert(name, value);
        } else {
            headers.append(name, value);
        }
    }
    Ok(headers)
}

async fn request(target: &Target, headers: &HeaderMap) -> Result<Answer, Miss> {
    let stream = connect(&target.host, target.port).await?;
    if target.secure {
        exchange(tls::over(stream, &target.host).await?, target, headers).await
    } else {
        exchange(stream, target, headers).await
    }
}

async fn exchange<S>(stream: S, target: &Target, headers: &HeaderMap) -> Result<Answer, Miss>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = Request::get(&target.path)
        .body(Empty::<Bytes>::new())
        .map_err(Miss::error)?;
    *request.headers_mut() = headers.clone();
    if !headers.contains_key(header::HOST) {
        let host = format!("{}:{}", target.host, target.port);
        let host = HeaderValue::from_str(&host).map_err(Miss::error)?;
        request.headers_mut().insert(header::HOST, host);
    }
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(Miss::error)?;
    let talk = async {
        let response = sender.send_request(request).await.map_err(Miss::error)?;
        let status = response.status().as_u16();
        let location = response.headers().get(header::LOCATION);
        let location = location
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        read(response.into_body()).await;
        Ok(Answer { status, location })
    };
    super::beside(connection, talk).await
}

/// Reads what there is of the body, up to a bound: a server that is cut off while it writes logs an error.
async fn read(mut body: Incoming) {
    let mut size = 0;
    while size < MAX_BODY {
        match body.frame().await {
            Some(Ok(frame)) => size += frame.data_ref().map_or(0, Bytes::len),
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests;
