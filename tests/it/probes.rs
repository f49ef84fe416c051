//! Every kind of probe against a process that answers it for real.

use crate::support::{Place, free_port, get};

const OFF: &str = "http: { listen: off }\nlogs: { console: { format: raw } }\n";

/// Runs a service whose readiness is the given probe, and waits until it is ready.
fn becomes_ready(words: &str, probe: &str) {
    let place = Place::new();
    let mut running = place.run(&format!(
        "{OFF}services:\n  a:\n    command: [CHILD, {words}, wait]\n    readinessProbe: {probe}\n"
    ));
    running.wait_line("all required services are up");
    assert_eq!(running.stop().code(), 0);
}

#[test]
fn exec() {
    becomes_ready(
        "'sleep:50'",
        "{ exec: { command: [CHILD, 'exit:0'] }, periodSeconds: 1 }",
    );
}

#[test]
fn file_exists() {
    becomes_ready(
        "'touch:DIR/ready'",
        "{ fileExists: DIR/ready, periodSeconds: 1 }",
    );
}

#[test]
fn log_match_on_either_stream() {
    becomes_ready(
        "'sleep:50', 'say:now ready on 80'",
        "{ logMatch: 'ready on \\d+' }",
    );
    becomes_ready("'err:now ready on 80'", "{ logMatch: 'ready on \\d+' }");
}

#[test]
fn notify() {
    becomes_ready(
        "'sleep:50', 'notify:STATUS=warm|READY=1'",
        "{ notify: true }",
    );
}

#[test]
fn notify_fd() {
    becomes_ready("'sleep:50', 'fd:5:ready'", "{ notifyFd: 5 }");
}

#[test]
fn tcp_socket_and_http_get() {
    let place = Place::new();
    let mut server = place.run(&format!(
        "{OFF}services:\n  s: {{ command: [CHILD, 'touch:DIR/flag', 'listen:DIR/tcp', 'http:DIR/http:DIR/flag', wait] }}\n"
    ));
    server.wait_until("its ports are known", || {
        place.exists("tcp") && place.exists("http")
    });
    for probe in [
        format!("tcpSocket: {{ port: {} }}", place.read("tcp")),
        format!("httpGet: {{ path: /ready, port: {} }}", place.read("http")),
    ] {
        becomes_ready("'say:here'", &format!("{{ {probe}, periodSeconds: 1 }}"));
    }
    server.stop();
}

#[test]
fn a_failing_readiness_probe_takes_it_out_and_never_restarts_it() {
    let place = Place::new();
    let port = free_port();
    let mut running = place.run(&format!(
        "http: {{ listen: '127.0.0.1:{port}' }}
services:
  a:
    command: [CHILD, 'mark:DIR/log:start', 'touch:DIR/ready', wait]
    readinessProbe: {{ fileExists: DIR/ready, periodSeconds: 1, failureThreshold: 1 }}
"
    ));
    running.wait_until("ready", || {
        get(port, "/readyz").is_some_and(|(s, _)| s == 200)
    });
    std::fs::remove_file(place.path("ready")).unwrap();
    running.wait_until("not ready", || {
        get(port, "/readyz").is_some_and(|(s, _)| s == 503)
    });
    std::fs::write(place.path("ready"), "").unwrap();
    running.wait_until("ready again", || {
        get(port, "/readyz").is_some_and(|(s, _)| s == 200)
    });
    running.stop();
    assert_eq!(place.order("log"), ["start"]);
}

#[test]
fn failing_liveness_restarts_through_the_stop_sequence() {
    let place = Place::new();
    let mut running = place.run(&format!(
        "{OFF}services:
  a:
    command: [CHILD, 'mark:DIR/log:start', 'touch:DIR/alive', 'on:TERM:0:0:DIR/log:term', wait]
    startupProbe: {{ fileExists: DIR/alive, periodSeconds: 1 }}
    livenessProbe: {{ fileExists: DIR/alive, periodSeconds: 1, failureThreshold: 1 }}
    restart: {{ initialDelay: 1ms }}
"
    ));
    running.wait_until("it runs", || {
        place.order("log").len() == 1 && place.exists("alive")
    });
    std::fs::remove_file(place.path("alive")).unwrap();
    running.wait_until("it runs again", || place.order("log").len() == 3);
    running.stop();
    assert_eq!(place.order("log")[..3], ["start", "term", "start"]);
}

#[test]
fn the_startup_probe_holds_back_liveness() {
    let place = Place::new();
    let mut running = place.run(&format!(
        "{OFF}services:
  a:
    command: [CHILD, 'mark:DIR/log:start', 'sleep:1500', 'touch:DIR/up', wait]
    startupProbe: {{ fileExists: DIR/up, periodSeconds: 1, failureThreshold: 30 }}
    livenessProbe: {{ fileExists: DIR/up, periodSeconds: 1, failureThreshold: 1 }}
"
    ));
    running.wait_line("all required services are up");
    running.stop();
    assert_eq!(place.order("log"), ["start"]);
}

#[test]
fn an_exec_probe_that_hangs_is_killed_whole() {
    let place = Place::new();
    let mut running = place.run(&format!(
        "{OFF}services:
  a:
    command: [CHILD, wait]
    readinessProbe: {{ exec: {{ command: [/bin/sh, -c, 'echo $$$$ >> DIR/probes; sleep 1000 & echo $! >> DIR/probes; wait'] }}, timeoutSeconds: 1, periodSeconds: 1 }}
"
    ));
    running.wait_until("two attempts", || place.read("probes").lines().count() >= 4);
    let first: Vec<i32> = place
        .read("probes")
        .lines()
        .take(2)
        .map(|l| l.parse().unwrap())
        .collect();
    running.wait_until("the first attempt is gone", || {
        first.iter().all(|pid| !crate::support::lives(*pid))
    });
    running.stop();
}

#[test]
fn a_watchdog_that_is_not_fed_restarts() {
    let place = Place::new();
    let mut running = place.run(&format!(
        "{OFF}services:
  a:
    command: [CHILD, 'mark:DIR/log:start', 'env:WATCHDOG_USEC', 'notify:READY=1|WATCHDOG=1', wait]
    readinessProbe: {{ notify: true }}
    livenessProbe: {{ notify: true, periodSeconds: 1, failureThreshold: 1 }}
    restart: {{ initialDelay: 1ms }}
"
    ));
    running.wait_line("WATCHDOG_USEC=1000000");
    running.wait_line("missed its watchdog");
    running.wait_until("it runs again", || place.order("log").len() >= 2);
    running.stop();
}
