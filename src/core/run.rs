//! What a process does by itself: it starts, it ends, and what follows from its end.

use super::action::{Action, Fact, ShutdownWhy};
use super::event::{Ending, ExecFault, Incarnation, ServiceId, Tick};
use super::outcome::{Failure, Outcome};
use super::service::{Desired, Run, State, StopPhase, StopWhy, Stopping};
use super::tally::RestartReason;
use super::timers::Key;
use super::{Core, Life};
use crate::config::model::{OnSuccess, RestartPolicy, ServiceKind};

impl Core {
    /// The process was made.
    pub(super) fn forked(&mut self, id: ServiceId, incarnation: Incarnation, pid: i32) {
        if let Some(run) = self.services[id.index()].run_of(incarnation) {
            run.pid = Some(pid);
            self.mark(id);
        } else if let Some(run) = self.side_of(id, incarnation) {
            run.pid = Some(pid);
        } else {
            self.stale(id);
        }
    }

    /// The kernel killed its main process for want of memory.
    pub(super) fn out_of_memory(&mut self, id: ServiceId, incarnation: Incarnation) {
        if self.services[id.index()].run_of(incarnation).is_none()
            && self.side_of(id, incarnation).is_none()
        {
            return self.stale(id);
        }
        self.services[id.index()].tally.oom_kills += 1;
        self.mark(id);
        self.report(Fact::OutOfMemory { service: id });
    }

    /// Its program runs.
    pub(super) fn exec_ok(&mut self, id: ServiceId, incarnation: Incarnation, now: Tick) {
        let stopping = matches!(self.services[id.index()].state, State::Stopping(..));
        if let Some(run) = self.side_of(id, incarnation) {
            run.exec_at = Some(now);
            let pid = run.pid.unwrap_or_default();
            return self.report(Fact::Started { service: id, pid });
        }
        let Some(run) = self.services[id.index()].run_of(incarnation) else {
            return self.stale(id);
        };
        run.exec_at = Some(now);
        let pid = run.pid.unwrap_or_default();
        self.mark(id);
        if !stopping {
            self.report(Fact::Started { service: id, pid });
            self.begin_probes(id, now);
        }
    }

    /// There is no process, or it could not run its program and will end.
    pub(super) fn exec_failed(
        &mut self,
        id: ServiceId,
        incarnation: Incarnation,
        fault: ExecFault,
        now: Tick,
    ) {
        self.step_aside(id, incarnation);
        if let Some(run) = self.side_of(id, incarnation) {
            run.fault = Some(fault.clone());
            let no_process = run.pid.is_none();
            self.report(Fact::ExecFailed { service: id, fault });
            if no_process {
                self.side_over(id, incarnation, now);
            }
            return;
        }
        let Some(run) = self.services[id.index()].run_of(incarnation) else {
            return self.stale(id);
        };
        run.fault = Some(fault.clone());
        let no_process = run.pid.is_none();
        self.report(Fact::ExecFailed { service: id, fault });
        if no_process {
            self.conclude(id, now);
        }
    }

    /// The main process ended.
    pub(super) fn exited(
        &mut self,
        id: ServiceId,
        incarnation: Incarnation,
        ending: Ending,
        survivors: bool,
        now: Tick,
    ) {
        self.step_aside(id, incarnation);
        if self.side_exited(id, incarnation, ending, survivors, now) {
            return;
        }
        let service = &mut self.services[id.index()];
        let Some(run) = service
            .run_of(incarnation)
            .filter(|run| run.ended.is_none())
        else {
            return self.stale(id);
        };
        run.ended = Some(ending);
        run.ready_at = None;
        let ran = now.since(run.exec_at.unwrap_or(run.forked_at));
        let fault = run.fault.is_some();
        let phase = match &service.state {
            State::Stopping(_, stopping) => Some(stopping.phase),
            _ => None,
        };
        let (stopping, command) = (phase.is_some(), phase == Some(StopPhase::Command));
        if !fault {
            service.last.exit = Some((ending, now));
            *service.tally.exits.entry(ending).or_default() += 1;
        }
        self.timers.cancel_probes(id);
        self.mark(id);
        if command || (!stopping && !fault) {
            self.act(Action::CancelProbes {
                service: id,
                incarnation,
            });
        }
        if !stopping && !fault {
            self.report(Fact::Ended {
                service: id,
                ending,
                ran,
            });
        }
        if !survivors {
            return self.conclude(id, now);
        }
        if !stopping {
            self.report(Fact::Survivors { service: id });
            self.stop(id, StopWhy::Survivors, None, now);
        } else if self.single && phase == Some(StopPhase::Signalled) {
            // The command itself was given all the time there is; what it left behind is not.
            let timeout = self.graph.spec(id).stop_timeout;
            self.timers.set(Key::StopTimeout(id), now.plus(timeout));
            self.signal(id, true);
        }
    }

    /// Nothing of it lives any more.
    pub(super) fn gone(&mut self, id: ServiceId, incarnation: Incarnation, now: Tick) {
        match self.side_of(id, incarnation).map(|run| run.ended) {
            Some(Some(_)) => return self.side_over(id, incarnation, now),
            Some(None) => return self.stale(id),
            None => {}
        }
        match self.services[id.index()].run_of(incarnation) {
            Some(run) if run.ended.is_some() => self.conclude(id, now),
            _ => self.stale(id),
        }
    }

    /// Nothing of this life is left: what comes next?
    pub(super) fn conclude(&mut self, id: ServiceId, now: Tick) {
        if self.promote_side_run(id, now) {
            return;
        }
        self.timers.cancel_run(id);
        let service = &mut self.services[id.index()];
        let (run, stopping) = match std::mem::replace(&mut service.state, State::Idle) {
            State::Live(run) => (run, None),
            State::Stopping(run, stopping) => (run, Some(stopping)),
            other => {
                service.state = other;
                return self.stale(id);
            }
        };
        self.mark(id);
        if let Some(stopping) = stopping {
            let killed = matches!(stopping.phase, StopPhase::Killed { .. });
            let took = now.since(stopping.began);
            let tally = &mut self.services[id.index()].tally;
            if killed {
                tally.stops_killed += 1
            } else {
                tally.stops_graceful += 1
            }
            self.stop_durations.observe(took);
            self.report(Fact::Stopped {
                service: id,
                took,
                killed,
                ending: run.ended,
            });
        }
        if self.life != Life::Up {
            return self.conclude_halting(id, &run, stopping);
        }
        let by_itself = stopping.is_none_or(|stopping| stopping.why == StopWhy::Survivors);
        let done = by_itself && self.did_its_work(id, &run);
        if self.services[id.index()].desired == Desired::Down && !done {
            // Somebody asked for it not to run: however it ended, that is no failure of the container.
            return self.set_state(id, State::Stopped { by_request: true });
        }
        if let Some(fault) = run.fault {
            self.services[id.index()].tally.starts_failed += u64::from(!run.timed_out);
            return self.conclude_exec(id, fault, now);
        }
        match stopping.map(|stopping| stopping.why) {
            Some(StopWhy::Asked) if self.services[id.index()].desired == Desired::Up => {
                // Started again while it was being stopped.
                let reason = Some(RestartReason::Manual);
                self.set_state(id, State::Waiting { reason });
            }
            Some(StopWhy::Restart(reason)) => {
                self.set_state(
                    id,
                    State::Waiting {
                        reason: Some(reason),
                    },
                );
            }
            Some(StopWhy::Replaced) => self.set_state(id, State::Waiting { reason: None }),
            Some(StopWhy::StartTimeout) => {
                self.retry(id, &run, RestartReason::Exit, Failure::StartTimeout, now);
            }
            Some(StopWhy::Liveness) => {
                self.retry(id, &run, RestartReason::Liveness, Failure::Liveness, now);
            }
            Some(StopWhy::Watchdog) => {
                self.retry(id, &run, RestartReason::Watchdog, Failure::Watchdog, now);
            }
            Some(StopWhy::Survivors | StopWhy::Asked) | None => {
                self.conclude_natural(id, &run, now)
            }
        }
    }

    /// Whether it is something that ends, and has done what it is for.
    fn did_its_work(&self, id: ServiceId, run: &Run) -> bool {
        self.graph.spec(id).ends() && run.ended == Some(Ending::Code(0))
    }

    /// It ended by itself.
    fn conclude_natural(&mut self, id: ServiceId, run: &Run, now: Tick) {
        let ending = run.ended.unwrap_or(Ending::Signal(libc::SIGKILL));
        let spec = self.graph.spec(id);
        let (kind, policy) = (spec.kind, spec.policy);
        let done = ending == Ending::Code(0);
        if done && (kind != ServiceKind::Daemon || policy != RestartPolicy::Always) {
            return self.complete(id, run, now);
        }
        let reason = match ending {
            Ending::Code(_) => RestartReason::Exit,
            Ending::Signal(_) => RestartReason::Signal,
        };
        self.retry(id, run, reason, Failure::Ended(ending), now);
    }

    fn complete(&mut self, id: ServiceId, run: &Run, now: Tick) {
        let kind = self.graph.spec(id).kind;
        self.count_success(id, run, now);
        if kind == ServiceKind::Cron {
            return self.set_state(id, State::Idle);
        }
        self.set_state(id, State::Completed);
        if self.graph.spec(id).on_success == OnSuccess::Shutdown {
            self.outcome.decide(Outcome::Succeeded(id));
            self.shut_down(ShutdownWhy::Succeeded(id), now);
        }
    }

    /// A run did its work.
    pub(super) fn count_success(&mut self, id: ServiceId, run: &Run, now: Tick) {
        let took = now.since(run.forked_at);
        let kind = self.graph.spec(id).kind;
        let service = &mut self.services[id.index()];
        service.last.success_at = Some(now);
        service.record.forget();
        if kind != ServiceKind::Daemon {
            service.last.start_took = Some(took);
            service.tally.starts_ok += 1;
            self.start_durations.observe(took);
        } else if !run.was_ready {
            service.tally.starts_ok += 1;
        }
        self.report(Fact::Completed { service: id, took });
    }

    /// It failed: again after a delay, or for good.
    fn retry(
        &mut self,
        id: ServiceId,
        run: &Run,
        reason: RestartReason,
        failure: Failure,
        now: Tick,
    ) {
        let spec = self.graph.spec(id);
        let (kind, policy, rules) = (spec.kind, spec.policy, spec.restart.clone());
        let service = &mut self.services[id.index()];
        if !run.was_ready && !run.timed_out {
            service.tally.starts_failed += 1;
        }
        if let Some(exec_at) = run.exec_at {
            service.record.ran(now.since(exec_at), &rules);
        }
        if policy == RestartPolicy::Never {
            if kind == ServiceKind::Cron && !self.graph.spec(id).required {
                // This run failed; the next one has its own chance.
                return self.set_state(id, State::Idle);
            }
            return self.fail(id, failure, now);
        }
        self.back_off(id, reason, failure, now);
    }

    /// Its program never ran.
    fn conclude_exec(&mut self, id: ServiceId, fault: ExecFault, now: Tick) {
        let failure = Failure::Exec {
            code: fault.code,
            text: fault.text,
        };
        if fault.permanent {
            return self.fail(id, failure, now);
        }
        // Out of processes or memory for the moment: worth another try, whatever the restart policy.
        self.back_off(id, RestartReason::Exit, failure, now);
    }

    fn back_off(&mut self, id: ServiceId, reason: RestartReason, failure: Failure, now: Tick) {
        let spread = self.random.f64() * 2.0 - 1.0;
        let rules = self.graph.spec(id).restart.clone();
        let service = &mut self.services[id.index()];
        let Some(delay) = service.record.next(now, &rules, spread) else {
            return self.fail(id, failure, now);
        };
        let failures = service.record.failures();
        self.report(Fact::Backoff {
            service: id,
            reason,
            delay,
            failures,
        });
        self.timers.set(Key::Backoff(id), now.plus(delay));
        self.set_state(id, State::Backoff { reason, delay });
    }

    /// It failed for good. The container goes with it, if it needs it.
    pub(super) fn fail(&mut self, id: ServiceId, failure: Failure, now: Tick) {
        self.timers.cancel_run(id);
        self.report(Fact::Failed {
            service: id,
            failure: failure.clone(),
        });
        self.set_state(id, State::Failed(failure.clone()));
        if self.graph.spec(id).required {
            self.outcome.decide(Outcome::Failed(id, failure));
            self.shut_down(ShutdownWhy::Failed(id), now);
        }
    }

    /// It ended while podvisor is ending: cleanly?
    fn conclude_halting(&mut self, id: ServiceId, run: &Run, stopping: Option<Stopping>) {
        let next = if self.did_its_work(id, run) {
            State::Completed
        } else {
            State::Stopped { by_request: false }
        };
        self.set_state(id, next);
        self.judge_halting(id, run, stopping);
    }

    /// Whether a run's end in a shutdown decides the exit code.
    pub(super) fn judge_halting(&mut self, id: ServiceId, run: &Run, stopping: Option<Stopping>) {
        let spec = self.graph.spec(id);
        let (signal, required) = (spec.stop_signal, spec.required);
        let done = run.ended == Some(Ending::Code(0));
        let asked = stopping.is_some_and(|stopping| !stopping.by_itself);
        let by_deadline =
            stopping.is_some_and(|s| s.phase == StopPhase::Killed { at_deadline: true });
        let clean = done
            || (asked
                && (run.ended == Some(Ending::Signal(signal))
                    || run.ended == Some(Ending::Code(128 + signal))));
        if !required {
            return;
        }
        let failure = match (&run.fault, run.ended) {
            (None, Some(_)) if self.single && done => return,
            (None, Some(ending)) if self.single => Failure::Ended(ending),
            _ if by_deadline => Failure::Killed,
            _ if clean => return,
            (Some(fault), _) if fault.permanent => Failure::Exec {
                code: fault.code,
                text: fault.text.clone(),
            },
            // It would have been tried again.
            (Some(_), _) => return,
            (None, Some(ending)) => Failure::Ended(ending),
            (None, None) => Failure::Killed,
        };
        self.outcome.decide(Outcome::Failed(id, failure));
    }
}
