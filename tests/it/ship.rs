//! Records arrive: nothing is lost, nothing doubled, in order per service, over NDJSON and OTLP; and what can't arrive is
//! counted.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::receiver::Receiver;
use crate::support::{Place, free_port, get};

/// The numbers of a service's records, in the order of their arrival.
pub fn numbers(records: &[Value], service: &str) -> Vec<u64> {
    let of = records.iter().filter(|record| record["service"] == service);
    of.map(|record| record["seq"].as_u64().unwrap()).collect()
}

/// All records from 0 to below `count`, each once, in order.
pub fn assert_complete(records: &[Value], service: &str, count: u64) {
    let numbers = numbers(records, service);
    assert_eq!(numbers.len() as u64, count, "{service}");
    let wrong = numbers
        .iter()
        .zip(0..)
        .find(|(number, expected)| **number != *expected);
    assert_eq!(wrong, None, "{service}: lost, doubled or out of order");
}

/// The value of a metric with exactly these labels; 0 if it is not there.
pub fn metric(text: &str, name: &str, labels: &[&str]) -> f64 {
    let mut lines = text.lines().filter(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    });
    let value = lines
        .next()
        .and_then(|line| line.rsplit(' ').next()?.parse().ok());
    value.unwrap_or(0.0)
}

/// taken = sent + dropped + queued + spooled.
pub fn assert_balanced(text: &str, sink: &str) {
    let label = format!("sink=\"{sink}\"");
    let value = |name: &str| metric(text, name, &[&label]);
    let dropped: f64 = [
        "queue_full",
        "too_old",
        "rejected",
        "spool_full",
        "shutdown",
    ]
    .iter()
    .map(|reason| {
        let reason = format!("reason=\"{reason}\"");
        metric(
            text,
            "podvisor_sink_dropped_events_total",
            &[&label, &reason],
        )
    })
    .sum();
    let accounted = value("podvisor_sink_sent_events_total")
        + dropped
        + value("podvisor_sink_queue_events")
        + value("podvisor_sink_spooled_events");
    assert_eq!(
        value("podvisor_sink_taken_events_total"),
        accounted,
        "{text}"
    );
}

fn sinks(receiver: &Receiver, kind: &str) -> String {
    format!("{{ s: {{ {kind}, endpoint: '{}' }} }}", receiver.url("/"))
}

/// Two services at full speed, to their end.
fn all_arrive(kind: &str) {
    let (place, receiver) = (Place::new(), Receiver::start(&[]));
    let sinks = sinks(&receiver, kind);
    let running = place.run(&format!(
        "services:\n  a: {{ type: oneshot, command: [CHILD, 'lines:20000'] }}\n  b: {{ type: oneshot, command: [CHILD, 'lines:10000'] }}\nlogs: {{ console: {{ format: none }}, sinks: {sinks} }}\nshutdown: {{ deadline: 9s, flushTimeout: 8s }}\n"
    ));
    let done = running.wait();
    assert_eq!(done.code(), 0);
    let records = receiver.records();
    assert_eq!(
        records.len(),
        30_000,
        "{}\n{:?}",
        done.stderr,
        receiver.refused()
    );
    assert_complete(&records, "a", 20_000);
    assert_complete(&records, "b", 10_000);
    let last = records
        .iter()
        .rfind(|record| record["service"] == "a")
        .unwrap();
    assert_eq!(
        last["message"],
        "line 19999 of 20000, as the service wrote it"
    );
}

#[test]
fn ndjson_arrives_whole_and_in_order() {
    all_arrive("type: http");
    all_arrive("type: http, compression: zstd");
    all_arrive("type: http, compression: none");
}

#[test]
fn otlp_arrives_whole_and_in_order() {
    all_arrive("type: otlp");
    all_arrive("type: otlp, body: map, compression: none");
}

#[test]
fn a_termination_loses_nothing() {
    let (place, receiver) = (Place::new(), Receiver::start(&[]));
    let sinks = sinks(&receiver, "type: http");
    let running = place.run(&format!(
        "services: {{ a: {{ command: [CHILD, 'lines:1000000:50'] }} }}\nlogs: {{ console: {{ format: none }}, sinks: {sinks} }}\n"
    ));
    receiver.wait_count(100);
    assert_eq!(running.stop().code(), 0);
    let records = receiver.records();
    assert_complete(&records, "a", records.len() as u64);
}

#[test]
#[expect(clippy::disallowed_types, reason = "a test, not PID 1")]
fn a_record_carries_what_the_contract_says() {
    let (place, receiver) = (Place::new(), Receiver::start(&[]));
    let sinks = sinks(&receiver, "type: http");
    let config = place.config(&format!(
        "services:\n  web:\n    type: oneshot\n    command: [CHILD, 'say:plain', 'err:{{\"level\":\"error\",\"msg\":\"it broke\",\"n\":1}}', 'raw:no newline']\n    logs: {{ labels: {{ team: shop }} }}\nhttp: {{ listen: off }}\nlogs: {{ sinks: {sinks} }}\n"
    ));
    let mut command = std::process::Command::new(crate::support::podvisor());
    command.args(["run", "-c", &config]);
    for (name, value) in [
        ("POD_NAME", "web-1"),
        ("POD_NAMESPACE", "shop"),
        ("POD_UID", "u-1"),
        ("NODE_NAME", "n-1"),
        ("CONTAINER_NAME", "app"),
    ] {
        command.env(name, value);
    }
    let done = crate::support::Running::spawn(&place, command).wait();
    assert_eq!(done.code(), 0);
    let records = receiver.records();
    let find = |text: &str| {
        records
            .iter()
            .find(|record| record["message"] == text)
            .unwrap()
    };
    let plain = find("plain");
    assert_eq!(plain["stream"], "stdout");
    assert_eq!(plain["labels"]["team"], "shop");
    for (key, value) in [
        ("pod_name", "web-1"),
        ("pod_namespace", "shop"),
        ("pod_uid", "u-1"),
        ("pod_node_name", "n-1"),
        ("container_name", "app"),
    ] {
        assert_eq!(plain["kubernetes"][key], value);
    }
    let broke = find("it broke");
    assert_eq!(
        (&broke["stream"], &broke["level"]),
        (&"stderr".into(), &"error".into())
    );
    assert_eq!(broke["fields"]["n"], 1);
    assert_eq!(broke["source_id"].as_str().unwrap().len(), 16);
    find("no newline");
}

#[test]
fn lines_are_merged_filtered_limited_and_redacted() {
    let (place, receiver) = (Place::new(), Receiver::start(&[]));
    let sinks = sinks(&receiver, "type: http");
    let running = place.run(&format!(
        "services:\n  web:\n    type: oneshot\n    command: [CHILD, 'say:one', 'say:  more', 'say:GET /healthz', 'say:mail bob@example.org now', 'say:end']\n    logs: {{ multiline: {{ indent: true }}, filter: {{ drop: [healthz] }}, redact: [{{ builtin: email }}] }}\n  chatty:\n    type: oneshot\n    command: [CHILD, 'lines:500']\n    logs: {{ rateLimit: {{ perSecond: 1, burst: 10 }} }}\nlogs: {{ console: {{ format: none }}, sinks: {sinks} }}\n"
    ));
    assert_eq!(running.wait().code(), 0);
    let records = receiver.records();
    let of = |service: &str| -> Vec<&str> {
        let of = records.iter().filter(|record| record["service"] == service);
        of.map(|record| record["message"].as_str().unwrap())
            .collect()
    };
    let web = of("web");
    assert_eq!(web.len(), 3, "{web:?}");
    assert_eq!(web[0], "one\n  more");
    assert!(
        web[1].starts_with("mail ") && !web[1].contains("bob@"),
        "{web:?}"
    );
    assert_eq!(of("chatty").len(), 10);
    assert_eq!(
        of("podvisor"),
        ["490 lines of chatty were dropped: rate_limit"]
    );
}

#[test]
fn a_receiver_that_is_late_gets_everything() {
    let (place, receiver) = (Place::new(), Receiver::start(&[]));
    receiver.down();
    let sinks = sinks(&receiver, "type: http");
    let mut running = place.run(&format!(
        "services: {{ a: {{ command: [CHILD, 'lines:5000', 'touch:DIR/written', wait] }} }}\nlogs: {{ console: {{ format: none }}, sinks: {sinks} }}\n"
    ));
    running.wait_until("the service has written", || place.exists("written"));
    running.wait_line("a sink takes nothing");
    receiver.up();
    let records = receiver.wait_count(5000);
    assert_complete(&records, "a", 5000);
    running.wait_line("the sink takes records again");
    assert_eq!(running.stop().code(), 0);
    assert_complete(&receiver.records(), "a", 5000);
}

#[test]
fn a_dead_sink_holds_nobody_up_and_every_loss_is_counted() {
    let (place, receiver) = (Place::new(), Receiver::start(&[]));
    let dead = free_port();
    let port = free_port();
    let running = place.run(&format!(
        "services: {{ a: {{ command: [CHILD, 'lines:200000', 'touch:DIR/written', wait] }} }}\nlogs:\n  console: {{ format: none }}\n  maxMemory: 1MiB\n  sinks:\n    alive: {{ type: http, endpoint: '{}' }}\n    dead: {{ type: http, compression: none, endpoint: 'http://127.0.0.1:{dead}/' }}\nhttp: {{ listen: '127.0.0.1:{port}' }}\n",
        receiver.url("/")
    ));
    crate::support::wait_until(
        "the service has written",
        || place.exists("written"),
        String::new,
    );
    let records = receiver.wait_count(200_000);
    assert_complete(&records, "a", 200_000);
    let text = get(port, "/metrics").unwrap().1;
    assert_balanced(&text, "alive");
    assert_balanced(&text, "dead");
    let lost = metric(
        &text,
        "podvisor_sink_dropped_events_total",
        &["dead", "queue_full"],
    );
    assert!(lost > 100_000.0, "{lost}");
    let lines = metric(
        &text,
        "podvisor_log_dropped_lines_total",
        &["name=\"a\"", "queue_full"],
    );
    assert_eq!(lines, lost);
    assert_eq!(metric(&text, "podvisor_sink_up", &["dead"]), 0.0);
    let done = running.stop();
    assert_eq!(done.code(), 0);
    assert!(done.stderr.contains("in time"), "{}", done.stderr);
}

#[test]
fn what_was_lost_is_said_when_the_sink_is_back() {
    let (place, receiver) = (Place::new(), Receiver::start(&[]));
    receiver.down();
    let running = place.run(&format!(
        "services: {{ a: {{ command: [CHILD, 'lines:100000', 'touch:DIR/written', wait] }} }}\nlogs: {{ console: {{ format: none }}, maxMemory: 1MiB, sinks: {{ s: {{ type: http, compression: none, endpoint: '{}' }} }} }}\n",
        receiver.url("/")
    ));
    crate::support::wait_until(
        "the service has written",
        || place.exists("written"),
        String::new,
    );
    receiver.up();
    // Each announcement begins with how many it is about.
    let lost = |records: &[Value]| -> u64 {
        let own = records
            .iter()
            .filter(|record| record["service"] == "podvisor");
        own.map(|record| record["message"].as_str().unwrap())
            .map(|text| text.split(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    };
    let all = |records: &[Value]| lost(records) + numbers(records, "a").len() as u64 == 100_000;
    let records = receiver.wait("every record, or word of it", all);
    assert!(lost(&records) > 10_000);
    running.stop();
}

#[test]
fn blocking_is_for_those_who_ask_for_it() {
    let (place, receiver) = (Place::new(), Receiver::start(&[]));
    receiver.down();
    let sinks = "{ type: http, compression: none }"
        .replace(" }", &format!(", endpoint: '{}' }}", receiver.url("/")));
    let mut running = place.run(&format!(
        "services:\n  audit: {{ command: [CHILD, 'lines:60000', 'touch:DIR/audit', wait], logs: {{ whenFull: block }} }}\n  web: {{ command: [CHILD, 'lines:60000', 'touch:DIR/web', wait] }}\nlogs: {{ console: {{ format: none }}, maxMemory: 1MiB, sinks: {{ s: {sinks} }} }}\n"
    ));
    running.wait_until("the other has written", || place.exists("web"));
    assert!(!place.exists("audit"), "it was to wait");
    receiver.up();
    running.wait_until("it goes on", || place.exists("audit"));
    let all = |records: &[Value]| numbers(records, "audit").len() >= 60_000;
    let records = receiver.wait("all of its lines", all);
    assert_complete(&records, "audit", 60_000);
    running.stop();
}

#[test]
fn one_bad_record_costs_itself_alone() {
    let (place, receiver) = (Place::new(), Receiver::start(&["400-if:line 777 of"]));
    let port = free_port();
    let running = place.run(&format!(
        "services: {{ a: {{ command: [CHILD, 'lines:3000', wait] }} }}\nlogs: {{ console: {{ format: none }}, sinks: {} }}\nhttp: {{ listen: '127.0.0.1:{port}' }}\n",
        sinks(&receiver, "type: http")
    ));
    // 2,999 of the service, and one that says what was lost.
    let records = receiver.wait_count(3000);
    let numbers = numbers(&records, "a");
    assert_eq!(numbers.len(), 2999);
    assert!(!numbers.contains(&777) && numbers.contains(&776) && numbers.contains(&778));
    let text = get(port, "/metrics").unwrap().1;
    assert_balanced(&text, "s");
    assert_eq!(
        metric(&text, "podvisor_sink_dropped_events_total", &["rejected"]),
        1.0
    );
    running.stop();
}

#[test]
fn what_is_too_large_is_sent_in_halves() {
    let (place, receiver) = (Place::new(), Receiver::start(&["413-over:40000"]));
    let running = place.run(&format!(
        "services: {{ a: {{ type: oneshot, command: [CHILD, 'lines:3000'] }} }}\nlogs: {{ console: {{ format: none }}, sinks: {} }}\n",
        sinks(&receiver, "type: http")
    ));
    assert_eq!(running.wait().code(), 0);
    assert_complete(&receiver.records(), "a", 3000);
}

#[test]
fn random_faults_lose_nothing() {
    let faults = ["503:0.2", "429:0.1", "reset:0.1", "lost:0.05", "500:0.1"];
    let (place, receiver) = (Place::new(), Receiver::start(&faults));
    let running = place.run(&format!(
        "services: {{ a: {{ command: [CHILD, 'lines:40000:100', wait] }} }}\nlogs: {{ console: {{ format: none }}, sinks: {{ s: {{ type: http, endpoint: '{}', batch: {{ maxAge: 5ms }} }} }} }}\n",
        receiver.url("/")
    ));
    receiver.wait("so many faults", |_| receiver.refused().len() >= 5);
    receiver.fail(&[]);
    assert_eq!(running.stop().code(), 0);
    let mut numbers = numbers(&receiver.records(), "a");
    numbers.sort_unstable();
    numbers.dedup();
    let gap = numbers
        .iter()
        .zip(0..)
        .find(|(number, expected)| **number != *expected);
    assert_eq!(gap, None);
}

#[test]
fn two_sinks_of_one_kind_share_what_is_encoded() {
    let (place, one, two) = (Place::new(), Receiver::start(&[]), Receiver::start(&[]));
    let port = free_port();
    let running = place.run(&format!(
        "services: {{ a: {{ command: [CHILD, 'lines:20000', wait] }} }}\nlogs:\n  console: {{ format: none }}\n  sinks:\n    one: {{ type: http, endpoint: '{}' }}\n    two: {{ type: http, endpoint: '{}' }}\nhttp: {{ listen: '127.0.0.1:{port}' }}\n",
        one.url("/"),
        two.url("/")
    ));
    assert_complete(&one.wait_count(20_000), "a", 20_000);
    assert_complete(&two.wait_count(20_000), "a", 20_000);
    let text = get(port, "/metrics").unwrap().1;
    for sink in ["one", "two"] {
        assert_balanced(&text, sink);
    }
    running.stop();
}

#[test]
fn the_books_of_a_service_balance() {
    let (place, receiver) = (Place::new(), Receiver::start(&[]));
    let port = free_port();
    let running = place.run(&format!(
        "services:\n  a:\n    command: [CHILD, 'lines:5000', 'say: more', wait]\n    logs: {{ multiline: {{ indent: true }}, filter: {{ drop: ['7 of'] }}, rateLimit: {{ perSecond: 1, burst: 1000 }} }}\nlogs: {{ console: {{ format: none }}, sinks: {} }}\nhttp: {{ listen: '127.0.0.1:{port}' }}\n",
        sinks(&receiver, "type: otlp")
    ));
    receiver.wait_count(1000);
    let mut sums = BTreeMap::new();
    crate::support::wait_until(
        "no merge is under way",
        || {
            let text = get(port, "/metrics").unwrap().1;
            let value = |name: &str, label: &str| metric(&text, name, &["name=\"a\"", label]);
            let lines = value("podvisor_log_lines_total", "stdout");
            let dropped = ["rate_limit", "filter", "queue_full"]
                .map(|reason| value("podvisor_log_dropped_lines_total", reason));
            let records = value("podvisor_log_records_total", "");
            let merged = value("podvisor_log_merged_lines_total", "");
            let sum = records + merged + dropped.iter().sum::<f64>();
            sums = BTreeMap::from([("lines", lines), ("sum", sum)]);
            lines == 5001.0 && sum == lines
        },
        String::new,
    );
    running.stop();
}
