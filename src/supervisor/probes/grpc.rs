//! grpc: one call of grpc.health.v1.Health/Check over cleartext HTTP/2, as the kubelet makes it.
//!
//! The two messages are a string and an enum; they are written by hand
//! (<https://github.com/grpc/grpc/blob/master/doc/health-checking.md>).

use bytes::{BufMut, Bytes, BytesMut};
use h2::client;
use http::{HeaderMap, Method, Request};

use super::{Miss, connect};
use crate::config::probe::Grpc;

/// HealthCheckResponse.ServingStatus.SERVING.
const SERVING: u8 = 1;
/// The longest answer that is read: five bytes of frame and two of message are usual.
const MAX_ANSWER: usize = 1024;

pub(super) async fn serves(check: &Grpc) -> Result<String, Miss> {
    let stream = connect("127.0.0.1", check.port).await?;
    let (mut sender, connection) = client::handshake(stream).await.map_err(Miss::error)?;
    let call = async {
        let (response, mut body) = sender
            .send_request(request(check.port)?, false)
            .map_err(Miss::error)?;
        let message = message(check.service.as_deref().unwrap_or_default());
        body.send_data(message, true).map_err(Miss::error)?;
        let response = response.await.map_err(Miss::error)?;
        refused(response.headers())?;
        let mut body = response.into_body();
        let mut answer = BytesMut::new();
        while let Some(part) = body.data().await {
            let part = part.map_err(Miss::error)?;
            let _ = body.flow_control().release_capacity(part.len());
            if answer.len() + part.len() > MAX_ANSWER {
                return Err(Miss::Error("the answer is too long".to_owned()));
            }
            answer.put(part);
        }
        if let Some(trailers) = body.trailers().await.map_err(Miss::error)? {
            refused(&trailers)?;
        }
        judge(&answer)
    };
    super::beside(connection, call).await
}

fn request(port: u16) -> Result<Request<()>, Miss> {
    Request::builder()
        .method(Method::POST)
        .uri(format!(
            "http://127.0.0.1:{port}/grpc.health.v1.Health/Check"
        ))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header(
            "user-agent",
            concat!("kube-probe/podvisor-", env!("CARGO_PKG_VERSION")),
        )
        .body(())
        .map_err(Miss::error)
}

/// HealthCheckRequest { string service = 1 }, behind gRPC's five bytes: not compressed, length.
fn message(service: &str) -> Bytes {
    let mut body = BytesMut::new();
    if !service.is_empty() {
        body.put_u8(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            body.put_u8((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        body.put_u8(length as u8);
        body.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::with_capacity(5 + body.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(body.len()).unwrap_or(u32::MAX));
    framed.put(body);
    framed.freeze()
}

/// A status other than OK, in the headers or the trailers.
fn refused(headers: &HeaderMap) -> Result<(), Miss> {
    let Some(status) = headers
        .get("grpc-status")
        .and_then(|value| value.to_str().ok())
    else {
        return Ok(());
    };
    match status {
        "0" => Ok(()),
        "5" => Err(Miss::No("the server does not know that service".to_owned())),
        "12" => Err(Miss::No(
            "the server does not implement the health service".to_owned(),
        )),
        other => Err(Miss::No(format!("gRPC status {other}"))),
    }
}

/// HealthCheckResponse { ServingStatus status = 1 }; a missing field is UNKNOWN.
fn judge(answer: &[u8]) -> Result<String, Miss> {
    match answer.get(5..) {
        Some([0x08, SERVING, ..]) => Ok("SERVING".to_owned()),
        Some([0x08, 2, ..]) => Err(Miss::No("NOT_SERVING".to_owned())),
        Some([0x08, 3, ..]) => Err(Miss::No("SERVICE_UNKNOWN".to_owned())),
        Some([]) => Err(Miss::No("UNKNOWN".to_owned())),
        _ => Err(Miss::Error("the answer is no health message".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::attempt;
    use super::*;
    use crate::config::probe::Check;
    use crate::core::ProbeOutcome;
    use std::time::Duration;

    /// A server that answers one call with that body and that status in the trailers.
    async fn server(body: &'static [u8], status: &'static str) -> u16 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
                let response = http::Response::builder()
                    .header("content-type", "application/grpc")
                    .body(());
                let mut send = respond.send_response(response.unwrap(), false).unwrap();
                send.send_data(Bytes::from_static(body), false).unwrap();
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", status.parse().unwrap());
                send.send_trailers(trailers).unwrap();
            }
        });
        port
    }

    async fn ask(port: u16) -> ProbeOutcome {
        let check = Check::Grpc(Grpc {
            port,
            service: Some("web".to_owned()),
        });
        attempt(&check, Duration::from_millis(500)).await.outcome
    }

    #[tokio::test]
    async fn serving_and_not_serving() {
        let serving = server(&[0, 0, 0, 0, 2, 8, 1], "0").await;
        assert_eq!(ask(serving).await, ProbeOutcome::Success);
        let not = server(&[0, 0, 0, 0, 2, 8, 2], "0").await;
        assert_eq!(ask(not).await, ProbeOutcome::Failure);
        let unknown = server(&[0, 0, 0, 0, 0], "0").await;
        assert_eq!(ask(unknown).await, ProbeOutcome::Failure);
    }

    #[tokio::test]
    async fn refusals_and_silence() {
        let unimplemented = server(&[], "12").await;
        assert_eq!(ask(unimplemented).await, ProbeOutcome::Failure);
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = silent.local_addr().unwrap().port();
        assert_eq!(ask(port).await, ProbeOutcome::Timeout);
        drop(silent);
        assert_eq!(ask(port).await, ProbeOutcome::Error);
    }

    #[test]
    fn a_long_name_has_a_long_length() {
        let message = message(&"x".repeat(300));
        assert_eq!(message[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 0x02]);
    }
}
