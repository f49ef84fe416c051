//! Cron services in a running podvisor; the schedule's own arithmetic is tested beside its code.

use crate::support::{Place, free_port, get};

#[test]
fn a_cron_service_waits_for_its_time_and_does_not_end_the_container() {
    let place = Place::new();
    let port = free_port();
    let mut running = place.run(&format!(
        "http: {{ listen: '127.0.0.1:{port}' }}
services:
  nightly: {{ type: cron, schedule: '0 3 1 1 *', command: [CHILD, 'touch:DIR/ran'] }}
  init: {{ type: oneshot, command: [CHILD, 'exit:0'] }}
"
    ));
    running.wait_line("completed");
    running.wait_until("the next run is known", || {
        get(port, "/metrics").is_some_and(|(_, text)| {
            text.contains("podvisor_cron_next_run_timestamp_seconds{name=\"nightly\"} ")
        })
    });
    assert!(!place.exists("ran"));
    assert_eq!(running.stop().code(), 0);
}

#[test]
fn a_bad_schedule_is_refused_at_the_start() {
    let place = Place::new();
    let done = place
        .run("http: { listen: off }\nservices:\n  a: { type: cron, schedule: '61 * * * *', command: [CHILD] }\n")
        .wait();
    assert_eq!(done.code(), 78);
    assert!(done.stderr.contains("minute"), "{}", done.stderr);
}
