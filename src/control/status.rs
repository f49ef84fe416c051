//! The status as JSON: what a view says, in names and numbers that stay.

use serde::{Deserialize, Serialize};

use crate::usage::Usage;
use crate::view::{LastExit, ServiceView, View};

/// A podvisor at one moment. Times are Unix seconds with fraction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// podvisor's version.
    pub version: String,
    /// Its pid.
    pub pid: u32,
    /// `starting`, `running`, `draining` or `stopping`.
    pub phase: String,
    /// When it began.
    pub began_at: f64,
    /// Now.
    pub now: f64,
    /// Whether all required services have been ready at once, some time.
    pub started: bool,
    /// How long that took, in seconds.
    pub start_seconds: Option<f64>,
    /// First digits of the config's hash.
    pub config_hash: String,
    /// Grows with each change; `?after=` waits for one.
    pub revision: u64,
    /// In name order.
    pub services: Vec<ServiceStatus>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// `daemon`, `oneshot` or `cron`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it gates readiness.
    pub required: bool,
    /// Its state.
    pub state: String,
    /// Why it is in that state, when there is something to say.
    pub reason: String,
    /// Whether it counts as ready.
    pub ready: bool,
    /// Its main process.
    pub pid: Option<i32>,
    /// When that was started.
    pub started_at: Option<f64>,
    /// When it was last ready.
    pub ready_at: Option<f64>,
    /// When it was started first.
    pub first_started_at: Option<f64>,
    /// When it was ready (a oneshot: completed) first.
    pub first_ready_at: Option<f64>,
    /// Restarts, for whatever reason.
    pub restarts: u64,
    /// Failures since it was last stable.
    pub failures: u32,
    /// The restart delay that it waits for.
    pub backoff_seconds: f64,
    /// How it last ended.
    pub last_exit: Option<ExitStatus>,
    /// What it depends on.
    pub depends_on: Vec<Dependency>,
    /// Its probes.
    pub probes: Vec<ProbeStatus>,
    /// When a cron service is due next.
    pub next_run: Option<f64>,
    /// What it uses with all its descendants, if that is looked at.
    pub usage: Option<UsageStatus>,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExitStatus {
    /// Its code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal's name.
    pub signal: Option<String>,
    /// When.
    pub at: f64,
}

/// A dependency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// On which service.
    pub name: String,
    /// Whether the start waits for it now.
    pub waits: bool,
}

/// A probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeStatus {
    /// `startup`, `readiness` or `liveness`.
    pub probe: String,
    /// Its verdict; none before the first.
    pub passing: Option<bool>,
    /// Failures in a row.
    pub failures: u32,
}

/// What a service uses with all its descendants.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageStatus {
    /// Processes.
    pub processes: u64,
    /// CPU time since podvisor's start, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory.
    pub memory_bytes: u64,
}

impl Status {
    /// What the view says.
    #[must_use]
    pub fn of(view: &View, usage: Option<&Usage>, revision: u64, now: f64) -> Self {
        let used = |name: &str| {
            let (_, tree) = usage?.services.iter().find(|(known, _)| &**known == name)?;
            Some(UsageStatus {
                processes: tree.held.processes,
                cpu_seconds: (tree.spent.user + tree.spent.system).as_secs_f64(),
                memory_bytes: tree.held.resident_bytes,
            })
        };
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            phase: view.phase.name().to_owned(),
            began_at: view.began_at,
            now,
            started: view.started,
            start_seconds: view.start_duration.map(|took| took.as_secs_f64()),
            config_hash: view.config_hash.to_string(),
            revision,
            services: view
                .services
                .iter()
                .map(|service| of_service(service, used(&service.name)))
                .collect(),
        }
    }

    /// The service of that name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&ServiceStatus> {
        self.services.iter().find(|service| service.name == name)
    }
}

fn of_service(service: &ServiceView, usage: Option<UsageStatus>) -> ServiceStatus {
    let dependency = |(name, waits): &(std::sync::Arc<str>, bool)| Dependency {
        name: name.to_string(),
        waits: *waits,
    };
    let probe = |probe: &crate::view::ProbeView| ProbeStatus {
        probe: probe.kind.name().to_owned(),
        passing: probe.passing,
        failures: probe.consecutive_failures,
    };
    ServiceStatus {
        name: service.name.to_string(),
        kind: service.kind.to_owned(),
        required: service.required,
        state: service.state.name().to_owned(),
        reason: service.reason.to_string(),
        ready: service.ready,
        pid: service.pid,
        started_at: service.started_at,
        ready_at: service.ready_at,
        first_started_at: service.first.0,
        first_ready_at: service.first.1,
        restarts: service.tally.restarts.iter().sum(),
        failures: service.consecutive_failures,
        backoff_seconds: service.backoff.as_secs_f64(),
        last_exit: service.last_exit.map(exit),
        depends_on: service.blocked_on.iter().map(dependency).collect(),
        probes: service.probes.iter().map(probe).collect(),
        next_run: service.next_run,
        usage,
    }
}

fn exit(exit: LastExit) -> ExitStatus {
    ExitStatus {
        code: exit.code,
        signal: exit.signal.map(crate::units::signal_label),
        at: exit.at,
    }
}
