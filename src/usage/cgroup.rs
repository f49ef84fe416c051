//! What the container may use and uses, from its cgroup: version 2, or 1.
//!
//! A container with a cgroup namespace of its own sees its group at the root of the mount; one without is named in
//! `/proc/self/cgroup`. What a kernel or a version does not have is None.

mod events;
mod v1;
mod v2;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use events::OomEvents;

/// What a cgroup says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cgroup {
    /// 1 or 2; 0 if there is none.
    pub version: u8,
    /// Whether an OOM kill takes the whole group with it (`memory.oom.group`; Kubernetes since 1.28 sets it).
    pub oom_group: Option<bool>,
    /// Bytes that may be used; None without a limit.
    pub memory_limit: Option<u64>,
    /// Bytes that are used, page cache included.
    pub memory_usage: Option<u64>,
    /// As the kubelet has it: use less the inactive file pages. What eviction goes by.
    pub memory_working_set: Option<u64>,
    /// The most bytes that were ever used.
    pub memory_peak: Option<u64>,
    /// `low`, `high`, `max`, `oom`, `oom_kill`, `oom_group_kill`: how often.
    pub memory_events: Vec<(&'static str, u64)>,
    /// Cores that may be used; None without a limit.
    pub cpu_limit: Option<f64>,
    /// CPU time used.
    pub cpu_usage: Option<Duration>,
    /// Periods of the limit.
    pub cpu_periods: Option<u64>,
    /// Periods in which the container had to wait.
    pub cpu_throttled_periods: Option<u64>,
    /// For how long, over all its threads.
    pub cpu_throttled: Option<Duration>,
    /// Processes and threads there are.
    pub pids: Option<u64>,
    /// How many there may be; None without a limit.
    pub pids_limit: Option<u64>,
    /// By resource (`cpu`, `memory`, `io`): how long some, and how long all of its tasks waited for it.
    pub pressure: Vec<(&'static str, Duration, Option<Duration>)>,
}

/// Where the container's cgroup is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// One folder for all.
    V2(PathBuf),
    /// A folder for each controller.
    V1 {
        /// Of the memory controller.
        memory: PathBuf,
        /// Of the CPU controller.
        cpu: PathBuf,
        /// Of CPU accounting.
        cpuacct: PathBuf,
        /// Of the controller of processes.
        pids: PathBuf,
    },
    /// Nowhere that can be read.
    None,
}

impl Place {
    /// Of this process.
    #[must_use]
    pub fn of_self() -> Self {
        let named = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::find(Path::new("/sys/fs/cgroup"), &named)
    }

    /// `named`: the text of `/proc/self/cgroup`; `mount`: where cgroups are mounted.
    fn find(mount: &Path, named: &str) -> Self {
        let path_of = |controller: &str| {
            named.lines().find_map(|line| {
                let mut fields = line.splitn(3, ':').skip(1);
                let (controllers, path) = (fields.next()?, fields.next()?);
                controllers
                    .split(',')
                    .any(|named| named == controller)
                    .then(|| path.trim_start_matches('/'))
            })
        };
        // The named one where it can be seen, else the root of the mount: that of a namespace of its own.
        let below = |root: PathBuf, path: Option<&str>| match path.map(|path| root.join(path)) {
            Some(folder) if folder.is_dir() => folder,
            _ => root,
        };
        if mount.join("cgroup.controllers").exists() {
            return Self::V2(below(mount.to_owned(), path_of("")));
        }
        let controller = |name: &str| below(mount.join(name), path_of(name));
        let place = Self::V1 {
            memory: controller("memory"),
            cpu: controller("cpu"),
            cpuacct: controller("cpuacct"),
            pids: controller("pids"),
        };
        match &place {
            Self::V1 { memory, .. } if memory.is_dir() => place,
            _ => Self::None,
        }
    }

    /// Reads it all: some fifteen small files.
    #[must_use]
    pub fn read(&self) -> Cgroup {
        match self {
            Self::V2(folder) => v2::read(folder),
            Self::V1 {
                memory,
                cpu,
                cpuacct,
                pids,
            } => v1::read(memory, cpu, cpuacct, pids),
            Self::None => Cgroup::default(),
        }
    }
}

/// The text of a small file.
fn text(folder: &Path, file: &str) -> Option<String> {
    std::fs::read_to_string(folder.join(file)).ok()
}

/// A file that holds one number. `max` and whatever else is no number: None.
fn number(folder: &Path, file: &str) -> Option<u64> {
    text(folder, file)?.trim().parse().ok()
}

/// The value behind a key, in lines of `KEY VALUE`.
fn field(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
        .and_then(|value| value.trim().parse().ok())
}

fn micros(text: &str, key: &str) -> Option<Duration> {
    field(text, key).map(Duration::from_micros)
}

#[cfg(test)]
mod tests;
