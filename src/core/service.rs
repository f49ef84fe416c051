//! The state of one service: what is wanted and what is.
//!
//! Two fields, never mixed: `desired` (up or down) is what somebody asked; `state` is what is. Every event changes
//! one or the other, and then [`super::Core::settle`] moves the state towards the wish, in two phases: events
//! only mark services as touched; afterwards each touched service is looked at until nothing moves any more. So
//! no half-done change is ever seen by a neighbour, and nothing recurses.
//!
//! | state      | wanted up                                     | wanted down                                  |
//! |------------|-----------------------------------------------|----------------------------------------------|
//! | `Idle`     | → `Waiting`                                   | stays (cron: no schedule)                    |
//! | `Waiting`  | needs met, conflicts gone: → `Live`           | → `Stopped`                                  |
//! |            | a need failed for good: → `Failed`            |                                              |
//! | `Live`     | exit: → `Backoff`, `Completed` or `Failed`    | dependents gone: → `Stopping`                |
//! |            | (a cron run: → `Idle`)                        | exit: → `Stopped`, or `Completed` by itself  |
//! |            | start deadline, liveness, watchdog: `Stopping`|                                              |
//! | `Stopping` | all of it gone: → `Waiting` or as for an exit | all of it gone: → `Stopped`                  |
//! | `Backoff`  | delay over: → `Waiting`                       | → `Stopped`                                  |
//! | `Stopped`  | → `Waiting`                                   | stays                                        |
//! | `Completed`| stays, until started again by hand            | stays                                        |
//! | `Failed`   | stays, until started again by hand            | stays                                        |
//!
//! A cron service with `concurrencyPolicy: Allow` may have further runs beside its newest: `side.rs`.
//!
//! An event that names another incarnation than the one that lives is late: it is counted (`stale_events`) and has
//! no other effect. The report of the exec comes before the exit of the same incarnation; the driver sees to it.

use std::time::Duration;

use super::event::{Ending, ExecFault, Incarnation, ServiceId, Tick};
use super::outcome::Failure;
use super::probe::Probing;
use super::restart::Record;
use super::side::Leaving;
use super::tally::{RestartReason, Tally};

/// What is wanted of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Desired {
    Up,
    Down,
}

/// What a service is.
#[derive(Debug, Clone)]
pub(super) enum State {
    /// Not started yet; a cron service between runs.
    Idle,
    /// To be started when its needs are met.
    Waiting { reason: Option<RestartReason> },
    /// Its process lives.
    Live(Box<Run>),
    /// Its process is being ended, or has ended and others of it are.
    Stopping(Box<Run>, Stopping),
    /// It waits for its next start.
    Backoff {
        reason: RestartReason,
        delay: Duration,
    },
    /// Not to run. `by_request`: somebody stopped it, and may start it again.
    Stopped { by_request: bool },
    /// It did its work.
    Completed,
    /// It failed for good.
    Failed(Failure),
}

/// One life of a service's process.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) incarnation: Incarnation,
    pub(super) pid: Option<i32>,
    pub(super) forked_at: Tick,
    /// Its program runs since then.
    pub(super) exec_at: Option<Tick>,
    /// Its program could not be run; the process will end.
    pub(super) fault: Option<ExecFault>,
    /// It is ready since then.
    pub(super) ready_at: Option<Tick>,
    /// It has been ready once.
    pub(super) was_ready: bool,
    /// Its main process ended like this; others of it may live.
    pub(super) ended: Option<Ending>,
    /// Its start took longer than it may.
    pub(super) timed_out: bool,
    /// It is being ended beside another run of the service.
    pub(super) leaving: Option<Leaving>,
    /// The period of its watchdog.
    pub(super) watchdog: Option<Duration>,
    /// In the order of `ProbeKind::ALL`.
    pub(super) probes: [Probing; 3],
}

impl Run {
    pub(super) fn new(incarnation: Incarnation, now: Tick) -> Self {
        Self {
            incarnation,
            pid: None,
            forked_at: now,
            exec_at: None,
            fault: None,
            ready_at: None,
            was_ready: false,
            ended: None,
            timed_out: false,
            leaving: None,
            watchdog: None,
            probes: Default::default(),
        }
    }
}

/// How a process is being ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopping {
    pub(super) why: StopWhy,
    pub(super) phase: StopPhase,
    pub(super) began: Tick,
    /// Its main process had ended by itself before.
    pub(super) by_itself: bool,
}

/// Why a process is being ended; decides what comes after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopWhy {
    /// It is wanted down.
    Asked,
    /// It is to be started again at once.
    Restart(RestartReason),
    /// A cron run gives way to the next one.
    Replaced,
    /// Its start took too long.
    StartTimeout,
    /// Its liveness probe failed.
    Liveness,
    /// Its watchdog was not fed.
    Watchdog,
    /// Its main process ended by itself and left others behind.
    Survivors,
}

/// How far the ending has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopPhase {
    /// The stop command runs.
    Command,
    /// The signal was sent.
    Signalled,
    /// KILL was sent. `at_deadline`: by the shutdown deadline, not by its own timeout.
    Killed { at_deadline: bool },
}

/// One service at run time.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) desired: Desired,
    pub(super) state: State,
    pub(super) incarnation: Incarnation,
    /// Further runs of a cron service with `concurrencyPolicy: Allow`; at most [`MAX_SIDE_RUNS`].
    pub(super) side_runs: Vec<Run>,
    pub(super) record: Record,
    pub(super) tally: Tally,
    pub(super) last: Last,
    /// A cron run is due and waits for the previous one to be replaced.
    pub(super) run_due: bool,
}

/// The most runs of one cron service that live beside its newest.
pub const MAX_SIDE_RUNS: usize = 16;

/// What is remembered of earlier lives.
#[derive(Debug, Clone, Default)]
pub(super) struct Last {
    pub(super) exit: Option<(Ending, Tick)>,
    pub(super) ready_at: Option<Tick>,
    pub(super) start_took: Option<Duration>,
    pub(super) success_at: Option<Tick>,
    pub(super) conflict: Option<ServiceId>,
}

impl Service {
    pub(super) fn new() -> Self {
        Self {
            desired: Desired::Down,
            state: State::Idle,
            incarnation: Incarnation(0),
            side_runs: Vec::new(),
            record: Record::default(),
            tally: Tally::default(),
            last: Last::default(),
            run_due: false,
        }
    }

    /// Its process, while there is one.
    pub(super) fn run(&self) -> Option<&Run> {
        match &self.state {
            State::Live(run) | State::Stopping(run, _) => Some(run),
            _ => None,
        }
    }

    /// Its process, if it is the one that an event speaks of.
    pub(super) fn run_of(&mut self, incarnation: Incarnation) -> Option<&mut Run> {
        match &mut self.state {
            State::Live(run) | State::Stopping(run, _) if run.incarnation == incarnation => {
                Some(run)
            }
            _ => None,
        }
    }

    /// Whether anything of it lives.
    pub(super) fn is_active(&self) -> bool {
        matches!(self.state, State::Live(_) | State::Stopping(..))
    }

    /// Whether it is ready to be used now.
    pub(super) fn is_ready(&self) -> bool {
        matches!(&self.state, State::Live(run) if run.ready_at.is_some())
    }
}
