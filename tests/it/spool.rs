//! The spool: what could not be sent outlives the outage, podvisor, and the container.

use std::collections::{BTreeMap, BTreeSet};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::ship::{assert_balanced, assert_complete, metric, numbers};
use crate::support::receiver::Receiver;
use crate::support::{Place, Running, free_port, get, wait_until};

fn config(receiver: &Receiver, command: &str, spool: &str, more: &str) -> String {
    format!(
        "services: {{ a: {{ command: [CHILD, {command}] }} }}\nlogs:\n  console: {{ format: none }}\n  maxMemory: 1MiB\n  sinks: {{ s: {{ type: http, compression: none, endpoint: '{}' }} }}\n  spool: {{ path: DIR/spool, {spool} }}\n{more}",
        receiver.url("/")
    )
}

#[test]
fn an_outage_longer_than_memory_loses_nothing() {
    let (place, receiver, port) = (Place::new(), Receiver::start(&[]), free_port());
    receiver.down();
    let running = place.run(&config(
        &receiver,
        "'lines:60000', 'touch:DIR/written', wait",
        "mode: overflow",
        &format!("http: {{ listen: '127.0.0.1:{port}' }}\n"),
    ));
    wait_until(
        "the service has written",
        || place.exists("written"),
        String::new,
    );
    let mut text = String::new();
    wait_until(
        "most of it is on disk",
        || {
            text = get(port, "/metrics").unwrap().1;
            metric(&text, "podvisor_sink_taken_events_total", &[]) == 60_000.0
        },
        String::new,
    );
    assert_balanced(&text, "s");
    assert!(metric(&text, "podvisor_sink_spooled_events", &[]) > 30_000.0);
    receiver.up();
    assert_complete(&receiver.wait_count(60_000), "a", 60_000);
    wait_until(
        "the disk is given back",
        || {
            text = get(port, "/metrics").unwrap().1;
            metric(&text, "podvisor_sink_queue_events", &[]) == 0.0
        },
        String::new,
    );
    assert_balanced(&text, "s");
    running.stop();
}

#[test]
fn two_sinks_that_fail_at_once_lose_nothing() {
    let (place, port) = (Place::new(), free_port());
    let (one, two) = (Receiver::start(&[]), Receiver::start(&[]));
    one.down();
    two.down();
    let second = format!(
        "}}, t: {{ type: http, compression: none, endpoint: '{}' }} }}\n  spool:",
        two.url("/")
    );
    let yaml = config(
        &one,
        "'lines:40000', wait",
        "mode: overflow",
        &format!("http: {{ listen: '127.0.0.1:{port}' }}\n"),
    )
    .replace("} }\n  spool:", &second);
    let running = place.run(&yaml);
    let mut text = String::new();
    for sink in ["s", "t"] {
        wait_until(
            "everything was taken in",
            || {
                text = get(port, "/metrics").unwrap_or_default().1;
                let label = format!("sink=\"{sink}\"");
                metric(&text, "podvisor_sink_taken_events_total", &[&label]) >= 40_000.0
            },
            String::new,
        );
    }
    one.up();
    two.up();
    for receiver in [&one, &two] {
        let mut arrived = numbers(&receiver.wait_count(40_000), "a");
        arrived.sort_unstable();
        arrived.dedup();
        assert!(arrived.iter().copied().eq(0..40_000));
    }
    running.stop();
}

#[test]
fn what_was_not_sent_at_the_end_is_sent_by_the_next_start() {
    let (place, receiver) = (Place::new(), Receiver::start(&[]));
    receiver.down();
    let yaml = config(
        &receiver,
        "'lines:20000', wait",
        "mode: overflow",
        "shutdown: { deadline: 6s, flushTimeout: 3s }\n",
    );
    let yaml = yaml.replace("wait]", "'touch:DIR/written', wait]");
    let running = place.run(&yaml);
    wait_until(
        "the service has written",
        || place.exists("written"),
        String::new,
    );
    let done = running.stop();
    assert_eq!(done.code(), 0);
    assert!(done.stderr.contains("lost=0"), "{}", done.stderr);
    receiver.up();
    let quiet = config(&receiver, "wait", "mode: overflow", "");
    let running = place.run(&quiet);
    let records = receiver.wait_count(20_000);
    let mut arrived = numbers(&records, "a");
    arrived.sort_unstable();
    assert!(arrived.iter().copied().eq(0..20_000));
    running.stop();
}

#[test]
fn what_no_sink_takes_any_more_is_told_and_counted() {
    let (place, receiver, port) = (Place::new(), Receiver::start(&[]), free_port());
    receiver.down();
    let yaml = config(
        &receiver,
        "'lines:500', 'touch:DIR/written', wait",
        "mode: always",
        "shutdown: { deadline: 3s, flushTimeout: 100ms }\n",
    );
    let running = place.run(&yaml);
    wait_until(
        "the service has written",
        || place.exists("written"),
        String::new,
    );
    running.stop();
    receiver.up();
    let more = format!("http: {{ listen: '127.0.0.1:{port}' }}\n");
    let changed = config(&receiver, "'lines:5', wait", "mode: always", &more)
        .replace("compression: none", "compression: gzip");
    let mut running = place.run(&changed);
    running.wait_line("no sink takes them");
    wait_until(
        "it is counted",
        || {
            let text = get(port, "/metrics").unwrap_or_default().1;
            metric(&text, "podvisor_spool_unclaimed_events_total", &[]) == 500.0
        },
        String::new,
    );
    receiver.wait_count(5);
    running.stop();
}

#[test]
fn a_kill_loses_nothing_that_was_taken_in() {
    let (place, receiver) = (Place::new(), Receiver::start(&["503:0.3"]));
    for _ in 0..4 {
        let port = free_port();
        let more = format!("http: {{ listen: '127.0.0.1:{port}' }}\n");
        let yaml = config(&receiver, "'lines:1000000:20'", "mode: always", &more).replace(
            "compression: none",
            "compression: none, batch: { maxAge: 10ms }",
        );
        let running = place.run(&yaml);
        wait_until(
            "something was read",
            || {
                let text = get(port, "/metrics").unwrap_or_default().1;
                metric(&text, "podvisor_log_records_total", &["name=\"a\""]) > 3000.0
            },
            String::new,
        );
        running.signal(Signal::SIGKILL);
        running.wait();
    }
    receiver.fail(&[]);
    let running = place.run(&config(&receiver, "wait", "mode: always", ""));
    // Whatever was on disk arrives; what a run took in is then without a gap.
    let whole =
        |seqs: &BTreeSet<u64>| seqs.len() >= 1000 && seqs.iter().copied().eq(0..seqs.len() as u64);
    receiver.wait("four runs without a gap", |records| {
        let runs = runs(records);
        runs.len() == 4 && runs.values().all(whole)
    });
    running.stop();
}

/// The numbers of each run, sorted, without what came twice.
fn runs(records: &[Value]) -> BTreeMap<String, BTreeSet<u64>> {
    let mut runs = BTreeMap::new();
    for record in records.iter().filter(|record| record["service"] == "a") {
        let source = record["source_id"].as_str().unwrap().to_owned();
        let seqs: &mut BTreeSet<u64> = runs.entry(source).or_default();
        seqs.insert(record["seq"].as_u64().unwrap());
    }
    runs
}

#[test]
fn a_spool_that_cannot_be_used_stops_nothing() {
    let (place, receiver) = (Place::new(), Receiver::start(&[]));
    std::fs::write(place.path("spool"), "not a folder").unwrap();
    let mut running = place.run(&config(&receiver, "'lines:1000', wait", "mode: always", ""));
    running.wait_line("no spool: memory serves alone");
    assert_complete(&receiver.wait_count(1000), "a", 1000);
    assert_eq!(running.stop().code(), 0);
}

#[test]
fn a_second_podvisor_leaves_the_spool_to_the_first() {
    let (place, receiver) = (Place::new(), Receiver::start(&[]));
    let yaml = config(&receiver, "'lines:1000', wait", "mode: always", "");
    let first = place.run(&yaml);
    receiver.wait_count(1000);
    let mut second: Running = place.run(&yaml);
    second.wait_line("no spool: memory serves alone");
    receiver.wait_count(2000);
    second.stop();
    first.stop();
}
