//! The server under clients that behave, and clients that do not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::*;
use crate::http::Pulse;
use crate::metrics::Metrics;
use crate::view::View;

fn serve() -> SocketAddr {
    let view = Arc::new(ArcSwap::from_pointee(View::empty()));
    let metrics = Metrics::new(view.clone(), None, None);
    let bound = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = bound.local_addr().unwrap();
    bound
        .serve(Shared::new(view, Arc::new(Pulse::new()), metrics))
        .unwrap();
    address
}

fn ask(address: SocketAddr, request: &str) -> String {
    let mut peer = TcpStream::connect(address).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    peer.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    peer.read_to_string(&mut answer).unwrap();
    answer
}

fn get(address: SocketAddr, path: &str) -> String {
    ask(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    )
}

#[test]
fn every_path_answers() {
    let address = serve();
    for (path, status) in [
        ("/livez", 200),
        ("/healthz", 200),
        ("/readyz", 503),
        ("/startupz", 503),
        ("/readyz/nobody", 404),
        ("/metrics", 200),
        ("/", 200),
        ("/other", 404),
    ] {
        let answer = get(address, path);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{path}: {answer}"
        );
        let lower = answer.to_lowercase();
        assert!(
            lower.contains("cache-control: no-store"),
            "{path}: {answer}"
        );
        assert!(!lower.contains("location:"), "{path}: {answer}");
    }
}

#[test]
fn head_is_get_without_its_body() {
    let address = serve();
    let answer = ask(
        address,
        "HEAD /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
    assert!(
        answer.to_lowercase().contains("content-length: 2"),
        "{answer}"
    );
}

#[test]
fn other_methods_are_told_which_there_are() {
    let address = serve();
    let answer = ask(
        address,
        "POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
    );
    assert!(
        answer.starts_with("HTTP/1.1 405 ") && answer.contains("GET, HEAD"),
        "{answer}"
    );
}

#[test]
fn idle_and_slow_connections_do_not_keep_a_probe_out() {
    let address = serve();
    let mut hogs = Vec::new();
    for number in 0..300 {
        let mut peer = TcpStream::connect(address).unwrap();
        if number % 2 == 0 {
            drop(peer.write_all(b"GET /livez HTTP/1.1\r\nX-Slow: "));
        }
        hogs.push(peer);
    }
    let began = Instant::now();
    for _ in 0..20 {
        assert!(get(address, "/livez").starts_with("HTTP/1.1 200 "));
    }
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn garbage_and_huge_heads_are_refused() {
    let address = serve();
    for request in [
        "\0\u{1}garbage\r\n\r\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000)),
    ] {
        let mut peer = TcpStream::connect(address).unwrap();
        drop(peer.write_all(request.as_bytes()));
        let mut answer = Vec::new();
        drop(peer.read_to_end(&mut answer));
        let text = String::from_utf8_lossy(&answer);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    }
    assert!(get(address, "/livez").starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_taken_address_is_an_error_with_its_name() {
    let address = serve();
    let error = bind(address).unwrap_err().to_string();
    assert!(error.contains(&address.to_string()), "{error}");
}
