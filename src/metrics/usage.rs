//! The families of what services and container use. One is absent where the kernel does not say.

use std::time::Duration;

use prometheus::proto::MetricFamily;

use super::family::{Family, flag};
use crate::usage::cgroup::Cgroup;
use crate::usage::{ERRORS, TreeUsage, Usage};

/// A number of each service, as a family of its own.
type OfTree = (&'static str, &'static str, fn(&TreeUsage) -> f64);

const GAUGES: [OfTree; 7] = [
    (
        "podvisor_processes",
        "Processes of the service: its own and all their descendants.",
        |tree| tree.held.processes as f64,
    ),
    ("podvisor_process_threads", "Their threads.", |tree| {
        tree.held.threads as f64
    }),
    ("podvisor_process_open_fds", "Their open files.", |tree| {
        tree.held.open_fds as f64
    }),
    (
        "podvisor_process_fd_usage_ratio_max",
        "Open files by their limit, of the process where that is most.",
        |tree| tree.held.fd_usage_max,
    ),
    (
        "podvisor_process_resident_memory_bytes",
        "Their resident memory added up; shared pages count once for each process.",
        |tree| tree.held.resident_bytes as f64,
    ),
    (
        "podvisor_process_virtual_memory_bytes",
        "Their address space added up.",
        |tree| tree.held.virtual_bytes as f64,
    ),
    (
        "podvisor_process_swap_bytes",
        "Their memory in swap added up.",
        |tree| tree.held.swap_bytes as f64,
    ),
];

const COUNTERS: [OfTree; 3] = [
    (
        "podvisor_process_io_read_bytes_total",
        "Bytes they read from storage.",
        |tree| tree.spent.read_bytes as f64,
    ),
    (
        "podvisor_process_io_write_bytes_total",
        "Bytes they wrote to storage.",
        |tree| tree.spent.write_bytes as f64,
    ),
    (
        "podvisor_process_major_page_faults_total",
        "Page faults for which something was read from disk.",
        |tree| tree.spent.major_faults as f64,
    ),
];

pub(super) fn families(usage: &Usage, out: &mut Vec<MetricFamily>) {
    for (name, help, value) in GAUGES {
        each(Family::gauge(name, help), usage, value, out);
    }
    for (name, help, value) in COUNTERS {
        each(Family::counter(name, help), usage, value, out);
    }
    let mut cpu = Family::counter(
        "podvisor_process_cpu_seconds_total",
        "CPU time of the service: of its processes and all their descendants, those that have ended too.",
    );
    let mut switches = Family::counter(
        "podvisor_process_context_switches_total",
        "Their context switches; those of children that were waited for come in when their parent ends.",
    );
    for (name, tree) in &usage.services {
        let spent = &tree.spent;
        for (mode, time) in [("user", spent.user), ("system", spent.system)] {
            cpu.add(&[("name", name), ("mode", mode)], time.as_secs_f64());
        }
        for (kind, count) in [
            ("voluntary", spent.voluntary_switches),
            ("involuntary", spent.involuntary_switches),
        ] {
            switches.add(&[("name", name), ("type", kind)], count as f64);
        }
    }
    cpu.into(out);
    switches.into(out);
    let mut errors = Family::counter(
        "podvisor_process_collect_errors_total",
        "Figures of processes that are missing, by reason.",
    );
    for (reason, count) in ERRORS.iter().zip(usage.errors) {
        errors.add(&[("reason", reason)], count as f64);
    }
    errors.into(out);
    let mut took = Family::gauge(
        "podvisor_process_collect_duration_seconds",
        "How long the last look at all processes took, on a thread of its own.",
    );
    took.add(&[], usage.took.as_secs_f64());
    took.into(out);
    if usage.cgroup.version > 0 {
        cgroup(&usage.cgroup, out);
    }
}

fn each(
    mut family: Family,
    usage: &Usage,
    value: fn(&TreeUsage) -> f64,
    out: &mut Vec<MetricFamily>,
) {
    for (name, tree) in &usage.services {
        family.add(&[("name", name)], value(tree));
    }
    family.into(out);
}

/// A number that a cgroup may have.
type OfGroup = (&'static str, &'static str, fn(&Cgroup) -> Option<f64>);

const GROUP_GAUGES: [OfGroup; 7] = [
    (
        "podvisor_cgroup_memory_limit_bytes",
        "Memory that the container may use; absent without a limit.",
        |group| Some(group.memory_limit? as f64),
    ),
    (
        "podvisor_cgroup_memory_usage_bytes",
        "Memory that it uses, page cache included.",
        |group| Some(group.memory_usage? as f64),
    ),
    (
        "podvisor_cgroup_memory_working_set_bytes",
        "Memory in use less inactive file pages, as the kubelet has it.",
        |group| Some(group.memory_working_set? as f64),
    ),
    (
        "podvisor_cgroup_memory_peak_bytes",
        "The most memory that was ever used.",
        |group| Some(group.memory_peak? as f64),
    ),
    (
        "podvisor_cgroup_cpu_limit_cores",
        "Cores that the container may use; absent without a limit.",
        |group| group.cpu_limit,
    ),
    (
        "podvisor_cgroup_pids_current",
        "Processes and threads in the container.",
        |group| Some(group.pids? as f64),
    ),
    (
        "podvisor_cgroup_pids_limit",
        "How many there may be; absent without a limit.",
        |group| Some(group.pids_limit? as f64),
    ),
];

const GROUP_COUNTERS: [OfGroup; 4] = [
    (
        "podvisor_cgroup_cpu_usage_seconds_total",
        "CPU time of the container.",
        |group| group.cpu_usage.map(|time| time.as_secs_f64()),
    ),
    (
        "podvisor_cgroup_cpu_periods_total",
        "Periods of its CPU limit.",
        |group| Some(group.cpu_periods? as f64),
    ),
    (
        "podvisor_cgroup_cpu_throttled_periods_total",
        "Periods in which it had to wait.",
        |group| Some(group.cpu_throttled_periods? as f64),
    ),
    (
        "podvisor_cgroup_cpu_throttled_seconds_total",
        "How long it had to wait, over all its threads.",
        |group| group.cpu_throttled.map(|time| time.as_secs_f64()),
    ),
];

fn cgroup(group: &Cgroup, out: &mut Vec<MetricFamily>) {
    let mut info = Family::gauge(
        "podvisor_cgroup_info",
        "The container's cgroup: its version, and whether an OOM kill takes all of it.",
    );
    let oom_group = match group.oom_group {
        Some(true) => "true",
        Some(false) => "false",
        None => "unknown",
    };
    let version = group.version.to_string();
    info.add(
        &[("version", &version), ("oom_group", oom_group)],
        flag(true),
    );
    info.into(out);
    let single = |mut family: Family, value: Option<f64>, out: &mut Vec<MetricFamily>| {
        if let Some(value) = value {
            family.add(&[], value);
        }
        family.into(out);
    };
    for (name, help, value) in GROUP_GAUGES {
        single(Family::gauge(name, help), value(group), out);
    }
    for (name, help, value) in GROUP_COUNTERS {
        single(Family::counter(name, help), value(group), out);
    }
    let mut events = Family::counter(
        "podvisor_cgroup_memory_events_total",
        "What happened at the container's memory limit, as the kernel names it.",
    );
    for (event, count) in &group.memory_events {
        events.add(&[("event", event)], *count as f64);
    }
    events.into(out);
    let mut waiting = Family::counter(
        "podvisor_cgroup_pressure_waiting_seconds_total",
        "How long some of its tasks waited for a resource.",
    );
    let mut stalled = Family::counter(
        "podvisor_cgroup_pressure_stalled_seconds_total",
        "How long all of its tasks waited for a resource.",
    );
    for (resource, some, full) in &group.pressure {
        let labels = [("resource", *resource)];
        waiting.add(&labels, some.as_secs_f64());
        if let Some(full) = full.as_ref().map(Duration::as_secs_f64) {
            stalled.add(&labels, full);
        }
    }
    waiting.into(out);
    stalled.into(out);
}
