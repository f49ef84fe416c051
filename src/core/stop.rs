//! Stopping one service: the command, the signal, KILL, until nothing of it is left.

use std::time::Duration;

use super::action::{Action, Fact};
use super::event::{Incarnation, ServiceId, Tick};
use super::service::{Desired, Run, State, StopPhase, StopWhy, Stopping};
use super::tally::RestartReason;
use super::timers::Key;
use super::{Core, Life};
use crate::config::model::ServiceKind;

/// How long what was killed may take to be gone. A process in uninterruptible sleep can take for ever.
pub(super) const UNKILLABLE_AFTER: Duration = Duration::from_secs(2);

impl Core {
    /// Wants a service down, and everything that needs it. Bounded: each service is entered once.
    pub(super) fn want_down(&mut self, id: ServiceId) {
        let mut todo = vec![id];
        while let Some(id) = todo.pop() {
            let service = &mut self.services[id.index()];
            if service.desired == Desired::Down && !service.is_active() {
                continue;
            }
            if service.desired == Desired::Up && self.graph.spec(id).kind == ServiceKind::Cron {
                self.act(Action::Unschedule(id));
            }
            self.services[id.index()].run_due = false;
            let again = std::mem::replace(&mut self.services[id.index()].desired, Desired::Down);
            self.mark(id);
            if again == Desired::Up {
                let graph = &self.graph;
                let needs_it = |d: &&ServiceId| {
                    graph
                        .spec(**d)
                        .needs
                        .iter()
                        .any(|e| e.to == id && e.required)
                };
                todo.extend(graph.dependents(id).iter().filter(needs_it));
            }
        }
    }

    /// Somebody asks to start it anew. What depends on it runs on.
    pub(super) fn restart_by_hand(&mut self, id: ServiceId, now: Tick) {
        self.start_by_hand(id);
        let why = StopWhy::Restart(RestartReason::Manual);
        match &mut self.services[id.index()].state {
            State::Stopping(_, stopping) => stopping.why = why,
            _ => self.stop(id, why, None, now),
        }
    }

    /// One look at a service that is wanted down.
    pub(super) fn settle_down(&mut self, id: ServiceId, now: Tick) {
        match self.services[id.index()].state {
            State::Live(_) => {
                if self.unordered || !self.has_active_dependents(id) {
                    self.stop(id, StopWhy::Asked, None, now);
                }
            }
            State::Waiting { .. } | State::Backoff { .. } => {
                self.timers.cancel_run(id);
                let by_request = self.life == Life::Up;
                self.set_state(id, State::Stopped { by_request });
            }
            State::Idle if self.life != Life::Up => {
                self.set_state(id, State::Stopped { by_request: false });
            }
            State::Idle => self.set_state(id, State::Stopped { by_request: true }),
            State::Stopping(..) | State::Stopped { .. } | State::Completed | State::Failed(_) => {}
        }
    }

    /// Whether something that depends on it is still being taken down.
    fn has_active_dependents(&self, id: ServiceId) -> bool {
        self.graph.dependents(id).iter().any(|d| {
            let service = &self.services[d.index()];
            service.is_active() && service.desired == Desired::Down
        })
    }

    /// Ends a live service. `grace` beats its `stop.timeout`; without any it is killed at once.
    pub(super) fn stop(&mut self, id: ServiceId, why: StopWhy, grace: Option<Duration>, now: Tick) {
        if !self.begin_stop(id, why, now) {
            return;
        }
        let spec = self.graph.spec(id);
        let (limit, has_command) = (grace.unwrap_or(spec.stop_timeout), spec.has_stop_command);
        if self.single && why == StopWhy::Asked {
            // The signal that asked podvisor to end was handed on to the command itself, and only the deadline
            // limits how long it may take.
            return;
        }
        if limit.is_zero() {
            return self.kill(id, false, now);
        }
        self.timers.set(Key::StopTimeout(id), now.plus(limit));
        let runs = |run: &Run| run.exec_at.is_some() && run.ended.is_none();
        let runs = self.services[id.index()].run().filter(|run| runs(run));
        let incarnation = runs.map(|run| run.incarnation);
        if let (true, Some(incarnation)) = (has_command, incarnation) {
            self.set_phase(id, StopPhase::Command);
            self.timers.set(Key::StopCommand(id), now.plus(limit / 2));
            self.act(Action::RunStopCommand {
                service: id,
                incarnation,
            });
        } else {
            self.signal(id, why == StopWhy::Survivors);
        }
    }

    /// A live service is to end from now on; whether it was one.
    pub(super) fn begin_stop(&mut self, id: ServiceId, why: StopWhy, now: Tick) -> bool {
        let service = &mut self.services[id.index()];
        let mut run = match std::mem::replace(&mut service.state, State::Idle) {
            State::Live(run) => run,
            other => {
                service.state = other;
                return false;
            }
        };
        let incarnation = run.incarnation;
        run.ready_at = None;
        let stopping = Stopping {
            why,
            phase: StopPhase::Signalled,
            began: now,
            by_itself: run.ended.is_some(),
        };
        service.state = State::Stopping(run, stopping);
        self.timers.cancel_run(id);
        self.mark(id);
        if why != StopWhy::Survivors {
            self.act(Action::CancelProbes {
                service: id,
                incarnation,
            });
            self.report(Fact::Stopping { service: id });
        }
        true
    }

    fn set_phase(&mut self, id: ServiceId, phase: StopPhase) {
        if let State::Stopping(_, stopping) = &mut self.services[id.index()].state {
            stopping.phase = phase;
        }
    }

    pub(super) fn signal(&mut self, id: ServiceId, whole: bool) {
        let signal = self.graph.spec(id).stop_signal;
        let service = &self.services[id.index()];
        let runs = service.run().into_iter().chain(&service.side_runs);
        let all: Vec<Incarnation> = runs.map(|run| run.incarnation).collect();
        for incarnation in all {
            self.act(Action::Kill {
                service: id,
                incarnation,
                signal,
                whole,
            });
        }
    }

    /// The stop command ended or had its time: the signal now.
    pub(super) fn stop_command_over(&mut self, id: ServiceId, incarnation: Incarnation) {
        let service = &mut self.services[id.index()];
        match &mut service.state {
            State::Stopping(run, stopping)
                if run.incarnation == incarnation && stopping.phase == StopPhase::Command =>
            {
                stopping.phase = StopPhase::Signalled;
                self.timers.cancel(Key::StopCommand(id));
                self.signal(id, false);
            }
            _ => self.stale(id),
        }
    }

    /// It did not follow in time.
    pub(super) fn stop_timed_out(&mut self, id: ServiceId, now: Tick) {
        self.report(Fact::Killing { service: id });
        self.kill(id, false, now);
    }

    /// KILL, to everything that is of the service.
    pub(super) fn kill(&mut self, id: ServiceId, at_deadline: bool, now: Tick) {
        let service = &mut self.services[id.index()];
        let State::Stopping(run, stopping) = &mut service.state else {
            return;
        };
        stopping.phase = StopPhase::Killed { at_deadline };
        let mut all = vec![run.incarnation];
        all.extend(service.side_runs.iter().map(|run| run.incarnation));
        self.mark(id);
        self.timers.cancel(Key::StopTimeout(id));
        self.timers.cancel(Key::StopCommand(id));
        self.timers
            .set(Key::Unkillable(id), now.plus(UNKILLABLE_AFTER));
        for (place, incarnation) in all.into_iter().enumerate() {
            if place == 0 {
                self.act(Action::CancelProbes {
                    service: id,
                    incarnation,
                });
            }
            let signal = libc::SIGKILL;
            self.act(Action::Kill {
                service: id,
                incarnation,
                signal,
                whole: true,
            });
        }
    }

    /// What was killed is still there. podvisor goes on without it, if only the rest of the service is left or it is
    /// ending itself.
    pub(super) fn unkillable(&mut self, id: ServiceId, now: Tick) {
        self.report(Fact::Unkillable { service: id });
        let halting = self.life != Life::Up;
        let service = &mut self.services[id.index()];
        service
            .side_runs
            .retain(|run| !halting && run.ended.is_none());
        if halting || service.run().is_some_and(|run| run.ended.is_some()) {
            self.conclude(id, now);
        }
    }

    /// Its start took too long.
    pub(super) fn start_timed_out(&mut self, id: ServiceId, grace: Option<Duration>, now: Tick) {
        let Some(incarnation) = self.live(id).map(|run| run.incarnation) else {
            return;
        };
        self.step_aside(id, incarnation);
        if self.side_of(id, incarnation).is_some() {
            return self.side_timed_out(id, incarnation, now);
        }
        self.services[id.index()].tally.starts_timeout += 1;
        if let Some(run) = self.live(id) {
            run.timed_out = true;
        }
        self.report(Fact::StartTimedOut { service: id });
        self.stop(id, StopWhy::StartTimeout, grace, now);
    }
}
