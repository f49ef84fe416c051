//! The families of the log plane, read from its counters.

use std::sync::Arc;

use prometheus::proto::MetricFamily;

use super::family::Family;
use crate::logs::LogPlane;
use crate::logs::Stream;
use crate::logs::counters::WriteError;
use crate::ship::counters::ShipCounters;

pub(super) fn families(
    logs: &LogPlane,
    ship: Option<&Arc<ShipCounters>>,
    out: &mut Vec<MetricFamily>,
) {
    let mut lines = Family::counter("podvisor_log_lines_total", "Lines read.");
    let mut bytes = Family::counter("podvisor_log_bytes_total", "Bytes read.");
    let mut truncated = Family::counter(
        "podvisor_log_truncated_lines_total",
        "Lines longer than maxLine.",
    );
    let mut dropped = Family::counter("podvisor_log_dropped_lines_total", "Lines lost, by reason.");
    let mut last = Family::gauge(
        "podvisor_log_last_line_timestamp_seconds",
        "When a line was last read.",
    );
    let mut blocked = Family::counter(
        "podvisor_log_pipe_blocked_seconds_total",
        "How long output waited to be read; an upper bound.",
    );
    for service in logs.services().iter() {
        let (name, counters) = (&**service.name(), service.counters());
        for stream in Stream::ALL {
            let labels = [("name", name), ("stream", stream.as_str())];
            lines.add(&labels, counters.lines(stream).get() as f64);
            bytes.add(&labels, counters.bytes(stream).get() as f64);
        }
        truncated.add(&[("name", name)], counters.truncated.get() as f64);
        let console = [("console", counters.console_dropped.get())];
        for (reason, lines) in super::ship::dropped(ship, name).into_iter().chain(console) {
            dropped.add(&[("name", name), ("reason", reason)], lines as f64);
        }
        if counters.last_line_ns.get() > 0 {
            last.add(&[("name", name)], counters.last_line_ns.get() as f64 / 1e9);
        }
        blocked.add(
            &[("name", name)],
            counters.pipe_blocked_ns.get() as f64 / 1e9,
        );
    }
    let mut errors = Family::counter(
        "podvisor_log_console_write_errors_total",
        "Failed writes to podvisor's stdout, by reason.",
    );
    for reason in WriteError::ALL {
        let count = logs.console_counters().write_errors(reason).get();
        errors.add(&[("reason", reason.as_str())], count as f64);
    }
    for family in [lines, bytes, truncated, dropped, last, blocked, errors] {
        family.into(out);
    }
}
