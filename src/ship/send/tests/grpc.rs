//! OTLP by gRPC.

use std::collections::VecDeque;
use std::sync::Arc;

use ::http::{Request, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;

/// Of one call.
#[derive(Debug, Clone)]
enum Script {
    /// Status and headers, then the body and its trailers, if there are any.
    Say(
        u16,
        Vec<(&'static str, String)>,
        &'static [u8],
        Option<Vec<(&'static str, String)>>,
    ),
    /// Headers and no more.
    Stop,
    Hang,
    /// The connection ends under the call.
    Drop,
}

fn grpc() -> Vec<(&'static str, String)> {
    vec![("content-type", "application/grpc".to_owned())]
}

fn status(code: u8, message: &str) -> Vec<(&'static str, String)> {
    vec![
        ("grpc-status", code.to_string()),
        ("grpc-message", message.to_owned()),
    ]
}

fn ends(trailers: Vec<(&'static str, String)>) -> Script {
    Script::Say(200, grpc(), b"\0\0\0\0\0", Some(trailers))
}

fn only(code: u8, message: &str) -> Script {
    Script::Say(200, [grpc(), status(code, message)].concat(), b"", None)
}

pub(super) type Calls = mpsc::Receiver<(Request<()>, Vec<u8>)>;

/// A server that plays one script per call, on any number of connections; and what it was called with.
async fn server(scripts: Vec<Script>) -> (String, Calls) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/Export", listener.local_addr().unwrap());
    let (calls, received) = mpsc::channel(64);
    let scripts = Arc::new(Mutex::new(VecDeque::from(scripts)));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, calls.clone(), scripts.clone()));
        }
    });
    (url, received)
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    calls: mpsc::Sender<(Request<()>, Vec<u8>)>,
    scripts: Arc<Mutex<VecDeque<Script>>>,
) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut held = Vec::new();
    let (give_up, mut gone) = mpsc::channel::<()>(1);
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted,
            _ = gone.recv() => return,
        };
        let Some(Ok((request, mut respond))) = accepted else {
            return;
        };
        let script = scripts.lock().unwrap().pop_front().unwrap();
        let (head, mut body) = request.into_parts();
        let (calls, give_up) = (calls.clone(), give_up.clone());
        held.push(tokio::spawn(async move {
            let mut whole = Vec::new();
            while let Some(data) = body.data().await {
                let data = data.unwrap();
                let _ = body.flow_control().release_capacity(data.len());
                whole.extend_from_slice(&data);
            }
            let _ = calls.try_send((Request::from_parts(head, ()), whole));
            let headers = |status: u16, headers: Vec<(&'static str, String)>| {
                let mut response = Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                response.body(()).unwrap()
            };
            match script {
                Script::Hang => std::future::pending().await,
                Script::Drop => {
                    let _ = give_up.send(()).await;
                    std::future::pending().await
                }
                Script::Stop => {
                    let _send = respond.send_response(headers(200, grpc()), false).unwrap();
                    std::future::pending().await
                }
                Script::Say(status, first, body, last) => {
                    let alone = body.is_empty() && last.is_none();
                    let mut send = respond
                        .send_response(headers(status, first), alone)
                        .unwrap();
                    if alone {
                        return;
                    }
                    send.send_data(Bytes::from_static(body), last.is_none())
                        .unwrap();
                    if let Some(last) = last {
                        let trailers = headers(200, last).headers().clone();
                        send.send_trailers(trailers).unwrap();
                    }
                }
            }
        }));
    }
}

async fn play(script: Script) -> Verdict {
    let (url, _calls) = server(vec![script]).await;
    call(&sender(target(Protocol::OtlpGrpc, &url))).await
}

async fn call(sender: &Sender) -> Verdict {
    sender.send(parts(&["gzipped"]), LONG, "batch-1").await
}

#[tokio::test]
async fn a_call_as_it_should_be() {
    let (url, mut calls) = server(vec![ends(status(0, "")), ends(status(0, ""))]).await;
    let mut given = target(Protocol::OtlpGrpc, &url);
    given.auth = Auth::Bearer(secret("geheim"));
    let compressed = sender(given.clone());
    assert_eq!(call(&compressed).await, DELIVERED);
    let (head, body) = calls.recv().await.unwrap();
    assert_eq!(body, b"\x01\0\0\0\x07gzipped");
    assert_eq!(head.uri().path(), "/Export");
    let header = |name| {
        head.headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    assert_eq!(header("content-type"), Some("application/grpc+proto"));
    assert_eq!(header("te"), Some("trailers"));
    assert_eq!(header("grpc-encoding"), Some("gzip"));
    assert_eq!(header("grpc-timeout"), Some("20000m"));
    assert_eq!(header("authorization"), Some("Bearer geheim"));
    assert_eq!(header("idempotency-key"), Some("batch-1"));
    assert_eq!(header("content-encoding"), None);
    given.codec = Codec::Identity;
    assert_eq!(send(&sender(given)).await, DELIVERED);
    let (head, body) = calls.recv().await.unwrap();
    assert_eq!(body, b"\0\0\0\0\x0asome bytes");
    assert_eq!(head.headers().get("grpc-encoding"), None);
    assert_eq!(
        send(&compressed).await,
        Verdict::TooLarge,
        "two members are no message"
    );
}

#[tokio::test]
async fn refused_records_are_counted() {
    let body = b"\0\0\0\0\x04\x0a\x02\x08\x05";
    let script = Script::Say(200, grpc(), body, Some(status(0, "")));
    assert_eq!(play(script).await, Verdict::Delivered { rejected: 5 });
}

#[tokio::test]
async fn statuses_in_trailers_and_in_headers() {
    for script in [
        ends(status(14, "shutting%20down")),
        only(14, "shutting%20down"),
    ] {
        let down = failure(play(script).await);
        assert_eq!((down.reason, down.suspect), (Reason::Http5xx, false));
        assert_eq!(down.message, "UNAVAILABLE: shutting down");
    }
    // google.rpc.Status { details: Any { RetryInfo { retry_delay { seconds: 9 } } } }
    let any = b"\x0a\x28type.googleapis.com/google.rpc.RetryInfo\x12\x04\x0a\x02\x08\x09";
    let details = [&[0x1a, any.len() as u8], &any[..]].concat();
    let mut trailers = status(8, "slow down");
    trailers.push((
        "grpc-status-details-bin",
        BASE64_STANDARD_NO_PAD.encode(details),
    ));
    let busy = failure(play(ends(trailers)).await);
    assert_eq!(
        (busy.reason, busy.after),
        (Reason::Http429, Some(Duration::from_secs(9)))
    );
}

#[tokio::test]
async fn answers_of_others() {
    let html = vec![("content-type", "text/html".to_owned())];
    let page = failure(play(Script::Say(404, html.clone(), b"<h1>404</h1>", None)).await);
    assert_eq!(
        (page.reason, &*page.message),
        (Reason::Http4xx, "404 Not Found")
    );
    let portal = failure(play(Script::Say(200, html, b"<h1>hi</h1>", None)).await);
    assert_eq!(portal.message, "not a gRPC answer (text/html)");
    let bare = failure(play(Script::Say(200, grpc(), b"\0\0\0\0\0", None)).await);
    assert_eq!(bare.message, "a gRPC answer without status");
    assert_eq!(
        play(Script::Say(413, vec![], b"", None)).await,
        Verdict::TooLarge
    );
}

#[tokio::test]
async fn silence_leads_to_a_new_connection() {
    let scripts = vec![Script::Hang, Script::Stop, ends(status(0, ""))];
    let (url, mut calls) = server(scripts).await;
    let sender = sender(target(Protocol::OtlpGrpc, &url));
    for _ in 0..2 {
        let late = failure(sender.send(parts(&["x"]), SHORT, "1").await);
        assert_eq!(
            (late.reason, late.stale),
            (Reason::Timeout, false),
            "{}",
            late.message
        );
        calls.recv().await.unwrap();
    }
    assert_eq!(call(&sender).await, DELIVERED);
}

#[tokio::test]
async fn connections_that_end_under_a_call() {
    let scripts = vec![
        Script::Drop,
        ends(status(0, "")),
        Script::Drop,
        ends(status(0, "")),
    ];
    let (url, _calls) = server(scripts).await;
    let sender = sender(target(Protocol::OtlpGrpc, &url));
    let fresh = failure(call(&sender).await);
    assert_eq!(
        (fresh.reason, fresh.stale),
        (Reason::Connect, false),
        "{}",
        fresh.message
    );
    assert_eq!(call(&sender).await, DELIVERED);
    let used = failure(call(&sender).await);
    assert_eq!(
        (used.reason, used.stale),
        (Reason::Connect, true),
        "{}",
        used.message
    );
    assert_eq!(call(&sender).await, DELIVERED);
}

#[tokio::test]
async fn http_2_is_negotiated() {
    let authority = super::tls::Authority::new();
    let acceptor = tokio_rustls::TlsAcceptor::from(authority.server("localhost", None, b"h2"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "https://localhost:{}/Export",
        listener.local_addr().unwrap().port()
    );
    let scripts = Arc::new(Mutex::new(VecDeque::from([ends(status(0, ""))])));
    let (calls, mut received) = mpsc::channel(1);
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = acceptor.accept(stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        serve(stream, calls, scripts).await;
    });
    let mut given = target(Protocol::OtlpGrpc, &url);
    given.tls.ca_file = Some(authority.file());
    assert_eq!(call(&sender(given)).await, DELIVERED);
    let (head, _) = received.recv().await.unwrap();
    assert_eq!(head.uri().scheme_str(), Some("https"));
}

#[tokio::test]
async fn a_server_without_http_2() {
    let server = super::server::Server::plain(|_| super::server::answer("200 OK", "", "")).await;
    let sender = sender(target(Protocol::OtlpGrpc, &server.url("/")));
    let odd = failure(sender.send(parts(&["x"]), SHORT, "1").await);
    assert!(
        matches!(odd.reason, Reason::Connect | Reason::Timeout),
        "{odd:?}"
    );
}
