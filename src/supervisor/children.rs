//! Who podvisor's children are: by pid for the reaper, by service and incarnation for the core.

use std::collections::HashMap;

use nix::unistd::Pid;

use crate::core::{Incarnation, ProbeKind, ServiceId, Tick};
use crate::process::descendants::Member;
use crate::process::plan::Plan;
use crate::process::report::ReportPipe;

/// What a child is to podvisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// A service's main process.
    Main(ServiceId, Incarnation),
    /// An exec probe.
    Probe(ServiceId, Incarnation, ProbeKind, u64),
    /// A stop command.
    StopCommand(ServiceId, Incarnation),
}

impl Owner {
    /// The start of a service that it belongs to.
    pub(super) fn life(&self) -> (ServiceId, Incarnation) {
        match *self {
            Self::Main(service, incarnation)
            | Self::Probe(service, incarnation, ..)
            | Self::StopCommand(service, incarnation) => (service, incarnation),
        }
    }
}

/// A child that podvisor started.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) owner: Owner,
    /// Until it said whether its program runs: where it says so, and what it was to become.
    pub(super) report: Option<(ReportPipe, Box<Plan>)>,
    /// Whether its program could not be run.
    pub(super) failed: bool,
    pub(super) began: Tick,
    /// It had its time and was killed.
    pub(super) overdue: bool,
}

/// One start of a service, until nothing of it lives.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) leader: Pid,
    /// When the kernel started it: with the pid, its name for good.
    pub(super) leader_starttime: Option<u64>,
    /// The mark in its environment.
    pub(super) token: String,
    /// Its main process was reaped; others of it are awaited.
    pub(super) awaits_gone: bool,
    /// Descendants seen when it was last signalled; they may have left session and parent since.
    pub(super) remembered: Vec<Member>,
    /// The last signal that went to all of it.
    pub(super) last_signal: Option<i32>,
}

/// All of them. Bounded by what podvisor starts itself: per life one main process, three probes and a stop command.
#[derive(Debug, Default)]
pub(super) struct Children {
    by_pid: HashMap<Pid, Child>,
    lives: HashMap<(ServiceId, Incarnation), Life>,
}

impl Children {
    pub(super) fn add(&mut self, pid: Pid, child: Child) {
        self.by_pid.insert(pid, child);
    }

    pub(super) fn get_mut(&mut self, pid: Pid) -> Option<&mut Child> {
        self.by_pid.get_mut(&pid)
    }

    pub(super) fn remove(&mut self, pid: Pid) -> Option<Child> {
        self.by_pid.remove(&pid)
    }

    pub(super) fn knows(&self, pid: Pid) -> bool {
        self.by_pid.contains_key(&pid)
    }

    /// The probes and stop commands of a life.
    pub(super) fn helpers_of(&self, life: (ServiceId, Incarnation)) -> Vec<(Pid, Owner)> {
        self.by_pid
            .iter()
            .filter(|(_, child)| child.owner.life() == life)
            .filter(|(_, child)| !matches!(child.owner, Owner::Main(..)))
            .map(|(pid, child)| (*pid, child.owner))
            .collect()
    }

    pub(super) fn begin_life(&mut self, key: (ServiceId, Incarnation), life: Life) {
        self.lives.insert(key, life);
    }

    pub(super) fn life(&mut self, key: (ServiceId, Incarnation)) -> Option<&mut Life> {
        self.lives.get_mut(&key)
    }

    /// A life is over.
    pub(super) fn end_life(&mut self, key: (ServiceId, Incarnation)) {
        self.lives.remove(&key);
    }

    /// Whether any life's rest is awaited.
    pub(super) fn awaits_gone(&self) -> bool {
        self.lives.values().any(|life| life.awaits_gone)
    }

    /// The lives whose rest is awaited.
    pub(super) fn awaited(&self) -> Vec<(ServiceId, Incarnation)> {
        let mut keys: Vec<_> = self
            .lives
            .iter()
            .filter(|(_, life)| life.awaits_gone)
            .map(|(key, _)| *key)
            .collect();
        keys.sort_unstable();
        keys
    }
}
