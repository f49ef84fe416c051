//! Through a proxy: plain requests are handed to it, TLS goes through a tunnel.

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::server::{Server, answer};
use super::tls::Authority;
use super::*;

fn through(target: Target, proxy: &str) -> Sender {
    let mut tuning = tuning();
    tuning.proxies = Some(vec![Proxy::all(proxy).unwrap()]);
    Sender::tuned(target, tuning).unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn plain_requests_are_handed_over() {
    let proxy = Server::plain(|_| answer("200 OK", "", "")).await;
    let target = target(Protocol::HttpNdjson, "http://sink.invalid:8080/in");
    let sender = through(target, &proxy.url("/").replace("://", "://me:pass@"));
    assert_eq!(send(&sender).await, DELIVERED);
    let request = &proxy.requests()[0];
    assert!(
        request
            .head
            .starts_with("POST http://sink.invalid:8080/in HTTP/1.1\r\n")
    );
    assert_eq!(request.header("host"), Some("sink.invalid:8080"));
    assert_eq!(
        request.header("proxy-authorization"),
        Some("Basic bWU6cGFzcw==")
    );
    assert_eq!(request.body, b"some bytes");
}

/// A proxy that opens one tunnel, or refuses; and the line that asked for it.
async fn tunnel(status: &'static str) -> (String, tokio::sync::oneshot::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (asked, line) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let mut client = BufReader::new(client);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            client.read_line(&mut head).await.unwrap();
        }
        let first = head.lines().next().unwrap().to_owned();
        let port = first
            .split([':', ' '])
            .nth(2)
            .unwrap()
            .parse::<u16>()
            .unwrap();
        asked.send(first).unwrap();
        let answer = format!("HTTP/1.1 {status}\r\n\r\n");
        client.get_mut().write_all(answer.as_bytes()).await.unwrap();
        if status.starts_with("200") {
            let mut sink = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let _ = copy_bidirectional(&mut client, &mut sink).await;
        }
    });
    (url, line)
}

#[tokio::test]
async fn tls_goes_through_a_tunnel() {
    let authority = Authority::new();
    let config = authority.server("localhost", None, b"http/1.1");
    let server = Server::tls(move |_| config.clone(), |_| answer("200 OK", "", "")).await;
    let mut target = target(Protocol::HttpNdjson, &server.https("/in"));
    target.tls.ca_file = Some(authority.file());
    let (proxy, line) = tunnel("200 OK").await;
    let sender = through(target.clone(), &proxy);
    for _ in 0..2 {
        assert_eq!(send(&sender).await, DELIVERED);
    }
    let port = server.address.port();
    assert_eq!(
        line.await.unwrap(),
        format!("CONNECT localhost:{port} HTTP/1.1")
    );
    assert!(
        server.requests()[0]
            .head
            .starts_with("POST /in HTTP/1.1\r\n")
    );
    let (proxy, _) = tunnel("403 Forbidden").await;
    let refused = failure(send(&through(target, &proxy)).await);
    assert_eq!((refused.reason, refused.stale), (Reason::Connect, false));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn plain_grpc_goes_past_the_proxy() {
    let proxy = Server::plain(|_| answer("200 OK", "", "")).await;
    let sink = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", sink.local_addr().unwrap());
    drop(sink);
    let sender = through(target(Protocol::OtlpGrpc, &url), &proxy.url("/"));
    let refused = failure(sender.send(parts(&["x"]), LONG, "1").await);
    assert_eq!(refused.reason, Reason::Connect);
    assert_eq!(proxy.connections(), 0);
}

/// Where the process of the test below goes past its proxy.
const DIRECT: &str = "PODVISOR_TEST_DIRECT";

#[tokio::test]
#[expect(clippy::disallowed_types, reason = "no reaper runs beside this test")]
async fn the_environment_names_the_proxy() {
    let proxy = Server::plain(|_| answer("200 OK", "", "")).await;
    let direct = Server::plain(|_| answer("200 OK", "", "")).await;
    // In a process of its own: the environment belongs to the whole process.
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "ship::send::tests::proxy::in_that_environment"])
        .env_clear()
        .env("HTTP_PROXY", proxy.url(""))
        .env("NO_PROXY", "127.0.0.1")
        .env(DIRECT, direct.url("/direct"));
    let child = tokio::task::spawn_blocking(move || child.output().unwrap());
    let output = child.await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let heads = |server: &Server| {
        let requests = server.requests();
        let first =
            |request: super::server::Request| request.head.lines().next().map(str::to_owned);
        requests.into_iter().filter_map(first).collect::<Vec<_>>()
    };
    assert_eq!(heads(&proxy), ["POST http://sink.invalid/in HTTP/1.1"]);
    assert_eq!(heads(&direct), ["POST /direct HTTP/1.1"]);
}

/// Part of the test above; alone it does nothing.
#[tokio::test]
async fn in_that_environment() {
    let Ok(direct) = std::env::var(DIRECT) else {
        return;
    };
    for url in ["http://sink.invalid/in", &direct] {
        let sender = Sender::new(target(Protocol::HttpNdjson, url));
        let sender = sender.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(send(&sender).await, DELIVERED);
    }
}
