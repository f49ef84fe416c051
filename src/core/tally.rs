//! What is counted about a service. A metric and its log line leave from one `Fact`, so they cannot drift apart.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::{Ending, ProbeOutcome};

/// Which of a service's three probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeKind {
    /// Whether it has come up.
    Startup,
    /// Whether it may be used.
    Readiness,
    /// Whether it must be restarted.
    Liveness,
}

impl ProbeKind {
    /// Every probe.
    pub const ALL: [Self; 3] = [Self::Startup, Self::Readiness, Self::Liveness];

    /// The name that stands in metrics and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Readiness => "readiness",
            Self::Liveness => "liveness",
        }
    }
}

/// Why a service was started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RestartReason {
    /// Its process exited.
    Exit,
    /// A signal ended its process.
    Signal,
    /// Its liveness probe failed.
    Liveness,
    /// It missed its sd_notify watchdog.
    Watchdog,
    /// Somebody asked.
    Manual,
    /// Its config changed.
    Reload,
    /// Something it depends on was restarted.
    Dependency,
}

impl RestartReason {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::Exit,
        Self::Signal,
        Self::Liveness,
        Self::Watchdog,
        Self::Manual,
        Self::Reload,
        Self::Dependency,
    ];

    /// The name that stands in metrics and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Signal => "signal",
            Self::Liveness => "liveness",
            Self::Watchdog => "watchdog",
            Self::Manual => "manual",
            Self::Reload => "reload",
            Self::Dependency => "dependency",
        }
    }
}

/// The most distinct exit codes and signals there can be: 256 codes and 64 signals.
pub const MAX_EXIT_KINDS: usize = 256 + 64;

/// Everything counted about one service since podvisor started. Counts only grow.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// Starts whose program ran and, where it has readiness, became ready (a oneshot: completed).
    pub starts_ok: u64,
    /// Starts that ended before that, or whose program could not be executed.
    pub starts_failed: u64,
    /// Starts that took longer than the start deadline or the startup probe allow.
    pub starts_timeout: u64,
    /// Restarts by reason, in the order of [`RestartReason::ALL`].
    pub restarts: [u64; 7],
    /// Exits by code or signal; at most [`MAX_EXIT_KINDS`] entries.
    pub exits: BTreeMap<Ending, u64>,
    /// Stops that the process followed by itself.
    pub stops_graceful: u64,
    /// Stops in which something had to be killed.
    pub stops_killed: u64,
    /// Ends by the kernel, for want of memory.
    pub oom_kills: u64,
    /// Probe attempts, by probe.
    pub probes: [ProbeTally; 3],
    /// Cron runs that were skipped because the previous one still ran.
    pub cron_skipped: u64,
    /// Events that the state machine had no use for: late, or of an earlier incarnation.
    pub stale_events: u64,
}

/// Everything counted about one probe.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProbeTally {
    /// Attempts by outcome, in the order of [`ProbeOutcome::ALL`].
    pub checks: [u64; 4],
    /// Attempts that took a measured time.
    pub timed: u64,
    /// Their time added up.
    pub duration: Duration,
}

/// Times of one kind, as a Prometheus histogram counts them.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// How many fell at or below each of [`DURATION_BUCKETS`], not cumulated; the last is the rest.
    pub counts: [u64; DURATION_BUCKETS.len() + 1],
    /// Their sum.
    pub sum: Duration,
}

/// Upper bounds of the duration histograms, in seconds.
pub const DURATION_BUCKETS: [f64; 12] = [
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: [0; DURATION_BUCKETS.len() + 1],
            sum: Duration::ZERO,
        }
    }
}

impl Histogram {
    /// Adds one time.
    pub fn observe(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let at = DURATION_BUCKETS.iter().position(|bound| seconds <= *bound);
        self.counts[at.unwrap_or(DURATION_BUCKETS.len())] += 1;
        self.sum += took;
    }
}

impl Tally {
    /// Counts one probe attempt.
    pub fn probe(&mut self, kind: ProbeKind, outcome: ProbeOutcome, took: Duration) {
        let tally = &mut self.probes[kind as usize];
        tally.checks[outcome as usize] += 1;
        tally.timed += 1;
        tally.duration += took;
    }
}
