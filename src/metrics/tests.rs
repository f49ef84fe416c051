//! What holds for the whole exposition.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::core::{Ending, ProbeKind, ServiceState, Tally};
use crate::ship::counters::{Cell, ServiceCounters, SinkCounters, SinkInfo, SpoolCounters};
use crate::ship::parcel::Budget;
use crate::usage::cgroup::Cgroup;
use crate::usage::{TreeUsage, Usage};
use crate::view::{LastExit, ProbeView, ServiceView};

fn service(name: &str) -> Arc<ServiceView> {
    let mut tally = Tally::default();
    tally.exits.insert(Ending::Code(3), 2);
    tally.exits.insert(Ending::Signal(9), 1);
    Arc::new(ServiceView {
        name: Arc::from(name),
        kind: "cron",
        restart_policy: "Always",
        required: true,
        state: ServiceState::Backoff,
        reason: Arc::from("exit code 3"),
        ready: false,
        pid: Some(12),
        started_at: Some(1.5),
        ready_at: Some(1.6),
        first: (None, None),
        start_duration: Some(Duration::from_millis(20)),
        last_exit: Some(LastExit {
            // In truth one of them.
            code: Some(3),
            signal: Some(9),
            at: 2.5,
        }),
        backoff: Duration::from_secs(1),
        consecutive_failures: 2,
        blocked_on: vec![(Arc::from("db"), true)],
        probes: ProbeKind::ALL
            .map(|kind| ProbeView {
                kind,
                passing: Some(true),
                consecutive_failures: 0,
            })
            .into(),
        tally,
        next_run: Some(3.0),
        last_success_at: Some(2.0),
    })
}

fn metrics(services: usize) -> Metrics {
    let services = (0..services)
        .map(|n| service(&format!("s{n:04}")))
        .collect();
    let view = View {
        services,
        start_duration: Some(Duration::from_secs(1)),
        ..View::empty()
    };
    let usage = usage(&view);
    Metrics::new(Arc::new(ArcSwap::from_pointee(view)), None, None).with_usage(Some(usage))
}

/// All that can be told of the services and the container.
fn usage(view: &View) -> Watcher {
    let names = view.services.iter().map(|service| service.name.clone());
    Watcher::fixed(Usage {
        services: names.map(|name| (name, TreeUsage::default())).collect(),
        cgroup: Cgroup {
            version: 2,
            oom_group: Some(true),
            memory_limit: Some(1),
            memory_usage: Some(1),
            memory_working_set: Some(1),
            memory_peak: Some(1),
            memory_events: ["low", "high", "max", "oom", "oom_kill", "oom_group_kill"]
                .map(|event| (event, 0))
                .into(),
            cpu_limit: Some(1.0),
            cpu_usage: Some(Duration::ZERO),
            cpu_periods: Some(0),
            cpu_throttled_periods: Some(0),
            cpu_throttled: Some(Duration::ZERO),
            pids: Some(1),
            pids_limit: Some(1),
            pressure: ["cpu", "memory", "io"]
                .map(|resource| (resource, Duration::ZERO, Some(Duration::ZERO)))
                .into(),
        },
        ..Usage::default()
    })
}

fn text(format: Format) -> String {
    String::from_utf8(metrics(2).encode(format)).unwrap()
}

#[test]
fn families_are_named_and_typed_by_the_rules() {
    let mut names = BTreeSet::new();
    for family in metrics(2).gather() {
        let name = family.name();
        assert!(
            name.starts_with("podvisor_") || name.starts_with("process_"),
            "{name}"
        );
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        let total = name.ends_with("_total");
        let counter = family.get_field_type() == prometheus::proto::MetricType::COUNTER;
        assert_eq!(total, counter, "{name}");
        assert!(
            !name.ends_with("_count") && !name.ends_with("_sum"),
            "{name}"
        );
        assert!(family.help().ends_with('.'), "{name}: {}", family.help());
        for metric in family.get_metric() {
            for label in metric.get_label() {
                let taken = [
                    "service",
                    "namespace",
                    "pod",
                    "container",
                    "instance",
                    "job",
                    "le",
                ];
                assert!(!taken.contains(&label.name()), "{name}: {}", label.name());
            }
        }
    }
    assert!(names.len() > 30, "{names:?}");
}

#[test]
fn both_formats_hold_the_same_series() {
    let series = |text: &str| -> BTreeSet<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| line.rsplit_once(' ').unwrap().0.to_owned())
            .collect()
    };
    let plain = series(&text(Format::Text));
    let open = series(&text(Format::OpenMetrics));
    let bucketless = |set: BTreeSet<String>| -> BTreeSet<String> {
        set.into_iter()
            .filter(|name| !name.contains("_bucket"))
            .collect()
    };
    assert_eq!(bucketless(plain), bucketless(open));
}

#[test]
fn each_service_is_in_exactly_one_state() {
    let text = text(Format::Text);
    let ones = text.lines().filter(|line| {
        line.starts_with("podvisor_service_state{name=\"s0000\"") && line.ends_with(" 1")
    });
    assert_eq!(ones.count(), 1);
    let all = text
        .lines()
        .filter(|line| line.starts_with("podvisor_service_state{name=\"s0000\""));
    assert_eq!(all.count(), ServiceState::ALL.len());
}

#[test]
fn openmetrics_ends_with_its_end() {
    let text = text(Format::OpenMetrics);
    assert!(text.ends_with("\n# EOF\n"));
    assert_eq!(text.matches("# EOF").count(), 1);
    assert!(text.contains("# TYPE podvisor_service_starts counter\n"));
    assert!(text.contains("# TYPE podvisor_build info\n"));
}

/// Everything that can be exported, log plane included.
fn everything() -> Vec<prometheus::proto::MetricFamily> {
    with_logs(metrics(1))
}

fn with_logs(metrics: Metrics) -> Vec<prometheus::proto::MetricFamily> {
    let console = std::fs::File::create("/dev/null").unwrap();
    let spec = crate::logs::ServiceSpec {
        id: crate::logs::ServiceId(0),
        name: Arc::from("s0000"),
        options: crate::logs::ServiceOptions::default(),
    };
    let config = crate::logs::Config {
        services: vec![spec],
        format: crate::logs::Format::Raw,
        colour: false,
        console: console.into(),
        console_err: None,
        taps: Vec::new(),
    };
    let (logs, _events) = LogPlane::start(config).unwrap();
    logs.services()[0].counters().last_line_ns.set(1);
    Metrics::new(metrics.view, Some(logs), Some(Arc::new(ship(1))))
        .with_usage(metrics.usage)
        .gather()
}

fn ship(sinks: usize) -> ShipCounters {
    let sinks = (0..sinks).map(|number| SinkInfo {
        name: format!("k{number:04}"),
        lane: 0,
        kind: "http",
        compression: "gzip",
        counters: SinkCounters::default(),
    });
    ShipCounters {
        services: vec![ServiceCounters::new(Arc::from("s0000"))],
        own_records: Cell::default(),
        sinks: sinks.collect(),
        spool: Some(SpoolCounters::default()),
        budget: Budget::new(1),
    }
}

#[test]
fn the_series_of_a_sink_are_bounded() {
    let series = |sinks| -> usize {
        let view = metrics(1).view;
        let metrics = Metrics::new(view, None, Some(Arc::new(ship(sinks))));
        let text = String::from_utf8(metrics.encode(Format::Text)).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).count()
    };
    let each = series(2) - series(1);
    assert!(each <= 55, "{each}");
}

#[test]
fn the_list_in_docs_is_up_to_date() {
    let mut text = String::from(DOCS_HEAD);
    for family in everything() {
        let kind = format!("{:?}", family.get_field_type()).to_lowercase();
        let metric = &family.get_metric()[0];
        let labels: Vec<&str> = metric.get_label().iter().map(|pair| pair.name()).collect();
        let labels = if labels.is_empty() {
            "–".to_owned()
        } else {
            labels.join(", ")
        };
        let promised = PROMISED.lines().any(|line| line == family.name());
        let standard = family.name().starts_with("process_");
        let stability = if promised || standard {
            "stable"
        } else {
            "experimental"
        };
        text += &format!(
            "| `{}` | {kind} | {labels} | {stability} | {} |\n",
            family.name(),
            family.help()
        );
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(file, &text).unwrap();
    }
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        committed == text,
        "docs/metrics.md is out of date: UPDATE_EXPECT=1 cargo test metrics"
    );
}

/// The families that are not to change.
const PROMISED: &str = include_str!("../../tests/promised_families.txt");

const DOCS_HEAD: &str = "# Metrics

`/metrics` on `http.listen`, as Prometheus text 0.0.4 or OpenMetrics 1.0 (by `Accept`), gzipped if asked. The service is the
label `name`. Counters are there from the start, at 0. `podvisor_service_state` has every state of every service, exactly one
of which is 1. At most 64 series a service, 7 more for each probe, 55 a sink and 90 besides; tests hold that. Beyond them, exits are
counted by code or signal as they occur (at most 256 codes and 64 signals), and each dependency is one
(`podvisor_service_blocked_on`).

The figures of processes (`podvisor_process_*`) are those of a service's main process and all its descendants, and those of
the container (`podvisor_cgroup_*`) are its cgroup's, version 1 or 2; what the kernel does not say is absent. Both are looked at
every `http.collectInterval` (10 s) on a thread of its own, from the start and as long as somebody scrapes: after five minutes without a
scrape the next one shows the last figures once more. Counters go on through restarts. Not in them are podvisor's own
errands (exec probes, stop commands), and what a parent throws away by ignoring SIGCHLD.

A *stable* family is renamed or dropped only with a major version, an *experimental* one with any; the changelog says so. `process_*`
are podvisor's own.

| family | type | labels | stability | help |
|---|---|---|---|---|
";

#[test]
fn the_number_of_series_is_bounded() {
    let fixed: usize = metrics(0)
        .gather()
        .iter()
        .map(|f| f.get_metric().len())
        .sum();
    assert!(fixed <= 90, "{fixed} fixed");
    let of_service = |change: fn(&mut ServiceView)| {
        let metrics = metrics(1);
        let mut view = View::clone(&metrics.view.load());
        change(Arc::make_mut(&mut view.services[0]));
        metrics.view.store(Arc::new(view));
        let families = with_logs(metrics);
        let all = families.iter().flat_map(|family| family.get_metric());
        let named = |metric: &&prometheus::proto::Metric| {
            let mut labels = metric.get_label().iter();
            labels.any(|label| label.name() == "name" && label.value() == "s0000")
        };
        all.filter(named).count()
    };
    let plain = of_service(|service| {
        service.kind = "daemon";
        (service.next_run, service.last_success_at) = (None, None);
        service.probes.clear();
    });
    // Besides: a dependency, a code, a signal, and a last exit by both.
    assert!(plain <= 64 + 4, "{plain} a service");
    let all = of_service(|_| {});
    assert!(all <= plain + 3 * 7 + 4, "{all} with three probes, by cron");
}
