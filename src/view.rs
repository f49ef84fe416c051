//! The snapshot that the supervisor publishes and others read. Plain data: no lock, no live state, no clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::core::{Histogram, ProbeKind, ServiceState, Tally};

/// What a supervisor looks like at one moment.
#[derive(Debug, Clone)]
pub struct View {
    /// Every service, in name order.
    pub services: Vec<Arc<ServiceView>>,
    /// Where the supervisor as a whole is.
    pub phase: Phase,
    /// All required services have been ready (or completed) at once, some time.
    pub started: bool,
    /// When podvisor began, in Unix seconds.
    pub began_at: f64,
    /// From podvisor's start until `started`, once it is.
    pub start_duration: Option<Duration>,
    /// First 8 hex digits of the config's hash.
    pub config_hash: Arc<str>,
    /// How long starts took, until ready (what ends by itself: until done).
    pub start_durations: Histogram,
    /// How long stops took.
    pub stop_durations: Histogram,
    /// What became of changed configs.
    pub reloads: Reloads,
    /// Counts that belong to no service.
    pub totals: Totals,
}

impl View {
    /// What is there before anything is.
    pub fn empty() -> Self {
        Self {
            services: Vec::new(),
            phase: Phase::Starting,
            started: false,
            began_at: 0.0,
            start_duration: None,
            config_hash: Arc::from(""),
            reloads: Reloads::default(),
            start_durations: Histogram::default(),
            stop_durations: Histogram::default(),
            totals: Totals::default(),
        }
    }
}

/// Where the supervisor as a whole is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not all required services have been ready yet.
    Starting,
    /// They have.
    Running,
    /// Asked to stop; the services still run (`drainDelay`).
    Draining,
    /// Services are being stopped.
    Stopping,
}

impl Phase {
    /// Every phase, in order of life.
    pub const ALL: [Self; 4] = [
        Self::Starting,
        Self::Running,
        Self::Draining,
        Self::Stopping,
    ];

    /// The name that stands in metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
        }
    }
}

/// Configs that were taken over while podvisor ran. The first one counts as a success at the start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reloads {
    /// Reloads that were carried out.
    pub ok: u64,
    /// Reloads that were refused.
    pub failed: u64,
    /// Whether the last one was carried out.
    pub last_ok: bool,
    /// When that was, in Unix seconds.
    pub last_at: f64,
}

impl Default for Reloads {
    fn default() -> Self {
        Self {
            ok: 0,
            failed: 0,
            last_ok: true,
            last_at: 0.0,
        }
    }
}

/// Counts that belong to no service. All only grow.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Processes reaped that were a service's main process, probe or stop command.
    pub reaped_service: u64,
    /// Processes reaped that nobody knew: adopted orphans.
    pub reaped_orphan: u64,
    /// Signals received, by number.
    pub signals: Vec<(i32, u64)>,
    /// The longest turn of the loop since the last reading, in nanoseconds.
    pub loop_lag: Arc<LoopLag>,
}

/// The longest turn of the main loop since somebody last asked.
#[derive(Debug, Default)]
pub struct LoopLag(AtomicU64);

impl LoopLag {
    /// Notes one turn.
    pub fn note(&self, turn: Duration) {
        self.0.fetch_max(
            u64::try_from(turn.as_nanos()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }

    /// Takes the longest turn and starts anew.
    pub fn take(&self) -> Duration {
        Duration::from_nanos(self.0.swap(0, Ordering::Relaxed))
    }
}

/// One service at one moment. Times are Unix seconds with fraction, stamped when the thing happened.
#[derive(Debug, Clone)]
pub struct ServiceView {
    /// Its name.
    pub name: Arc<str>,
    /// `daemon`, `oneshot` or `cron`.
    pub kind: &'static str,
    /// `Always`, `OnFailure` or `Never`.
    pub restart_policy: &'static str,
    /// Whether it gates `/readyz`.
    pub required: bool,
    /// Its state.
    pub state: ServiceState,
    /// Why it is in that state, when there is something to say: a short enum-like text such as `exit code 1` or `waits for redis`.
    pub reason: Arc<str>,
    /// Whether it counts as ready now (a oneshot: completed).
    pub ready: bool,
    /// Its main process, while there is one.
    pub pid: Option<i32>,
    /// When that process was started.
    pub started_at: Option<f64>,
    /// When it was last ready.
    pub ready_at: Option<f64>,
    /// Its first start: when its process was started, and when it was ready (a oneshot: completed).
    pub first: (Option<f64>, Option<f64>),
    /// From its last start to ready (a oneshot: to its end).
    pub start_duration: Option<Duration>,
    /// The last exit.
    pub last_exit: Option<LastExit>,
    /// The current restart delay; zero when there is none.
    pub backoff: Duration,
    /// Failures since it was last stable.
    pub consecutive_failures: u32,
    /// The dependencies that it is configured with, and whether it waits for each now.
    pub blocked_on: Vec<(Arc<str>, bool)>,
    /// Its probes.
    pub probes: Vec<ProbeView>,
    /// Everything counted about it.
    pub tally: Tally,
    /// When a cron service starts next.
    pub next_run: Option<f64>,
    /// When a oneshot last succeeded.
    pub last_success_at: Option<f64>,
}

/// How a process ended, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LastExit {
    /// Its exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// When, in Unix seconds.
    pub at: f64,
}

/// One probe of a service.
#[derive(Debug, Clone)]
pub struct ProbeView {
    /// Which.
    pub kind: ProbeKind,
    /// Its debounced verdict; None before the first.
    pub passing: Option<bool>,
    /// Failures in a row.
    pub consecutive_failures: u32,
}
