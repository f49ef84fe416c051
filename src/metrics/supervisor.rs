//! The families of podvisor as a supervisor.

use std::sync::atomic::Ordering;

use prometheus::proto::MetricFamily;

use super::family::{Family, flag};
use super::{CODES, PATHS, Requests};
use crate::units::signal_label;
use crate::view::{Phase, View};

/// Signals that are counted from 0 on.
const SIGNALS: [i32; 6] = [1, 2, 3, 10, 12, 15];

pub(super) fn families(view: &View, requests: &Requests, out: &mut Vec<MetricFamily>) {
    let mut build = Family::gauge("podvisor_build_info", "What was built.");
    build.add(
        &[
            ("version", env!("CARGO_PKG_VERSION")),
            (
                "revision",
                option_env!("PODVISOR_REVISION").unwrap_or("unknown"),
            ),
            ("rustc", env!("PODVISOR_RUSTC")),
            ("target", env!("PODVISOR_TARGET")),
        ],
        1.0,
    );
    build.into(out);
    let mut state = Family::gauge("podvisor_state", "1 for the phase that podvisor is in.");
    for phase in Phase::ALL {
        state.add(&[("state", phase.name())], flag(view.phase == phase));
    }
    state.into(out);
    let mut start = Family::gauge(
        "podvisor_start_duration_seconds",
        "From podvisor's start until all required services were ready; absent until then.",
    );
    if let Some(took) = view.start_duration {
        start.add(&[], took.as_secs_f64());
    }
    start.into(out);
    let mut config = Family::gauge("podvisor_config_info", "The config's hash.");
    config.add(&[("hash", &view.config_hash)], 1.0);
    config.into(out);
    reloads(view, out);
    let mut zombies = Family::counter("podvisor_zombies_reaped_total", "Processes reaped.");
    zombies.add(&[("origin", "service")], view.totals.reaped_service as f64);
    zombies.add(&[("origin", "orphan")], view.totals.reaped_orphan as f64);
    zombies.into(out);
    signals(view, out);
    let mut lag = Family::gauge(
        "podvisor_event_loop_lag_seconds",
        "The longest turn of the main loop since the last scrape.",
    );
    lag.add(&[], view.totals.loop_lag.take().as_secs_f64());
    lag.into(out);
    let mut http = Family::counter("podvisor_http_requests_total", "Requests to this endpoint.");
    for (path, counts) in PATHS.iter().zip(&requests.0) {
        for (code, count) in CODES.iter().zip(counts) {
            let count = count.load(Ordering::Relaxed);
            if count > 0 || is_usual(path, *code) {
                let labels = [("path", *path), ("code", &*code.to_string())];
                http.add(&labels, count as f64);
            }
        }
    }
    http.into(out);
}

/// What a path answers in order; it is counted from 0 on. Others are there once they occur.
fn is_usual(path: &str, code: u16) -> bool {
    match path {
        "metrics" => code == 200,
        "other" => matches!(code, 200 | 404 | 405),
        _ => matches!(code, 200 | 503),
    }
}

fn reloads(view: &View, out: &mut Vec<MetricFamily>) {
    let mut counts = Family::counter(
        "podvisor_config_reloads_total",
        "Configs that were to be taken over while podvisor ran, by what became of them.",
    );
    counts.add(&[("result", "success")], view.reloads.ok as f64);
    counts.add(&[("result", "failure")], view.reloads.failed as f64);
    counts.into(out);
    let mut success = Family::gauge(
        "podvisor_config_last_reload_success",
        "Whether the last config was taken over; 1 from the start.",
    );
    success.add(&[], flag(view.reloads.last_ok));
    success.into(out);
    let mut at = Family::gauge(
        "podvisor_config_last_reload_timestamp_seconds",
        "When that was.",
    );
    at.add(&[], view.reloads.last_at);
    at.into(out);
}

fn signals(view: &View, out: &mut Vec<MetricFamily>) {
    let mut family = Family::counter("podvisor_signals_received_total", "Signals to podvisor.");
    let counted = &view.totals.signals;
    for number in SIGNALS {
        let count = counted
            .iter()
            .find(|(known, _)| *known == number)
            .map_or(0, |(_, n)| *n);
        family.add(&[("signal", &signal_label(number))], count as f64);
    }
    for (number, count) in counted
        .iter()
        .filter(|(number, _)| !SIGNALS.contains(number))
    {
        family.add(&[("signal", &signal_label(*number))], *count as f64);
    }
    family.into(out);
}
