//! Against servers of the tests' own, on ports of the system's choice.

mod files;
mod grpc;
mod http1;
mod proxy;
mod server;
mod tls;

use super::*;
use crate::config::sink::Secret;
use crate::ship::verdict::Failure;

/// Nothing in these tests takes as long, unless it fails.
const LONG: Duration = Duration::from_secs(20);
/// For what is meant to time out.
const SHORT: Duration = Duration::from_millis(500);

fn secret(text: &str) -> Secret {
    serde_json::from_value(serde_json::json!(text)).unwrap()
}

fn target(protocol: Protocol, url: &str) -> Target {
    Target {
        name: "sink".to_owned(),
        protocol,
        url: url.to_owned(),
        headers: Vec::new(),
        auth: Auth::None,
        tls: Tls::default(),
        codec: Codec::Gzip,
        connect_timeout: LONG,
        timeout: LONG,
        user_agent: "podvisor/test".to_owned(),
    }
}

/// Looks at files before every attempt, and not at the environment's proxies.
fn tuning() -> Tuning {
    Tuning {
        proxies: Some(Vec::new()),
        max_age: MAX_AGE,
        watch: Duration::ZERO,
    }
}

fn sender(target: Target) -> Sender {
    Sender::tuned(target, tuning()).unwrap_or_else(|error| panic!("{error}"))
}

fn parts(parts: &[&'static str]) -> Vec<Bytes> {
    parts
        .iter()
        .map(|part| Bytes::from_static(part.as_bytes()))
        .collect()
}

async fn send(sender: &Sender) -> Verdict {
    sender
        .send(parts(&["some ", "bytes"]), LONG, "batch-1")
        .await
}

#[track_caller]
fn failure(verdict: Verdict) -> Failure {
    match verdict {
        Verdict::Retry(failure) => failure,
        other => panic!("{other:?}"),
    }
}

const DELIVERED: Verdict = Verdict::Delivered { rejected: 0 };

#[test]
fn targets_that_can_not_be() {
    let with = |url: &str, change: fn(&mut Target)| {
        let mut target = target(Protocol::OtlpHttp, url);
        change(&mut target);
        Sender::tuned(target, tuning())
            .err()
            .map(|error| error.to_string())
    };
    let good = "http://user:pass@host:1/v1/logs?x=y";
    assert_eq!(with(good, |_| ()), None);
    for bad in ["", "host:4318", "ftp://host/", "http://", "/path"] {
        assert!(with(bad, |_| ()).unwrap().contains("http://"), "{bad}");
    }
    let header = |name| (HeaderName::from_static(name), HeaderValue::from_static("x"));
    for given in [header("content-encoding"), header("content-type")] {
        let mut target = target(Protocol::OtlpHttp, good);
        target.headers = vec![given];
        assert!(matches!(
            Sender::tuned(target, tuning()),
            Err(SetupError::Header(_))
        ));
    }
    assert!(
        with(good, |t| t.auth = Auth::Bearer(secret("a\nb")))
            .unwrap()
            .contains("credentials")
    );
    let missing = with(good, |t| t.auth = Auth::BearerFile("/no/token".into())).unwrap();
    assert!(missing.contains("/no/token"), "{missing}");
    assert!(
        with(good, |t| t.tls.cert_file = Some("/no/cert".into()))
            .unwrap()
            .contains("key")
    );
    assert!(
        with(good, |t| t.tls.server_name = Some("a b".to_owned()))
            .unwrap()
            .contains("name")
    );
    let empty = with(good, |t| t.tls.ca_file = Some("/dev/null".into())).unwrap();
    assert_eq!(empty, "/dev/null: no certificate in it");
}

#[test]
fn bytes_are_counted_with_the_prefix() {
    let body = parts(&["abc", "de"]);
    let count = |protocol| sender(target(protocol, "http://host/")).wire_bytes(&body);
    assert_eq!(count(Protocol::HttpNdjson), 5);
    assert_eq!(count(Protocol::OtlpHttp), 5);
    assert_eq!(count(Protocol::OtlpGrpc), 10);
}

#[test]
fn requests_may_be_under_way_on_any_thread() {
    fn moves<T: Send>(_: &T) {}
    let sender = std::sync::Arc::new(sender(target(Protocol::OtlpHttp, "http://host/")));
    moves(&sender);
    moves(&sender.send(Vec::new(), LONG, "1"));
}
