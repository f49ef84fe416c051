//! The core's deadlines: at most one of each kind a service, so that none can leak or fire for an earlier incarnation.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{ServiceId, Tick};
use super::tally::ProbeKind;

/// What a deadline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Key {
    /// The restart delay is over.
    Backoff(ServiceId),
    /// The start takes too long.
    StartTimeout(ServiceId),
    /// A startup probe that waits to be told has waited long enough.
    StartupPatience(ServiceId),
    /// `minReadySeconds` is over.
    MinReady(ServiceId),
    /// The next probe attempt, or the end of the wait for the running one.
    Probe(ServiceId, ProbeKind),
    /// The watchdog was not fed.
    Watchdog(ServiceId),
    /// The stop command had its time: the signal now.
    StopCommand(ServiceId),
    /// The stop takes too long: KILL now.
    StopTimeout(ServiceId),
    /// What was killed is still there.
    Unkillable(ServiceId),
    /// Something is to be done about the runs beside the newest one.
    SideRuns(ServiceId),
    /// `drainDelay` is over.
    Drain,
    /// Too little time is left for an ordered stop.
    OrderCut,
    /// KILL everything.
    KillAll,
    /// Whatever is left, podvisor ends.
    Deadline,
}

impl Key {
    /// Whether its firing kills. Such a deadline gets one more look when podvisor itself was frozen.
    pub(super) fn punishes(self) -> bool {
        matches!(
            self,
            Self::StartTimeout(_)
                | Self::StartupPatience(_)
                | Self::Watchdog(_)
                | Self::StopTimeout(_)
                | Self::SideRuns(_)
                | Self::KillAll
        )
    }
}

/// All running deadlines.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(Tick, Key)>,
    by_key: BTreeMap<Key, Tick>,
}

impl Timers {
    /// Sets a deadline, in place of the one of the same kind.
    pub(super) fn set(&mut self, key: Key, at: Tick) {
        self.cancel(key);
        self.by_time.insert((at, key));
        self.by_key.insert(key, at);
    }

    /// Takes a deadline back.
    pub(super) fn cancel(&mut self, key: Key) {
        if let Some(at) = self.by_key.remove(&key) {
            self.by_time.remove(&(at, key));
        }
    }

    /// When a deadline is, if it runs.
    pub(super) fn get(&self, key: Key) -> Option<Tick> {
        self.by_key.get(&key).copied()
    }

    /// The next deadline.
    pub(super) fn next(&self) -> Option<Tick> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes one deadline that has come.
    pub(super) fn pop_due(&mut self, now: Tick) -> Option<(Tick, Key)> {
        let (at, key) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.cancel(key);
        Some((at, key))
    }

    /// Takes back everything that belongs to one run of a service.
    pub(super) fn cancel_run(&mut self, id: ServiceId) {
        for key in [
            Key::Backoff(id),
            Key::StartTimeout(id),
            Key::StartupPatience(id),
            Key::MinReady(id),
            Key::Watchdog(id),
            Key::StopCommand(id),
            Key::StopTimeout(id),
            Key::Unkillable(id),
            Key::SideRuns(id),
        ] {
            self.cancel(key);
        }
        self.cancel_probes(id);
    }

    /// Takes back a service's probes.
    pub(super) fn cancel_probes(&mut self, id: ServiceId) {
        for kind in ProbeKind::ALL {
            self.cancel(Key::Probe(id, kind));
        }
    }

    /// How many deadlines run.
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }
}
