//! The families of services and their probes.

use prometheus::proto::MetricFamily;

use super::family::{Family, flag};
use crate::core::{Ending, ProbeOutcome, RestartReason, ServiceState};
use crate::view::{ServiceView, View};

/// A number that a service may have, as a family of its own.
type Optional = (&'static str, &'static str, fn(&ServiceView) -> Option<f64>);

/// Gauges with the service's name as their only label, absent where there is nothing to say.
const GAUGES: [Optional; 13] = [
    (
        "podvisor_service_ready",
        "Whether the service counts as ready.",
        |s| Some(flag(s.ready)),
    ),
    (
        "podvisor_service_required",
        "Whether /readyz waits for the service.",
        |s| Some(flag(s.required)),
    ),
    (
        "podvisor_service_last_exit_code",
        "Code of the last exit that was not by a signal.",
        |s| s.last_exit?.code.map(f64::from),
    ),
    (
        "podvisor_service_last_exit_signal",
        "Signal of the last exit that was by one.",
        |s| s.last_exit?.signal.map(f64::from),
    ),
    (
        "podvisor_service_last_exit_timestamp_seconds",
        "When the process last ended.",
        |s| Some(s.last_exit?.at),
    ),
    (
        "podvisor_service_start_time_seconds",
        "When the running process was started.",
        |s| s.started_at,
    ),
    (
        "podvisor_service_last_ready_timestamp_seconds",
        "When the service last became ready.",
        |s| s.ready_at,
    ),
    (
        "podvisor_service_last_start_duration_seconds",
        "How long the last start took until ready, of what ends by itself until done.",
        |s| s.start_duration.map(|took| took.as_secs_f64()),
    ),
    (
        "podvisor_service_backoff_seconds",
        "The restart delay that the service waits for.",
        |s| Some(s.backoff.as_secs_f64()),
    ),
    (
        "podvisor_service_consecutive_failures",
        "Failures since the service was last stable.",
        |s| Some(f64::from(s.consecutive_failures)),
    ),
    (
        "podvisor_cron_next_run_timestamp_seconds",
        "When the service is due next.",
        |s| s.next_run.filter(|_| s.kind == "cron"),
    ),
    (
        "podvisor_oneshot_last_success_timestamp_seconds",
        "When the service last completed.",
        |s| s.last_success_at.filter(|_| s.kind != "daemon"),
    ),
    (
        "podvisor_oneshot_last_duration_seconds",
        "How long its last successful run took.",
        |s| {
            s.start_duration
                .filter(|_| s.kind != "daemon")
                .map(|took| took.as_secs_f64())
        },
    ),
];

pub(super) fn families(view: &View, out: &mut Vec<MetricFamily>) {
    info(view, out);
    states(view, out);
    for (name, help, value) in GAUGES {
        let mut family = Family::gauge(name, help);
        for service in &view.services {
            if let Some(value) = value(service) {
                family.add(&[("name", &service.name)], value);
            }
        }
        family.into(out);
    }
    counters(view, out);
    probes(view, out);
    let mut starts = Family::histogram(
        "podvisor_service_start_duration_seconds",
        "How long starts took until ready, of what ends by itself until done.",
    );
    starts.add_durations(&view.start_durations);
    starts.into(out);
    let mut stops = Family::histogram(
        "podvisor_service_stop_duration_seconds",
        "How long stops took.",
    );
    stops.add_durations(&view.stop_durations);
    stops.into(out);
}

fn info(view: &View, out: &mut Vec<MetricFamily>) {
    let mut info = Family::gauge("podvisor_service_info", "What the service is.");
    let mut blocked = Family::gauge(
        "podvisor_service_blocked_on",
        "Whether the service's start waits for that dependency.",
    );
    for service in &view.services {
        info.add(
            &[
                ("name", &service.name),
                ("type", service.kind),
                ("restart_policy", service.restart_policy),
                ("required", if service.required { "true" } else { "false" }),
            ],
            1.0,
        );
        for (dependency, waits) in &service.blocked_on {
            blocked.add(
                &[("name", &service.name), ("dependency", dependency)],
                flag(*waits),
            );
        }
    }
    info.into(out);
    blocked.into(out);
}

fn states(view: &View, out: &mut Vec<MetricFamily>) {
    let mut one = Family::gauge(
        "podvisor_service_state",
        "1 for the state that the service is in.",
    );
    let mut all = Family::gauge("podvisor_services", "How many services are in that state.");
    for service in &view.services {
        for state in ServiceState::ALL {
            let labels = [("name", &*service.name), ("state", state.name())];
            one.add(&labels, flag(service.state == state));
        }
    }
    for state in ServiceState::ALL {
        let count = view
            .services
            .iter()
            .filter(|service| service.state == state)
            .count();
        all.add(&[("state", state.name())], count as f64);
    }
    one.into(out);
    all.into(out);
}

fn counters(view: &View, out: &mut Vec<MetricFamily>) {
    let mut starts = Family::counter("podvisor_service_starts_total", "Starts by how they went.");
    let mut restarts = Family::counter("podvisor_service_restarts_total", "Restarts by reason.");
    let mut exits = Family::counter(
        "podvisor_service_exits_total",
        "Exits by code or signal; one of the two labels is empty.",
    );
    let mut stops = Family::counter(
        "podvisor_service_stops_total",
        "Stops by whether something had to be killed.",
    );
    let mut skipped = Family::counter(
        "podvisor_cron_skipped_total",
        "Runs that were skipped because the previous one still ran.",
    );
    let mut stale = Family::counter(
        "podvisor_service_stale_events_total",
        "Events of an earlier life of the service, which had no effect.",
    );
    let mut oom = Family::counter(
        "podvisor_oom_kills_total",
        "Ends of the main process by the kernel, for want of memory.",
    );
    for service in &view.services {
        oom.add(&[("name", &service.name)], service.tally.oom_kills as f64);
        stale.add(
            &[("name", &service.name)],
            service.tally.stale_events as f64,
        );
        let (name, tally) = (&*service.name, &service.tally);
        for (result, count) in [
            ("ok", tally.starts_ok),
            ("failed", tally.starts_failed),
            ("timeout", tally.starts_timeout),
        ] {
            starts.add(&[("name", name), ("result", result)], count as f64);
        }
        for (reason, count) in RestartReason::ALL.iter().zip(tally.restarts) {
            restarts.add(&[("name", name), ("reason", reason.name())], count as f64);
        }
        if !tally.exits.contains_key(&Ending::Code(0)) {
            exits.add(&[("name", name), ("code", "0"), ("signal", "")], 0.0);
        }
        for (ending, count) in &tally.exits {
            let (code, signal) = match ending {
                Ending::Code(code) => (code.to_string(), String::new()),
                Ending::Signal(signal) => (String::new(), crate::units::signal_label(*signal)),
            };
            exits.add(
                &[("name", name), ("code", &code), ("signal", &signal)],
                *count as f64,
            );
        }
        for (how, count) in [
            ("graceful", tally.stops_graceful),
            ("killed", tally.stops_killed),
        ] {
            stops.add(&[("name", name), ("how", how)], count as f64);
        }
        if service.kind == "cron" {
            skipped.add(&[("name", name)], tally.cron_skipped as f64);
        }
    }
    for family in [starts, restarts, exits, stops, skipped, stale, oom] {
        family.into(out);
    }
}

fn probes(view: &View, out: &mut Vec<MetricFamily>) {
    let mut success = Family::gauge("podvisor_probe_success", "The probe's verdict.");
    let mut checks = Family::counter("podvisor_probe_checks_total", "Attempts by their outcome.");
    let mut times = Family::summary("podvisor_probe_duration_seconds", "How long attempts took.");
    let mut failures = Family::gauge("podvisor_probe_consecutive_failures", "Failures in a row.");
    for service in &view.services {
        for probe in &service.probes {
            let labels = [("name", &*service.name), ("probe", probe.kind.name())];
            let tally = &service.tally.probes[probe.kind as usize];
            success.add(&labels, flag(probe.passing == Some(true)));
            failures.add(&labels, f64::from(probe.consecutive_failures));
            times.add_summary(&labels, tally.timed, tally.duration);
            for (outcome, count) in ProbeOutcome::ALL.iter().zip(tally.checks) {
                let labels = [labels[0], labels[1], ("result", outcome.name())];
                checks.add(&labels, count as f64);
            }
        }
    }
    for family in [success, checks, times, failures] {
        family.into(out);
    }
}
