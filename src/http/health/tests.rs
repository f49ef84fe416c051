//! The truth table of health, and the bodies that people and kubelets read.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;

use super::*;
use crate::core::{ServiceState, Tally};

fn service(name: &str, state: ServiceState, ready: bool, required: bool) -> Arc<ServiceView> {
    Arc::new(ServiceView {
        name: Arc::from(name),
        kind: "daemon",
        restart_policy: "Always",
        required,
        state,
        reason: Arc::from("argv and env never come here"),
        ready,
        pid: None,
        started_at: None,
        ready_at: None,
        first: (None, None),
        start_duration: None,
        last_exit: None,
        backoff: Duration::ZERO,
        consecutive_failures: 0,
        blocked_on: Vec::new(),
        probes: Vec::new(),
        tally: Tally::default(),
        next_run: None,
        last_success_at: None,
    })
}

fn view(phase: Phase, services: Vec<Arc<ServiceView>>) -> View {
    View {
        phase,
        services,
        ..View::empty()
    }
}

fn read(reply: Reply) -> (u16, String) {
    let status = reply.status().as_u16();
    let body = futures_lite_block(reply.into_body());
    (status, body)
}

/// The body is whole already; one poll gets it.
fn futures_lite_block(body: http_body_util::Full<hyper::body::Bytes>) -> String {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let collected = std::pin::pin!(body.collect()).as_mut().poll(&mut context);
    match collected {
        std::task::Poll::Ready(Ok(body)) => String::from_utf8(body.to_bytes().to_vec()).unwrap(),
        _ => panic!("the body is not whole"),
    }
}

#[test]
fn readyz_depends_on_required_services_and_the_phase_alone() {
    use ServiceState::{Backoff, Completed, Ready, Running};
    let ready = || service("web", Ready, true, true);
    for (phase, services, wanted) in [
        (Phase::Running, vec![ready()], 200),
        (Phase::Starting, vec![ready()], 200),
        (Phase::Draining, vec![ready()], 503),
        (Phase::Stopping, vec![ready()], 503),
        (
            Phase::Running,
            vec![ready(), service("x", Backoff, false, false)],
            200,
        ),
        (
            Phase::Running,
            vec![ready(), service("x", Backoff, false, true)],
            503,
        ),
        (
            Phase::Running,
            vec![ready(), service("x", Running, false, true)],
            503,
        ),
        (
            Phase::Running,
            vec![ready(), service("init", Completed, true, true)],
            200,
        ),
        (Phase::Starting, Vec::new(), 503),
    ] {
        let text = format!("{phase:?} {services:?}");
        assert_eq!(read(readyz(&view(phase, services), "")).0, wanted, "{text}");
    }
}

#[test]
fn the_text_is_the_api_servers() {
    let services = vec![
        service("db", ServiceState::Ready, true, true),
        service("web", ServiceState::Backoff, false, true),
    ];
    let failing = view(Phase::Running, services);
    let (status, body) = read(readyz(&failing, ""));
    assert_eq!(status, 503);
    assert_eq!(
        body,
        "[+]config ok\n[+]not-draining ok\n[+]service/db ok\n[-]service/web failed: backoff\nreadyz check failed\n"
    );
    let (status, body) = read(readyz(&failing, "exclude=web"));
    assert_eq!((status, body.as_str()), (200, "ok"));
    let (status, body) = read(readyz(
        &failing,
        "verbose&exclude=service/web&exclude=nobody",
    ));
    assert_eq!(status, 200);
    assert!(body.contains("[+]service/web excluded: ok\n"), "{body}");
    assert!(
        body.contains("warn: some health checks cannot be excluded: no matches for \"nobody\"\n"),
        "{body}"
    );
    assert!(body.ends_with("readyz check passed\n"), "{body}");
}

#[test]
fn livez_is_about_the_loop_alone() {
    assert_eq!(read(livez(true, "")), (200, "ok".to_owned()));
    assert_eq!(read(livez(false, "")).0, 503);
}

#[test]
fn startupz_is_a_latch() {
    let mut seen = view(
        Phase::Running,
        vec![service("web", ServiceState::Backoff, false, true)],
    );
    assert_eq!(read(startupz(&seen, "")).0, 503);
    seen.started = true;
    assert_eq!(read(startupz(&seen, "")).0, 200);
    seen.phase = Phase::Draining;
    assert_eq!(read(startupz(&seen, "")).0, 200);
}

#[test]
fn one_service_can_be_asked_for() {
    let seen = view(
        Phase::Running,
        vec![service("web", ServiceState::Ready, true, false)],
    );
    assert_eq!(read(readyz_of(&seen, "web", "")).0, 200);
    assert_eq!(read(readyz_of(&seen, "nobody", "")).0, 404);
}

#[test]
fn a_thousand_failing_services_fit_into_the_bound() {
    let mut services: Vec<_> = (0..1000)
        .map(|n| {
            service(
                &format!("a-service-with-a-long-name-{n}"),
                ServiceState::Ready,
                true,
                true,
            )
        })
        .collect();
    services.push(service("zz-failing", ServiceState::Failed, false, true));
    let seen = view(Phase::Running, services);
    for query in ["", "verbose", "format=json"] {
        let (status, body) = read(readyz(&seen, query));
        assert_eq!(status, 503);
        assert!(body.len() < 8192, "{} bytes", body.len());
        assert!(body.contains("zz-failing"), "what failed comes first");
    }
    let (_, json) = read(readyz(&seen, "format=json"));
    serde_json::from_str::<serde_json::Value>(&json).unwrap();
}
