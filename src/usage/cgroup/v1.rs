//! cgroup version 1 (Documentation/admin-guide/cgroup-v1 of the kernel): a folder for each controller.

use std::path::Path;
use std::time::Duration;

use super::{Cgroup, field, number, text};

/// "No limit" is a number near 2^63, rounded to pages.
const NO_LIMIT: u64 = 1 << 62;

pub(super) fn read(memory: &Path, cpu: &Path, cpuacct: &Path, pids: &Path) -> Cgroup {
    let usage = number(memory, "memory.usage_in_bytes");
    let inactive = text(memory, "memory.stat").and_then(|text| field(&text, "total_inactive_file"));
    let oom = text(memory, "memory.oom_control").unwrap_or_default();
    let throttling = text(cpu, "cpu.stat").unwrap_or_default();
    let events = [
        // How often the limit was met.
        ("max", number(memory, "memory.failcnt")),
        ("oom_kill", field(&oom, "oom_kill")),
    ];
    let quota: Option<f64> =
        text(cpu, "cpu.cfs_quota_us").and_then(|text| text.trim().parse().ok());
    let period = number(cpu, "cpu.cfs_period_us").filter(|period| *period > 0);
    let cores = quota
        .zip(period)
        .map(|(quota, period)| quota / period as f64);
    Cgroup {
        version: 1,
        oom_group: None,
        memory_limit: number(memory, "memory.limit_in_bytes").filter(|limit| *limit < NO_LIMIT),
        memory_usage: usage,
        memory_working_set: usage.map(|usage| usage.saturating_sub(inactive.unwrap_or(0))),
        memory_peak: number(memory, "memory.max_usage_in_bytes"),
        memory_events: events
            .into_iter()
            .filter_map(|(name, count)| Some((name, count?)))
            .collect(),
        // Without a limit the quota is -1.
        cpu_limit: cores.filter(|cores| *cores > 0.0),
        cpu_usage: number(cpuacct, "cpuacct.usage").map(Duration::from_nanos),
        cpu_periods: field(&throttling, "nr_periods"),
        cpu_throttled_periods: field(&throttling, "nr_throttled"),
        cpu_throttled: field(&throttling, "throttled_time").map(Duration::from_nanos),
        pids: number(pids, "pids.current"),
        pids_limit: number(pids, "pids.max"),
        pressure: Vec::new(),
    }
}
