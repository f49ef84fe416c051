//! httpGet against servers that answer well, badly, slowly and not at all.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::thread;
use std::time::Duration;

use super::super::{Attempt, attempt};
use super::Target;
use crate::config::probe::{Check, HttpGet, HttpHeader, Scheme};
use crate::core::ProbeOutcome;

/// A server that hands each request to `answer`, one connection at a time, and closes after the answer.
fn server(answer: impl Fn(&str) -> String + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut peer in listener.incoming().flatten() {
            let mut request = [0; 8192];
            let size = peer.read(&mut request).unwrap_or(0);
            let text = answer(&String::from_utf8_lossy(&request[..size]));
            drop(peer.write_all(text.as_bytes()));
            drop(peer.shutdown(Shutdown::Write));
        }
    });
    port
}

fn check(port: u16, path: &str) -> HttpGet {
    HttpGet {
        host: None,
        port,
        path: Some(path.to_owned()),
        scheme: Scheme::Http,
        http_headers: Vec::new(),
    }
}

async fn ask(check: HttpGet) -> Attempt {
    attempt(&Check::HttpGet(check), Duration::from_millis(500)).await
}

fn plain(status: u16) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok")
}

#[tokio::test]
async fn a_status_from_200_to_399_is_a_success() {
    let port = server(|request| {
        let status = request.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
        plain(status)
    });
    for status in [200, 204, 299, 301, 304, 399, 400, 404, 500, 503, 599] {
        let answer = ask(check(port, &format!("/{status}"))).await;
        let wanted = if status < 400 {
            ProbeOutcome::Success
        } else {
            ProbeOutcome::Failure
        };
        assert_eq!(answer.outcome, wanted, "{status}: {}", answer.detail);
    }
}

#[tokio::test]
async fn redirects_are_followed_on_the_same_host_only() {
    let port = server(|request| {
        let path = request.split(' ').nth(1).unwrap().to_owned();
        let to = match path.as_str() {
            "/relative" => "/bad",
            "/good" => "/fine",
            "/loop" => "/loop",
            "/elsewhere" => "http://other.example/bad",
            "/bad" => return plain(500),
            _ => return plain(200),
        };
        format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
    });
    let wanted = [
        ("/relative", ProbeOutcome::Failure),
        ("/good", ProbeOutcome::Success),
        ("/loop", ProbeOutcome::Failure),
        ("/elsewhere", ProbeOutcome::Success),
    ];
    for (path, wanted) in wanted {
        assert_eq!(ask(check(port, path)).await.outcome, wanted, "{path}");
    }
}

#[tokio::test]
async fn headers_are_the_kubelets_and_the_users() {
    let (sender, requests) = std::sync::mpsc::sync_channel(1);
    let port = server(move |request| {
        sender.send(request.to_lowercase()).unwrap();
        plain(200)
    });
    let mut check = check(port, "/p?q=1");
    for (name, value) in [("Host", "app.example"), ("X-One", "1")] {
        check.http_headers.push(HttpHeader {
            name: name.to_owned(),
            value: value.to_owned(),
        });
    }
    assert_eq!(ask(check).await.outcome, ProbeOutcome::Success);
    let request = requests.recv().unwrap();
    assert!(request.starts_with("get /p?q=1 http/1.1"), "{request}");
    for line in [
        "host: app.example",
        "x-one: 1",
        "user-agent: kube-probe/",
        "accept: */*",
        "connection: close",
    ] {
        assert!(request.contains(line), "{line} in {request}");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_an_error_or_a_timeout() {
    let garbage = server(|_| "what?\r\n\r\n".to_owned());
    assert_eq!(ask(check(garbage, "/")).await.outcome, ProbeOutcome::Error);
    let nothing = server(|_| String::new());
    assert_eq!(ask(check(nothing, "/")).await.outcome, ProbeOutcome::Error);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    assert_eq!(ask(check(port, "/")).await.outcome, ProbeOutcome::Timeout);
    drop(silent);
    assert_eq!(ask(check(port, "/")).await.outcome, ProbeOutcome::Error);
}

#[tokio::test]
async fn a_large_body_is_read_up_to_the_bound() {
    let port = server(|_| {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n{}",
            "x".repeat(200_000)
        )
    });
    assert_eq!(ask(check(port, "/")).await.outcome, ProbeOutcome::Success);
}

#[tokio::test]
async fn a_chunked_body_is_an_answer() {
    let port = server(|_| {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".to_owned()
    });
    assert_eq!(ask(check(port, "/")).await.outcome, ProbeOutcome::Success);
}

#[test]
fn a_redirect_may_change_scheme_and_port() {
    let target = Target::of(&check(80, "/a"));
    let next = target.redirected("https://127.0.0.1/b?c=d").unwrap();
    assert_eq!(
        (next.secure, next.port, next.path.as_str()),
        (true, 443, "/b?c=d")
    );
    assert_eq!(target.redirected("http://127.0.0.2/"), None);
}
