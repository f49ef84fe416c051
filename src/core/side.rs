//! Further runs of a cron service with `concurrencyPolicy: Allow`: each lives and ends for itself.
//!
//! The newest run that is sound is the service's own [`Run`], the others stand beside it. When that one ends while
//! another is sound, they change places first, so that what ends is always a side run. A failed run is not tried
//! again while others live: the schedule's next one has its own chance.

use super::action::{Action, Fact, ShutdownWhy};
use super::event::{Ending, Incarnation, ServiceId, Tick};
use super::outcome::{Failure, Outcome};
use super::service::{Run, State, StopPhase, StopWhy, Stopping};
use super::stop::UNKILLABLE_AFTER;
use super::timers::Key;
use super::{Core, Life};
use crate::config::model::RestartPolicy;

/// How far a side run that is being ended has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaving {
    /// When podvisor goes one step further.
    at: Tick,
    killed: bool,
}

impl Run {
    /// Whether it lives and podvisor is not ending it. (What could not run its program ends by itself.)
    fn is_sound(&self) -> bool {
        self.ended.is_none() && self.leaving.is_none()
    }
}

impl Core {
    /// Starts a further run; the one that lives becomes a side run.
    pub(super) fn run_beside(&mut self, id: ServiceId, now: Tick) {
        let incarnation = self.next_incarnation(id);
        self.timers.cancel_run(id);
        let fresh = Box::new(Run::new(incarnation, now));
        let service = &mut self.services[id.index()];
        if let State::Live(older) = std::mem::replace(&mut service.state, State::Live(fresh)) {
            let older = *older;
            let incarnation = older.incarnation;
            service.side_runs.push(older);
            self.act(Action::CancelProbes {
                service: id,
                incarnation,
            });
        }
        self.limit_start(id, now);
        self.aim(id);
        self.mark(id);
        self.act(Action::Spawn {
            service: id,
            incarnation,
        });
    }

    /// The side run that an event speaks of.
    pub(super) fn side_of(&mut self, id: ServiceId, incarnation: Incarnation) -> Option<&mut Run> {
        let sides = &mut self.services[id.index()].side_runs;
        sides.iter_mut().find(|run| run.incarnation == incarnation)
    }

    /// The run of the service that is about to end changes places with a sound one.
    pub(super) fn step_aside(&mut self, id: ServiceId, incarnation: Incarnation) {
        let service = &mut self.services[id.index()];
        let Some(place) = service.side_runs.iter().rposition(Run::is_sound) else {
            return;
        };
        match &mut service.state {
            State::Live(run) if run.incarnation == incarnation => {
                std::mem::swap(&mut **run, &mut service.side_runs[place]);
            }
            _ => return,
        }
        self.timers.cancel_run(id);
        self.act(Action::CancelProbes {
            service: id,
            incarnation,
        });
        let forked_at = self.services[id.index()].run().map(|run| run.forked_at);
        self.limit_start(id, forked_at.unwrap_or_default());
        self.aim(id);
        self.mark(id);
    }

    /// A side run ended; whether it was one.
    pub(super) fn side_exited(
        &mut self,
        id: ServiceId,
        incarnation: Incarnation,
        ending: Ending,
        survivors: bool,
        now: Tick,
    ) -> bool {
        let alone = matches!(self.services[id.index()].state, State::Live(_));
        let Some(run) = self.side_of(id, incarnation) else {
            return false;
        };
        if run.ended.replace(ending).is_some() {
            self.stale(id);
            return true;
        }
        let ran = now.since(run.exec_at.unwrap_or(run.forked_at));
        let asked = !alone || run.leaving.is_some();
        if run.fault.is_none() {
            let service = &mut self.services[id.index()];
            service.last.exit = Some((ending, now));
            *service.tally.exits.entry(ending).or_default() += 1;
            self.report(Fact::Ended {
                service: id,
                ending,
                ran,
            });
        }
        if !survivors {
            self.side_over(id, incarnation, now);
        } else if !asked {
            self.report(Fact::Survivors { service: id });
            self.ask_to_leave(id, incarnation, true, now);
        }
        self.mark(id);
        true
    }

    /// Nothing of a side run is left.
    pub(super) fn side_over(&mut self, id: ServiceId, incarnation: Incarnation, now: Tick) {
        let sides = &mut self.services[id.index()].side_runs;
        let place = sides.iter().position(|run| run.incarnation == incarnation);
        if let Some(run) = place.map(|place| sides.swap_remove(place)) {
            let stopping = self.stopping(id);
            self.account(id, &run, stopping, now);
            self.aim(id);
            self.mark(id);
        }
    }

    /// The service's own run is over, and what is left beside it is being ended: the service goes on as that.
    pub(super) fn promote_side_run(&mut self, id: ServiceId, now: Tick) -> bool {
        let service = &mut self.services[id.index()];
        let Some(side) = service.side_runs.pop() else {
            return false;
        };
        let leaving = side.leaving;
        let (old, stopping) = match &mut service.state {
            State::Stopping(run, stopping) => {
                (std::mem::replace(&mut **run, side), Some(*stopping))
            }
            State::Live(run) => {
                let why = if side.ended.is_some() {
                    StopWhy::Survivors
                } else {
                    StopWhy::StartTimeout
                };
                let phase = match leaving {
                    Some(Leaving { killed: true, .. }) => StopPhase::Killed { at_deadline: false },
                    _ => StopPhase::Signalled,
                };
                let stopping = Stopping {
                    why,
                    phase,
                    began: now,
                    by_itself: side.ended.is_some(),
                };
                let old = std::mem::replace(&mut **run, side);
                let run = run.clone();
                service.state = State::Stopping(run, stopping);
                self.timers.cancel_run(id);
                if let Some(leaving) = leaving {
                    let key = if leaving.killed {
                        Key::Unkillable(id)
                    } else {
                        Key::StopTimeout(id)
                    };
                    self.timers.set(key, leaving.at);
                }
                (old, None)
            }
            _ => return false,
        };
        self.account(id, &old, stopping, now);
        self.mark(id);
        true
    }

    fn stopping(&self, id: ServiceId) -> Option<Stopping> {
        match self.services[id.index()].state {
            State::Stopping(_, stopping) => Some(stopping),
            _ => None,
        }
    }

    /// What a run came to that others of the service outlive.
    fn account(&mut self, id: ServiceId, run: &Run, stopping: Option<Stopping>, now: Tick) {
        if self.life != Life::Up {
            return self.judge_halting(id, run, stopping);
        }
        if stopping.is_some_and(|stopping| stopping.why != StopWhy::Survivors) {
            return;
        }
        let failure = match (&run.fault, run.ended) {
            (Some(fault), _) => Failure::Exec {
                code: fault.code,
                text: fault.text.clone(),
            },
            _ if run.timed_out => Failure::StartTimeout,
            (None, Some(Ending::Code(0))) => return self.count_success(id, run, now),
            (None, Some(ending)) => Failure::Ended(ending),
            (None, None) => return,
        };
        if !run.timed_out {
            self.services[id.index()].tally.starts_failed += 1;
        }
        let spec = self.graph.spec(id);
        let for_good = spec.policy == RestartPolicy::Never
            && run.fault.as_ref().is_none_or(|fault| fault.permanent);
        if spec.required && for_good {
            self.report(Fact::Failed {
                service: id,
                failure: failure.clone(),
            });
            self.outcome.decide(Outcome::Failed(id, failure));
            self.shut_down(ShutdownWhy::Failed(id), now);
        }
    }

    /// A side run is to end.
    fn ask_to_leave(&mut self, id: ServiceId, incarnation: Incarnation, whole: bool, now: Tick) {
        let spec = self.graph.spec(id);
        let (signal, at) = (spec.stop_signal, now.plus(spec.stop_timeout));
        if let Some(run) = self.side_of(id, incarnation) {
            run.leaving = Some(Leaving { at, killed: false });
        }
        self.act(Action::Kill {
            service: id,
            incarnation,
            signal,
            whole,
        });
        self.aim(id);
    }

    /// When something is to be done about a side run.
    fn side_deadline(&self, id: ServiceId, run: &Run) -> Option<Tick> {
        let limit = self.graph.spec(id).start_timeout;
        match run.leaving {
            Some(leaving) => Some(leaving.at).filter(|at| *at != Tick(u64::MAX)),
            None => limit.map(|limit| run.forked_at.plus(limit)),
        }
    }

    /// Sets the one deadline of all side runs. While all of the service is being ended, they have none of their own.
    fn aim(&mut self, id: ServiceId) {
        let service = &self.services[id.index()];
        let deadlines = service
            .side_runs
            .iter()
            .filter_map(|run| self.side_deadline(id, run));
        match deadlines.min() {
            Some(at) if matches!(service.state, State::Live(_)) => {
                self.timers.set(Key::SideRuns(id), at);
            }
            _ => self.timers.cancel(Key::SideRuns(id)),
        }
    }

    /// The deadline of the side runs has come.
    pub(super) fn side_runs_due(&mut self, id: ServiceId, now: Tick) {
        let sides = &self.services[id.index()].side_runs;
        let is_due = |run: &&Run| self.side_deadline(id, run).is_some_and(|at| at <= now);
        let due: Vec<_> = sides
            .iter()
            .filter(is_due)
            .map(|r| (r.incarnation, r.leaving))
            .collect();
        for (incarnation, leaving) in due {
            match leaving {
                None => self.side_timed_out(id, incarnation, now),
                Some(Leaving { killed: false, .. }) => {
                    self.report(Fact::Killing { service: id });
                    self.kill_side(id, incarnation, now);
                }
                Some(_) => self.side_unkillable(id, incarnation, now),
            }
        }
        self.aim(id);
        self.mark(id);
    }

    pub(super) fn side_timed_out(&mut self, id: ServiceId, incarnation: Incarnation, now: Tick) {
        self.services[id.index()].tally.starts_timeout += 1;
        if let Some(run) = self.side_of(id, incarnation) {
            run.timed_out = true;
        }
        self.report(Fact::StartTimedOut { service: id });
        self.ask_to_leave(id, incarnation, false, now);
    }

    fn kill_side(&mut self, id: ServiceId, incarnation: Incarnation, now: Tick) {
        if let Some(run) = self.side_of(id, incarnation) {
            let at = now.plus(UNKILLABLE_AFTER);
            run.leaving = Some(Leaving { at, killed: true });
        }
        self.act(Action::Kill {
            service: id,
            incarnation,
            signal: libc::SIGKILL,
            whole: true,
        });
    }

    fn side_unkillable(&mut self, id: ServiceId, incarnation: Incarnation, now: Tick) {
        self.report(Fact::Unkillable { service: id });
        let Some(run) = self.side_of(id, incarnation) else {
            return;
        };
        if run.ended.is_some() {
            self.side_over(id, incarnation, now);
        } else {
            let at = Tick(u64::MAX);
            run.leaving = Some(Leaving { at, killed: true });
        }
    }
}
