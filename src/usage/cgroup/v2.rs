//! cgroup version 2 (Documentation/admin-guide/cgroup-v2.rst of the kernel).

use std::path::Path;
use std::time::Duration;

use super::{Cgroup, field, micros, number, text};

const EVENTS: [&str; 6] = ["low", "high", "max", "oom", "oom_kill", "oom_group_kill"];
const PRESSURES: [(&str, &str); 3] = [
    ("cpu", "cpu.pressure"),
    ("memory", "memory.pressure"),
    ("io", "io.pressure"),
];

pub(super) fn read(folder: &Path) -> Cgroup {
    let cpu = text(folder, "cpu.stat").unwrap_or_default();
    let usage = number(folder, "memory.current");
    let inactive = text(folder, "memory.stat").and_then(|text| field(&text, "inactive_file"));
    let events = text(folder, "memory.events").unwrap_or_default();
    let counted = |name: &'static str| Some((name, field(&events, name)?));
    Cgroup {
        version: 2,
        oom_group: number(folder, "memory.oom.group").map(|group| group == 1),
        memory_limit: number(folder, "memory.max"),
        memory_usage: usage,
        memory_working_set: usage.map(|usage| usage.saturating_sub(inactive.unwrap_or(0))),
        memory_peak: number(folder, "memory.peak"),
        memory_events: EVENTS.into_iter().filter_map(counted).collect(),
        cpu_limit: text(folder, "cpu.max").and_then(|text| cores(&text)),
        cpu_usage: micros(&cpu, "usage_usec"),
        cpu_periods: field(&cpu, "nr_periods"),
        cpu_throttled_periods: field(&cpu, "nr_throttled"),
        cpu_throttled: micros(&cpu, "throttled_usec"),
        pids: number(folder, "pids.current"),
        pids_limit: number(folder, "pids.max"),
        pressure: PRESSURES
            .into_iter()
            .filter_map(|(resource, file)| pressure(resource, &text(folder, file)?))
            .collect(),
    }
}

/// `QUOTA PERIOD`, or `max PERIOD`.
fn cores(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (period > 0.0).then(|| quota / period)
}

/// Lines `some avg10=… total=MICROSECONDS` and `full …` (Documentation/accounting/psi.rst).
fn pressure(
    resource: &'static str,
    text: &str,
) -> Option<(&'static str, Duration, Option<Duration>)> {
    let total = |kind: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(kind))?;
        let total = line
            .split(' ')
            .find_map(|word| word.strip_prefix("total="))?;
        Some(Duration::from_micros(total.parse().ok()?))
    };
    Some((resource, total("some ")?, total("full ")))
}
