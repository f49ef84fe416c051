//! The standard `process_` families, of podvisor itself, from /proc.

use std::fs;

use prometheus::proto::MetricFamily;

use super::family::Family;

/// What proc_pid_stat(5) says of this process; the fields are counted from 3 on, behind the name.
struct Stat(Vec<u64>);

impl Stat {
    fn read() -> Option<Self> {
        let text = fs::read_to_string("/proc/self/stat").ok()?;
        let fields = text.rsplit_once(") ")?.1;
        Some(Self(
            fields
                .split(' ')
                .map(|field| field.trim().parse().unwrap_or(0))
                .collect(),
        ))
    }

    /// Field by its number in the manual.
    fn field(&self, number: usize) -> u64 {
        self.0.get(number - 3).copied().unwrap_or(0)
    }
}

fn per_second() -> f64 {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)
        .ok()
        .flatten();
    ticks.map_or(100.0, |ticks| ticks as f64)
}

fn page() -> f64 {
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .ok()
        .flatten();
    page.map_or(4096.0, |page| page as f64)
}

fn boot_time() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

pub(super) fn families(out: &mut Vec<MetricFamily>) {
    use nix::sys::resource::{Resource, getrlimit};
    let Some(stat) = Stat::read() else { return };
    let ticks = per_second();
    let mut cpu = Family::counter("process_cpu_seconds_total", "CPU time of podvisor itself.");
    cpu.add(&[], (stat.field(14) + stat.field(15)) as f64 / ticks);
    cpu.into(out);
    let mut gauge = |name: &str, help: &str, value: Option<f64>| {
        let mut family = Family::gauge(name, help);
        if let Some(value) = value {
            family.add(&[], value);
        }
        family.into(out);
    };
    let limit = |resource| getrlimit(resource).ok().map(|(soft, _)| soft as f64);
    let fds = fs::read_dir("/proc/self/fd")
        .ok()
        .map(|dir| dir.count().saturating_sub(1) as f64);
    gauge(
        "process_open_fds",
        "Open descriptors of podvisor itself.",
        fds,
    );
    gauge(
        "process_max_fds",
        "Their limit.",
        limit(Resource::RLIMIT_NOFILE),
    );
    gauge(
        "process_virtual_memory_bytes",
        "Address space of podvisor itself.",
        Some(stat.field(23) as f64),
    );
    gauge(
        "process_virtual_memory_max_bytes",
        "Its limit.",
        limit(Resource::RLIMIT_AS),
    );
    gauge(
        "process_resident_memory_bytes",
        "Memory of podvisor itself.",
        Some(stat.field(24) as f64 * page()),
    );
    gauge(
        "process_threads",
        "Threads of podvisor itself.",
        Some(stat.field(20) as f64),
    );
    let started = boot_time().map(|boot| boot + stat.field(22) as f64 / ticks);
    gauge(
        "process_start_time_seconds",
        "When podvisor was started.",
        started,
    );
}
