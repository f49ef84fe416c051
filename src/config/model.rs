//! The types of a service: what a user may say about one process. Their doc comments are the reference.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::logs::ServiceLogs;
use super::probe::{LivenessProbe, ReadinessProbe, StartupProbe};
use crate::units::{HumanDuration, SignalName};

/// A name that may stand in metrics labels, paths and prefixes: `[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?`, 63 bytes at most.
pub type ServiceName = String;

/// One process (with everything it starts), as the user describes it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// What the process is for: it runs on (`daemon`), ends (`oneshot`), or is started by a schedule (`cron`).
    #[serde(default, rename = "type")]
    pub kind: ServiceKind,
    /// Program and first arguments, as a list; the program is looked up in the service's own PATH. Never passed through a shell.
    #[serde(default)]
    pub command: Vec<String>,
    /// Further arguments, appended to `command`.
    #[serde(default)]
    pub args: Vec<String>,
    /// A script for `/bin/sh -c`, instead of `command`.
    #[serde(default)]
    pub shell: Option<String>,
    /// When a `cron` service starts: five fields (minute hour day-of-month month day-of-week) or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
    #[serde(default)]
    pub schedule: Option<String>,
    /// The IANA time zone of `schedule`, such as `Europe/Berlin`. Default: UTC.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// What a `cron` service does when its time comes and the previous run still runs.
    #[serde(default)]
    pub concurrency_policy: ConcurrencyPolicy,
    /// What must be up before this service starts. A list of names, or a map from a name to a condition.
    #[serde(default, deserialize_with = "super::forms::depends_on")]
    #[schemars(with = "super::forms::DependsOn")]
    pub depends_on: BTreeMap<ServiceName, Dependency>,
    /// Services that never run at the same time as this one. Holds both ways.
    #[serde(default)]
    pub conflicts_with: Vec<ServiceName>,
    /// Whether the service is started with the container. One that is not can be started by `podvisor start`, or by a service that depends on it.
    #[serde(default = "yes")]
    pub autostart: bool,
    /// Environment variables, added to those of the container.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Files of `NAME=value` lines, read at each start; `env` beats them.
    #[serde(default)]
    pub env_from: Vec<EnvFile>,
    /// Whether the service inherits the container's environment. Default: true.
    #[serde(default = "yes")]
    pub inherit_env: bool,
    /// Working directory. Default: podvisor's own.
    #[serde(default)]
    pub working_dir: Option<String>,
    /// User and optionally group, by name or number: `www-data`, `1000`, `1000:1000`.
    #[serde(default)]
    pub user: Option<String>,
    /// Identity and privileges, in Kubernetes' words.
    #[serde(default)]
    pub security_context: SecurityContext,
    /// Resource limits (setrlimit): a number, `unlimited`, or `{ soft, hard }`.
    #[serde(default)]
    pub limits: BTreeMap<LimitName, Limit>,
    /// Scheduling priority, -20 (most favoured) to 19.
    #[serde(default)]
    #[schemars(range(min = -20, max = 19))]
    pub nice: Option<i32>,
    /// How readily the kernel kills this service when memory runs out, -1000 to 1000.
    #[serde(default)]
    #[schemars(range(min = -1000, max = 1000))]
    pub oom_score_adj: Option<i32>,
    /// Holds back the other probes until it succeeded once; when it fails for good, the start has failed.
    #[serde(default)]
    pub startup_probe: Option<StartupProbe>,
    /// Whether the service is ready to be used. Never restarts it.
    #[serde(default)]
    pub readiness_probe: Option<ReadinessProbe>,
    /// Whether the service must be restarted.
    #[serde(default)]
    pub liveness_probe: Option<LivenessProbe>,
    /// A service without a startup or readiness probe counts as ready this long after it started.
    #[serde(default)]
    pub min_ready_seconds: u32,
    /// The longest time from start to ready (for a oneshot: to its end); past it the start has failed. Default: no limit.
    #[serde(default)]
    pub start_timeout: Option<HumanDuration>,
    /// When to start it again after it ended. Default: `Always` for a daemon, `OnFailure` for a oneshot, `Never` for cron.
    #[serde(default)]
    pub restart_policy: Option<RestartPolicy>,
    /// Delays and limits of restarts.
    #[serde(default)]
    pub restart: Restart,
    /// How the service is stopped.
    #[serde(default)]
    pub stop: Stop,
    /// Whether the container needs this service: it gates `/readyz`, and when it fails for good, the container ends with its code. Default: true; false for cron, and for what is not started with the container.
    #[serde(default)]
    pub required: Option<bool>,
    /// What happens when this service completes successfully.
    #[serde(default)]
    pub on_success: OnSuccess,
    /// What happens to the service's output.
    #[serde(default)]
    pub logs: ServiceLogs,
}

pub(super) fn yes() -> bool {
    true
}

/// What a process is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ServiceKind {
    /// Runs until it is stopped.
    #[default]
    Daemon,
    /// Does its work and ends; exit code 0 completes it.
    Oneshot,
    /// Is started by its `schedule` and ends.
    Cron,
}

/// What a cron service does when its time comes and the previous run still runs, as Kubernetes' CronJob names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub enum ConcurrencyPolicy {
    /// Run beside the previous one, up to 17 at a time.
    Allow,
    /// Skip this run.
    #[default]
    Forbid,
    /// Stop the previous run, then start.
    Replace,
}

/// One dependency: what to wait for, and whether it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dependency {
    /// What to wait for. Default: `completed` for a oneshot, `ready` for what has a startup or readiness probe, `started` otherwise.
    #[serde(default)]
    pub condition: Option<Condition>,
    /// false: wanted, not needed: wait for it, but start without it when it fails for good.
    #[serde(default = "yes")]
    pub required: bool,
}

impl Default for Dependency {
    fn default() -> Self {
        Self {
            condition: None,
            required: true,
        }
    }
}

/// What a dependent waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Condition {
    /// Its program runs (the exec succeeded).
    Started,
    /// Its startup and readiness probes passed.
    Ready,
    /// It ended successfully (a oneshot).
    Completed,
}

/// A file of environment variables.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvFile {
    /// Path of the file.
    pub file: String,
    /// true: a missing file is no error.
    #[serde(default)]
    pub optional: bool,
}

/// Identity and privileges of a service, in Kubernetes' words.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecurityContext {
    /// Numeric user id.
    #[serde(default)]
    pub run_as_user: Option<u32>,
    /// Numeric group id.
    #[serde(default)]
    pub run_as_group: Option<u32>,
    /// Further group ids.
    #[serde(default)]
    pub supplemental_groups: Option<Vec<u32>>,
    /// File mode creation mask, in octal as a string: `"022"`.
    #[serde(default)]
    pub umask: Option<String>,
    /// Whether exec may never grant privileges (setuid programs, file capabilities).
    #[serde(default)]
    pub no_new_privileges: bool,
    /// Linux capabilities to keep or give up.
    #[serde(default)]
    pub capabilities: Capabilities,
}

/// Linux capabilities, by name with or without `CAP_`; `ALL` in `drop` means every one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Capabilities {
    /// Kept, also across a change of user (ambient).
    #[serde(default)]
    pub add: Vec<String>,
    /// Given up.
    #[serde(default)]
    pub drop: Vec<String>,
}

/// The resources of setrlimit(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are setrlimit(2)'s own")]
pub enum LimitName {
    As,
    Core,
    Cpu,
    Data,
    Fsize,
    Locks,
    Memlock,
    Msgqueue,
    Nice,
    Nofile,
    Nproc,
    Rss,
    Rtprio,
    Sigpending,
    Stack,
}

/// One resource limit; `None` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The limit that is in force.
    pub soft: Option<u64>,
    /// The ceiling up to which the process may raise it.
    pub hard: Option<u64>,
}

/// When to start a service again after it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum RestartPolicy {
    /// Whatever its exit code.
    Always,
    /// When it failed: a non-zero code, a signal, a failed start or liveness probe.
    OnFailure,
    /// Never.
    Never,
}

/// Delays and limits of restarts.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Restart {
    /// The delay before the first restart; it doubles with each further one. Default: 500ms.
    pub initial_delay: HumanDuration,
    /// The longest delay. Default: 30s.
    pub max_delay: HumanDuration,
    /// Each delay is spread by up to this share, both ways, 0 to 1. Default: 0.1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub jitter: f64,
    /// More restarts than this within `window`: the service has failed for good. 0: no limit. Default: 10.
    pub max_restarts: u32,
    /// The time over which restarts are counted. Default: 10m.
    pub window: HumanDuration,
    /// After this long of stable running the delay starts at `initialDelay` again. Default: 10s.
    pub reset_after: HumanDuration,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            initial_delay: HumanDuration::from_millis(500),
            max_delay: HumanDuration::from_secs(30),
            jitter: 0.1,
            max_restarts: 10,
            window: HumanDuration::from_secs(600),
            reset_after: HumanDuration::from_secs(10),
        }
    }
}

/// How a service is stopped: the command, then the signal, then KILL.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Stop {
    /// The signal that asks it to end. Default: SIGTERM.
    pub signal: SignalName,
    /// How long it may take, the stop command included, before it is killed. Default: 10s.
    pub timeout: HumanDuration,
    /// A command that is run before the signal is sent.
    pub command: Vec<String>,
}

impl Default for Stop {
    fn default() -> Self {
        Self {
            signal: SignalName::TERM,
            timeout: HumanDuration::from_secs(10),
            command: Vec::new(),
        }
    }
}

/// What happens when a service completes successfully.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnSuccess {
    /// Nothing.
    #[default]
    Continue,
    /// The container ends, in order, with code 0.
    Shutdown,
}

impl Service {
    /// Whether the container needs this service: as the user said, else everything but cron and what is not started
    /// with the container (which would keep `/readyz` at 503 until somebody starts it by hand).
    pub fn is_required(&self) -> bool {
        self.required
            .unwrap_or(self.kind != ServiceKind::Cron && self.autostart)
    }

    /// The restart policy: as the user said, else by what the service is.
    pub fn restart_policy(&self) -> RestartPolicy {
        self.restart_policy.unwrap_or(match self.kind {
            ServiceKind::Daemon => RestartPolicy::Always,
            ServiceKind::Oneshot => RestartPolicy::OnFailure,
            ServiceKind::Cron => RestartPolicy::Never,
        })
    }

    /// The three probes, with the names of their fields.
    pub fn probes(&self) -> impl Iterator<Item = (&'static str, &super::probe::Probe)> {
        [
            ("startupProbe", &self.startup_probe),
            ("readinessProbe", &self.readiness_probe),
            ("livenessProbe", &self.liveness_probe),
        ]
        .into_iter()
        .filter_map(|(field, probe)| probe.as_ref().map(|probe| (field, probe)))
    }

    /// Whether readiness is something of its own here, beyond having been started.
    pub fn has_readiness(&self) -> bool {
        self.startup_probe.is_some() || self.readiness_probe.is_some() || self.min_ready_seconds > 0
    }

    /// What a dependent without a condition of its own waits for.
    pub fn default_condition(&self) -> Condition {
        match self.kind {
            ServiceKind::Oneshot => Condition::Completed,
            _ if self.has_readiness() => Condition::Ready,
            _ => Condition::Started,
        }
    }
}
