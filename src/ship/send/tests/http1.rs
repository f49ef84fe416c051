//! NDJSON and OTLP over HTTP/1.1: what goes over the wire, and what goes wrong.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::server::{Reply, Server, answer};
use super::*;

fn ok() -> Reply {
    answer("200 OK", "", "")
}

#[tokio::test]
async fn bodies_go_out_as_they_are() {
    let server = Server::plain(|_| ok()).await;
    let mut given = target(Protocol::HttpNdjson, &server.url("/in?_msg_field=message"));
    let header = |name, value| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    given.headers = vec![header("x-scope", "one"), header("x-scope", "two")];
    let sender = sender(given);
    let member: Vec<u8> = (0..=255).cycle().take(700_000).collect();
    let body = vec![
        Bytes::from(member.clone()),
        Bytes::new(),
        Bytes::from(member.clone()),
    ];
    assert_eq!(sender.send(body, LONG, "7-12").await, DELIVERED);
    let [request] = &server.requests()[..] else {
        panic!()
    };
    assert!(
        request
            .head
            .starts_with("POST /in?_msg_field=message HTTP/1.1\r\n")
    );
    assert!(request.body == [member.clone(), member].concat());
    let header = |name| request.header(name);
    assert_eq!(header("content-length"), Some("1400000"));
    assert_eq!(header("transfer-encoding"), None);
    assert_eq!(header("content-encoding"), Some("gzip"));
    assert_eq!(header("content-type"), Some("application/x-ndjson"));
    assert_eq!(header("idempotency-key"), Some("7-12"));
    assert_eq!(header("user-agent"), Some("podvisor/test"));
    assert_eq!(header("accept-encoding"), None);
    assert_eq!(header("authorization"), None);
    assert_eq!(request.head.matches("x-scope: ").count(), 2);
}

#[tokio::test]
async fn encodings_and_media_types() {
    let server = Server::plain(|_| ok()).await;
    let mut plain = target(Protocol::OtlpHttp, &server.url("/v1/logs"));
    plain.codec = Codec::Identity;
    assert_eq!(send(&sender(plain)).await, DELIVERED);
    let mut zstd = target(Protocol::HttpNdjson, &server.url("/"));
    zstd.codec = Codec::Zstd;
    let media = HeaderValue::from_static("application/stream+json");
    zstd.headers = vec![(::http::header::CONTENT_TYPE, media)];
    assert_eq!(send(&sender(zstd)).await, DELIVERED);
    let [plain, zstd] = &server.requests()[..] else {
        panic!()
    };
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(plain.header("content-type"), Some("application/x-protobuf"));
    assert_eq!(plain.body, b"some bytes");
    assert_eq!(zstd.header("content-encoding"), Some("zstd"));
    assert_eq!(zstd.header("content-type"), Some("application/stream+json"));
    assert_eq!(zstd.head.matches("content-type").count(), 1);
}

#[tokio::test]
async fn connections_are_kept_until_they_are_old() {
    let server = Server::plain(|_| ok()).await;
    let kept = sender(target(Protocol::HttpNdjson, &server.url("/")));
    for _ in 0..3 {
        assert_eq!(send(&kept).await, DELIVERED);
    }
    assert_eq!(server.connections(), 1);
    kept.rebuild();
    assert_eq!(send(&kept).await, DELIVERED);
    assert_eq!(server.connections(), 2);
    let mut tuning = tuning();
    tuning.max_age = Duration::ZERO;
    let target = target(Protocol::HttpNdjson, &server.url("/"));
    let hasty = Sender::tuned(target, tuning).unwrap_or_else(|error| panic!("{error}"));
    for _ in 0..2 {
        assert_eq!(send(&hasty).await, DELIVERED);
    }
    assert_eq!(server.connections(), 4);
}

#[tokio::test]
async fn names_are_resolved() {
    let server = Server::plain(|_| ok()).await;
    let url = format!("http://localhost:{}/", server.address.port());
    assert_eq!(
        send(&sender(target(Protocol::HttpNdjson, &url))).await,
        DELIVERED
    );
}

#[tokio::test]
async fn statuses_become_verdicts() {
    let server = Server::plain(|request| match request.header("x-want").unwrap() {
        "400" => answer(
            "400 Bad Request",
            "",
            r#"{"code":400,"message":"Failed decoding body"}"#,
        ),
        "413" => answer("413 Payload Too Large", "connection: close\r\n", ""),
        "429" => answer("429 Too Many Requests", "retry-after: 7\r\n", ""),
        "302" => answer("302 Found", "location: /elsewhere\r\n", ""),
        _ => answer("503 Service Unavailable", "", "no healthy upstream"),
    })
    .await;
    let get = async |want| {
        let mut target = target(Protocol::HttpNdjson, &server.url("/"));
        target.headers = vec![(
            HeaderName::from_static("x-want"),
            HeaderValue::from_static(want),
        )];
        send(&sender(target)).await
    };
    let message = "400 Bad Request: Failed decoding body".to_owned();
    assert_eq!(get("400").await, Verdict::Malformed { message });
    assert_eq!(get("413").await, Verdict::TooLarge);
    let busy = failure(get("429").await);
    assert_eq!(
        (busy.reason, busy.after),
        (Reason::Http429, Some(Duration::from_secs(7)))
    );
    assert_eq!(failure(get("302").await).reason, Reason::Http4xx);
    let down = failure(get("503").await);
    assert_eq!((down.reason, down.suspect), (Reason::Http5xx, false));
    assert_eq!(down.message, "503 Service Unavailable: no healthy upstream");
    assert_eq!(
        server.requests().len(),
        5,
        "nothing is followed or repeated"
    );
}

#[tokio::test]
async fn secrets_stay_out_of_messages() {
    let server = Server::plain(|request| {
        let known = request
            .header("authorization")
            .unwrap()
            .replace("Basic ", "");
        let said = format!("{known} {} hunter22", request.head.lines().next().unwrap());
        answer("403 Forbidden", "", &said)
    })
    .await;
    let mut given = target(Protocol::HttpNdjson, &server.url("/in?token=geheim"));
    given.auth = Auth::Basic {
        username: "me".to_owned(),
        password: secret("hunter22"),
    };
    let refused = failure(send(&sender(given)).await);
    assert_eq!(
        refused.message,
        "403 Forbidden: *** POST /in?*** HTTP/1.1 ***"
    );
    let request = &server.requests()[0];
    assert_eq!(
        request.header("authorization"),
        Some("Basic bWU6aHVudGVyMjI=")
    );
    let url = server.url("/").replace("://", "://someone:something@");
    let in_url = failure(send(&sender(target(Protocol::HttpNdjson, &url))).await);
    assert!(!in_url.message.contains("something"), "{}", in_url.message);
    assert!(
        server.requests()[1]
            .header("authorization")
            .unwrap()
            .starts_with("Basic ")
    );
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let server = Server::plain(|_| Reply::Stop(String::new())).await;
    let sender = sender(target(Protocol::HttpNdjson, &server.url("/")));
    let late = failure(sender.send(parts(&["x"]), SHORT, "1").await);
    assert_eq!((late.reason, late.stale), (Reason::Timeout, false));
    assert_eq!(late.message, "no answer in 500ms");
}

#[tokio::test]
async fn nobody_listens() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let sender = sender(target(
        Protocol::HttpNdjson,
        &format!("http://{address}/?k=geheim"),
    ));
    let refused = failure(send(&sender).await);
    assert_eq!((refused.reason, refused.stale), (Reason::Connect, false));
    assert_eq!(
        refused.message,
        "tcp connect error: Connection refused (os error 111)"
    );
}

#[tokio::test]
async fn a_connection_that_is_never_made() {
    // The queue of this listener is full: the kernel leaves the next one without an answer.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) =
        tokio::time::timeout(SHORT, tokio::net::TcpStream::connect(address)).await
    {
        waiting.push(stream.unwrap());
    }
    let mut given = target(Protocol::HttpNdjson, &format!("http://{address}/"));
    given.connect_timeout = SHORT;
    let late = failure(send(&sender(given)).await);
    assert_eq!(
        (late.reason, late.stale),
        (Reason::Connect, false),
        "{}",
        late.message
    );
}

#[tokio::test]
async fn only_used_connections_are_stale() {
    let server = Server::plain(|request| match request.connection {
        0 => Reply::End(String::new()),
        _ => match request.header("idempotency-key") {
            Some("first") => ok(),
            _ => Reply::End(String::new()),
        },
    })
    .await;
    let sender = sender(target(Protocol::HttpNdjson, &server.url("/")));
    let fresh = failure(sender.send(parts(&["x"]), LONG, "first").await);
    assert_eq!((fresh.reason, fresh.stale), (Reason::Connect, false));
    assert_eq!(sender.send(parts(&["x"]), LONG, "first").await, DELIVERED);
    let closed = failure(sender.send(parts(&["x"]), LONG, "second").await);
    assert_eq!(
        (closed.reason, closed.stale),
        (Reason::Connect, true),
        "{}",
        closed.message
    );
    assert_eq!(server.connections(), 2);
    let again = failure(sender.send(parts(&["x"]), LONG, "second").await);
    assert!(!again.stale, "a new connection after a stale one");
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn resets_under_a_long_body() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        stream.readable().await.unwrap();
        // Closed with bytes unread: a reset.
    });
    let sender = sender(target(Protocol::HttpNdjson, &format!("http://{address}/")));
    let body = vec![Bytes::from(vec![0; 8 << 20])];
    let reset = failure(sender.send(body, LONG, "1").await);
    assert_eq!(
        (reset.reason, reset.stale),
        (Reason::Connect, false),
        "{}",
        reset.message
    );
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_body() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = [0; 512];
                stream.read_exact(&mut head).await.unwrap();
                let early = b"HTTP/1.1 413 Payload Too Large\r\nconnection: close\r\n\r\n";
                stream.write_all(early).await.unwrap();
                stream.shutdown().await.unwrap();
                // As servers do that close with care: what is still under way must not lead to a reset.
                let _ = stream.read_to_end(&mut Vec::new()).await;
            });
        }
    });
    let sender = sender(target(Protocol::HttpNdjson, &format!("http://{address}/")));
    for _ in 0..2 {
        let body = vec![Bytes::from(vec![0; 8 << 20])];
        assert_eq!(sender.send(body, LONG, "1").await, Verdict::TooLarge);
    }
}

#[tokio::test]
async fn what_follows_the_status_is_bounded() {
    for protocol in [Protocol::HttpNdjson, Protocol::OtlpHttp] {
        let stop = |text: &'static str| Server::plain(move |_| Reply::Stop(text.to_owned()));
        let broken = |text: &'static str| Server::plain(move |_| Reply::End(text.to_owned()));
        let endless = |text: &'static str| Server::plain(move |_| Reply::Endless(text.to_owned()));
        let get = async |server: Server, timeout| {
            let sender = sender(target(protocol, &server.url("/")));
            sender.send(parts(&["x"]), timeout, "1").await
        };
        let slow = stop("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc").await;
        assert_eq!(get(slow, SHORT).await, DELIVERED);
        let cut = broken("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc").await;
        assert_eq!(get(cut, LONG).await, DELIVERED);
        let huge = endless("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n").await;
        assert_eq!(get(huge, LONG).await, DELIVERED);
        let failing = endless("HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
        let down = failure(get(failing, LONG).await);
        assert_eq!(down.reason, Reason::Http5xx);
        assert!(down.message.len() <= MAX_MESSAGE, "{}", down.message.len());
    }
}

#[tokio::test]
async fn an_answer_that_is_no_http() {
    let server = Server::plain(|_| Reply::End("220 mail.example ESMTP\r\n".to_owned())).await;
    let sender = sender(target(Protocol::HttpNdjson, &server.url("/")));
    assert_eq!(failure(send(&sender).await).reason, Reason::Connect);
}

#[tokio::test]
async fn refused_records_are_counted() {
    // ExportLogsServiceResponse { partial_success { rejected_log_records: 3 } }
    let server = Server::plain(|_| answer("200 OK", "", "\x0a\x02\x08\x03")).await;
    let otlp = sender(target(Protocol::OtlpHttp, &server.url("/v1/logs")));
    assert_eq!(send(&otlp).await, Verdict::Delivered { rejected: 3 });
    let ndjson = sender(target(Protocol::HttpNdjson, &server.url("/")));
    assert_eq!(send(&ndjson).await, DELIVERED);
}
