//! The end of the container: drain, reverse order, deadline, flush, exit. It always comes.

use std::time::Duration;

use super::action::{Action, Fact, ShutdownWhy};
use super::event::{Halt, Tick};
use super::outcome::Outcome;
use super::service::{Desired, StopWhy};
use super::timers::Key;
use super::{Core, Life};
use crate::core::ServiceId;

/// A second request to end within this time is the same one (a ^C that reaches the group, a retry).
const SAME_REQUEST: Duration = Duration::from_secs(1);
/// What a second request leaves of the deadline.
const HURRIED: Duration = Duration::from_secs(3);
/// The part of a hurried deadline that is kept for the last logs.
const HURRIED_FLUSH: Duration = Duration::from_secs(1);
/// After this share of the time, in percent, what still runs is signalled without regard to order.
const ORDERED_SHARE: u32 = 80;

/// How the container is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long the whole shutdown may take.
    pub deadline: Duration,
    /// How long `/readyz` says no before anything is stopped.
    pub drain_delay: Duration,
    /// The part of the deadline that is kept for the last logs.
    pub flush: Duration,
    /// `run -- CMD`: signals are handed on to the command, whose exit code is podvisor's.
    pub single: bool,
}

/// How a requested end stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    requested_at: Tick,
    requests: u32,
    kill_at: Tick,
    deadline: Tick,
}

impl Core {
    /// Somebody asks podvisor to end.
    pub(super) fn halt(&mut self, halt: Halt, now: Tick) {
        let Some(mut ending) = self.ending else {
            if halt == Halt::Quit {
                self.outcome.decide(Outcome::Quit);
            }
            self.shut_down(ShutdownWhy::Asked(halt), now);
            if let (Halt::Stop, Some(ending)) = (halt, &mut self.ending) {
                ending.requests = 1;
            }
            if halt == Halt::Quit {
                self.hurry(now);
                self.kill_everything(now);
            }
            return;
        };
        if self.single && halt == Halt::Stop {
            return;
        }
        if halt == Halt::Stop
            && ending.requests > 0
            && now.since(ending.requested_at) < SAME_REQUEST
        {
            return;
        }
        ending.requests += 1;
        ending.requested_at = now;
        self.ending = Some(ending);
        if ending.requests == 1 && halt == Halt::Stop {
            // podvisor was ending by itself; this is the first request.
            return;
        }
        self.report(Fact::ShutdownHurried { halt });
        self.end_drain();
        self.hurry(now);
        if halt == Halt::Quit {
            self.outcome.decide(Outcome::Quit);
        }
        if halt == Halt::Quit || ending.requests > 2 {
            self.kill_everything(now);
        }
    }

    /// The part of the deadline that is kept for the last logs: never more than half of it, for the services come
    /// first.
    fn flush_time(&self) -> Duration {
        self.settings.flush.min(self.settings.deadline / 2)
    }

    /// Begins the end, once.
    pub(super) fn shut_down(&mut self, why: ShutdownWhy, now: Tick) {
        if self.ending.is_some() {
            return;
        }
        let deadline = now.plus(self.settings.deadline);
        let for_services = self.settings.deadline - self.flush_time();
        let kill_at = now.plus(for_services);
        self.ending = Some(Ending {
            requested_at: now,
            requests: 0,
            kill_at,
            deadline,
        });
        self.report(Fact::ShutdownBegan { why });
        self.timers
            .set(Key::OrderCut, now.plus(for_services * ORDERED_SHARE / 100));
        self.timers.set(Key::KillAll, kill_at);
        self.timers.set(Key::Deadline, deadline);
        self.life = Life::Draining;
        for id in self.graph.ids() {
            if !self.services[id.index()].is_active() {
                self.want_down_only(id);
            }
        }
        let drains = matches!(why, ShutdownWhy::Asked(Halt::Stop));
        if drains && !self.settings.drain_delay.is_zero() {
            self.timers
                .set(Key::Drain, now.plus(self.settings.drain_delay));
        } else {
            self.end_drain();
        }
    }

    /// `drainDelay` is over: services are stopped, what nobody depends on first.
    pub(super) fn end_drain(&mut self) {
        if self.life != Life::Draining {
            return;
        }
        self.timers.cancel(Key::Drain);
        self.life = Life::Stopping;
        for id in self.graph.ids() {
            self.want_down_only(id);
        }
    }

    fn want_down_only(&mut self, id: ServiceId) {
        let service = &mut self.services[id.index()];
        let cron = self.graph.spec(id).kind == crate::config::model::ServiceKind::Cron;
        if service.desired == Desired::Up && cron {
            self.act(Action::Unschedule(id));
        }
        self.services[id.index()].desired = Desired::Down;
        self.mark(id);
    }

    /// A second request: no more order, three seconds at most.
    fn hurry(&mut self, now: Tick) {
        self.drop_order();
        let Some(ending) = &mut self.ending else {
            return;
        };
        ending.deadline = ending.deadline.min(now.plus(HURRIED));
        self.timers.set(Key::Deadline, ending.deadline);
        if self.life != Life::Flushing && ending.kill_at > now {
            ending.kill_at = ending.kill_at.min(now.plus(HURRIED - HURRIED_FLUSH));
            self.timers.set(Key::KillAll, ending.kill_at);
        }
    }

    /// Whatever still runs is signalled now.
    pub(super) fn drop_order(&mut self) {
        self.unordered = true;
        self.timers.cancel(Key::OrderCut);
        for id in self.graph.ids() {
            self.mark(id);
        }
    }

    /// Most of the time is over: no more drain, no more order, so that every service still hears its stop signal.
    pub(super) fn cut_order(&mut self) {
        self.end_drain();
        self.drop_order();
    }

    /// The services' time is over.
    pub(super) fn kill_everything(&mut self, now: Tick) {
        self.cut_order();
        self.timers.cancel(Key::KillAll);
        let left: Vec<ServiceId> = self
            .graph
            .ids()
            .filter(|id| self.services[id.index()].is_active())
            .collect();
        if left.is_empty() {
            return;
        }
        self.report(Fact::DeadlineReached { left: left.len() });
        for id in left {
            self.begin_stop(id, StopWhy::Asked, now);
            self.kill(id, true, now);
        }
    }

    /// Once nothing of any service lives: the last logs, then the end. Whether there is more to settle.
    pub(super) fn settle_shutdown(&mut self, now: Tick) -> bool {
        let active = || self.services.iter().any(super::service::Service::is_active);
        match self.life {
            // Nobody is left to be drained.
            Life::Draining if !active() => {
                self.end_drain();
                true
            }
            Life::Stopping if !active() => {
                self.flush(now);
                false
            }
            _ => false,
        }
    }

    fn flush(&mut self, now: Tick) {
        let until = now.plus(self.flush_time());
        let Some(ending) = &mut self.ending else {
            return;
        };
        ending.deadline = ending.deadline.min(until);
        let until = ending.deadline;
        self.life = Life::Flushing;
        for key in [Key::OrderCut, Key::KillAll] {
            self.timers.cancel(key);
        }
        self.timers.set(Key::Deadline, until);
        self.act(Action::Sweep);
        self.act(Action::Flush { until });
    }

    /// Whatever is left.
    pub(super) fn deadline(&mut self, now: Tick) {
        match self.life {
            Life::Flushing => self.exit(),
            Life::Over => {}
            _ => {
                // Killed two seconds ago or more, and still there: the kernel holds it.
                self.kill_everything(now);
                for id in self.graph.ids() {
                    let service = &self.services[id.index()];
                    if service.is_active() && self.graph.spec(id).required {
                        let failure = super::outcome::Failure::Killed;
                        self.outcome.decide(Outcome::Failed(id, failure));
                    }
                }
                self.act(Action::Sweep);
                self.exit();
            }
        }
    }

    pub(super) fn exit(&mut self) {
        if self.life != Life::Over {
            self.life = Life::Over;
            self.timers = super::timers::Timers::default();
            self.act(Action::Exit);
        }
    }
}
