//! The health endpoint as a kubelet and a scraper meet it.

use crate::support::{Place, free_port, get};

#[test]
fn readyz_is_200_only_when_every_required_service_is_ready() {
    let place = Place::new();
    let port = free_port();
    let mut running = place.run(&format!(
        "http: {{ listen: '127.0.0.1:{port}' }}
services:
  web: {{ command: [CHILD, wait], readinessProbe: {{ fileExists: DIR/web, periodSeconds: 1 }} }}
  init: {{ type: oneshot, command: [CHILD, 'exit:0'] }}
  extra: {{ command: [CHILD, wait], required: false, readinessProbe: {{ fileExists: DIR/extra, periodSeconds: 1 }} }}
"
    ));
    let knows = || get(port, "/readyz").is_some_and(|(_, body)| body.contains("web"));
    running.wait_until("it knows its services", knows);
    let (status, body) = get(port, "/readyz").unwrap();
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("[-]") && body.contains("web"), "{body}");
    assert_eq!(get(port, "/startupz").unwrap().0, 503);
    std::fs::write(place.path("web"), "").unwrap();
    running.wait_until("ready", || {
        get(port, "/readyz").is_some_and(|(s, _)| s == 200)
    });
    assert_eq!(get(port, "/readyz").unwrap().1.trim(), "ok");
    assert_eq!(get(port, "/startupz").unwrap().0, 200);
    assert_eq!(get(port, "/readyz/web").unwrap().0, 200);
    assert_eq!(get(port, "/readyz/extra").unwrap().0, 503);
    assert_eq!(get(port, "/readyz/nobody").unwrap().0, 404);
    let (_, body) = get(port, "/readyz?verbose").unwrap();
    assert!(
        body.contains("[+]") && body.contains("readyz check passed"),
        "{body}"
    );
    let (_, json) = get(port, "/readyz?format=json").unwrap();
    serde_json::from_str::<serde_json::Value>(&json).unwrap();
    assert_eq!(running.stop().code(), 0);
}

#[test]
fn livez_does_not_care_about_services() {
    let place = Place::new();
    let port = free_port();
    let mut running = place.run(&format!(
        "http: {{ listen: '127.0.0.1:{port}' }}
services:
  crash: {{ command: [CHILD, 'exit:1'], required: false, restart: {{ initialDelay: 1ms, maxRestarts: 0, maxDelay: 10ms }} }}
  web: {{ command: [CHILD, wait] }}
"
    ));
    running.wait_until("it listens", || get(port, "/livez").is_some());
    for _ in 0..50 {
        assert_eq!(get(port, "/livez").unwrap().0, 200);
    }
    assert_eq!(running.stop().code(), 0);
}

#[test]
fn startupz_latches() {
    let place = Place::new();
    let port = free_port();
    let mut running = place.run(&format!(
        "http: {{ listen: '127.0.0.1:{port}' }}
services:
  web: {{ command: [CHILD, 'touch:DIR/web', wait], readinessProbe: {{ fileExists: DIR/web, periodSeconds: 1, failureThreshold: 1 }} }}
"
    ));
    running.wait_until("started", || {
        get(port, "/startupz").is_some_and(|(s, _)| s == 200)
    });
    std::fs::remove_file(place.path("web")).unwrap();
    running.wait_until("not ready", || {
        get(port, "/readyz").is_some_and(|(s, _)| s == 503)
    });
    assert_eq!(get(port, "/startupz").unwrap().0, 200);
    running.stop();
}

#[test]
fn metrics_tell_state_starts_and_exits() {
    let place = Place::new();
    let port = free_port();
    let mut running = place.run(&format!(
        "http: {{ listen: '127.0.0.1:{port}' }}
services:
  web: {{ command: [CHILD, 'say:hello', wait] }}
  bad: {{ command: [CHILD, 'exit:3'], required: false, restartPolicy: Never }}
"
    ));
    running.wait_line("failed for good");
    // The two start side by side: which is told of first is not said.
    let settled = "podvisor_service_state{name=\"web\",state=\"ready\"} 1";
    running.wait_until("metrics are there", || {
        get(port, "/metrics").is_some_and(|(_, text)| text.contains(settled))
    });
    let (status, text) = get(port, "/metrics").unwrap();
    assert_eq!(status, 200);
    for wanted in [
        "podvisor_service_state{name=\"web\",state=\"ready\"} 1",
        "podvisor_service_state{name=\"bad\",state=\"failed\"} 1",
        "podvisor_service_state{name=\"bad\",state=\"ready\"} 0",
        "podvisor_service_exits_total{code=\"3\",name=\"bad\",signal=\"\"} 1",
        "podvisor_service_starts_total{name=\"web\",result=\"ok\"} 1",
        "podvisor_service_restarts_total{name=\"web\",reason=\"exit\"} 0",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in\n{text}");
    }
    running.stop();
}

#[test]
fn the_page_shows_the_services() {
    let place = Place::new();
    let port = free_port();
    let mut running = place.run(&format!(
        "http: {{ listen: '127.0.0.1:{port}' }}\nservices:\n  web: {{ command: [CHILD, wait] }}\n"
    ));
    let shows = || get(port, "/").is_some_and(|(_, body)| body.contains("web"));
    running.wait_until("it shows its services", shows);
    let (status, body) = get(port, "/").unwrap();
    assert_eq!(status, 200);
    assert!(body.contains("web") && body.contains("/metrics"), "{body}");
    running.stop();
}

#[test]
fn check_is_a_client_for_exec_probes() {
    let place = Place::new();
    let port = free_port();
    let mut running = place.run(&format!(
        "http: {{ listen: '127.0.0.1:{port}' }}
services:
  web: {{ command: [CHILD, wait], readinessProbe: {{ fileExists: DIR/web, periodSeconds: 1 }} }}
"
    ));
    running.wait_until("it listens", || get(port, "/livez").is_some());
    let check = |args: &[&str]| {
        let address = format!("127.0.0.1:{port}");
        let mut all = vec!["check"];
        all.extend(args);
        all.extend(["--address", &address]);
        crate::support::Running::start(&Place::new(), &all).wait()
    };
    assert_eq!(check(&["live"]).code(), 0);
    let not_yet = check(&["ready"]);
    assert_eq!(not_yet.code(), 1);
    assert!(
        not_yet.stdout.contains("web") && not_yet.stdout.lines().count() == 1,
        "{}",
        not_yet.stdout
    );
    assert_eq!(check(&["startup"]).code(), 1);
    std::fs::write(place.path("web"), "").unwrap();
    running.wait_until("ready", || {
        get(port, "/readyz").is_some_and(|(s, _)| s == 200)
    });
    assert_eq!(check(&["ready"]).code(), 0);
    assert_eq!(check(&["ready", "--service", "web"]).code(), 0);
    running.stop();
    assert_eq!(check(&["live"]).code(), 1);
}
