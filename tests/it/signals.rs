//! What podvisor does when it is signalled, in each of its phases.

use nix::sys::signal::Signal;

use crate::support::{Place, lives};

const OFF: &str = "http: { listen: off }\n";

#[test]
fn every_stop_signal_stops_in_order() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let place = Place::new();
        let mut running = place.run(&format!(
            "{OFF}services:\n  a: {{ command: [CHILD, 'say:here', wait] }}\n"
        ));
        running.wait_line("here");
        running.signal(signal);
        assert_eq!(running.wait().code(), 0, "{signal}");
    }
}

#[test]
fn further_stop_signals_can_be_named() {
    let place = Place::new();
    let mut running = place.run(&format!(
        "{OFF}shutdown: {{ signals: [SIGUSR1, SIGRTMIN+5] }}\nservices:\n  a: {{ command: [CHILD, 'say:here', wait] }}\n"
    ));
    running.wait_line("here");
    running.signal(Signal::SIGUSR1);
    assert_eq!(running.wait().code(), 0);
}

#[test]
fn quit_kills_all_and_is_131() {
    let place = Place::new();
    let mut running = place.run(&format!(
        "{OFF}services:\n  a: {{ command: [CHILD, 'ignore:TERM', 'say:here', wait] }}\n"
    ));
    running.wait_line("here");
    running.signal(Signal::SIGQUIT);
    let done = running.wait();
    assert_eq!(done.code(), 131);
    assert!(done.took.as_secs() < 5);
}

#[test]
fn two_requests_within_a_second_are_one_and_a_later_one_hurries() {
    let place = Place::new();
    let mut running = place.run(&format!(
        "{OFF}shutdown: {{ deadline: 60s, flushTimeout: 1s }}
services:
  base: {{ command: [CHILD, 'on:TERM:0:0:DIR/log:base', 'say:base here', wait], stop: {{ timeout: 50s }} }}
  top: {{ command: [CHILD, 'ignore:TERM', 'say:top here', wait], dependsOn: [base], stop: {{ timeout: 50s }} }}
"
    ));
    running.wait_line("base here");
    running.wait_line("top here");
    let began = std::time::Instant::now();
    running.signal(Signal::SIGTERM);
    running.signal(Signal::SIGINT);
    running.wait_line("asked to stop");
    assert!(
        place.order("log").is_empty(),
        "base was stopped before what depends on it"
    );
    while began.elapsed().as_millis() < 1100 {
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    running.signal(Signal::SIGTERM);
    running.wait_line("no more order");
    running.wait_until("base is stopped too", || place.order("log") == ["base"]);
    let done = running.wait();
    assert_eq!(done.code(), 137);
    assert!(done.took.as_secs() < 10, "{:?}", done.took);
}

#[test]
fn a_stop_during_backoff_starts_nothing_more() {
    let place = Place::new();
    let mut running = place.run(&format!(
        "{OFF}services:
  a: {{ command: [CHILD, 'mark:DIR/log:start', 'exit:1'], restart: {{ initialDelay: 20s, maxDelay: 30s }} }}
"
    ));
    running.wait_line("restarts");
    let done = running.stop();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert!(done.took.as_secs() < 10);
    assert_eq!(place.order("log").len(), 1);
}

#[test]
fn a_stop_during_a_oneshot_stops_it_and_starts_nothing_more() {
    let place = Place::new();
    let mut running = place.run(&format!(
        "{OFF}services:
  init: {{ type: oneshot, command: [CHILD, 'say:init here', wait] }}
  web: {{ command: [CHILD, 'touch:DIR/web', wait], dependsOn: [init] }}
"
    ));
    running.wait_line("init here");
    assert_eq!(running.stop().code(), 0);
    assert!(!place.exists("web"));
}

#[test]
fn usr1_dumps_the_state_and_usr2_toggles_debugging() {
    let place = Place::new();
    let mut running = place.run(&format!(
        "{OFF}services:\n  web: {{ command: [CHILD, 'say:here', wait] }}\n"
    ));
    running.wait_line("all required services are up");
    running.signal(Signal::SIGUSR1);
    let line = running.wait_line("state=ready");
    assert!(line.contains("web"), "{line}");
    running.signal(Signal::SIGUSR2);
    running.signal(Signal::SIGUSR1);
    let done = running.stop();
    assert!(
        done.stderr.contains("stopping"),
        "debugging shows more: {}",
        done.stderr
    );
}

#[test]
fn ignored_signals_do_nothing() {
    let place = Place::new();
    let mut running = place.run(&format!(
        "{OFF}services:\n  a: {{ command: [CHILD, 'say:here', wait] }}\n"
    ));
    running.wait_line("all required services are up");
    for signal in [
        Signal::SIGPIPE,
        Signal::SIGTSTP,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
        Signal::SIGCHLD,
    ] {
        running.signal(signal);
    }
    running.signal(Signal::SIGUSR1);
    running.wait_line("state=ready");
    assert!(lives(running.pid().as_raw()));
    assert_eq!(running.stop().code(), 0);
}
