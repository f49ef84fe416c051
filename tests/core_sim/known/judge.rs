//! What must hold: whether a failure may be one, what the exit code is, what is left after each event.

use std::time::Duration;

use podvisor::config::model::RestartPolicy;
use podvisor::core::{Core, Failure, Incarnation, Life, ServiceId, ServiceState, Tick};

use super::Known;

impl Known {
    /// A service failed for good: may it, and with what code?
    pub(super) fn failed(&mut self, id: ServiceId, failure: &Failure, now: Tick) {
        let spec = self.graph.spec(id).clone();
        let on = match failure {
            Failure::Dependency(on) => {
                self.services[on.index()].failed || {
                    // A daemon that completed will never be ready.
                    self.services[on.index()].completed
                }
            }
            _ => true,
        };
        let window = spec.restart.window.0;
        let seen = self.seen(id);
        let recent = seen.backoffs.iter().filter(|at| now.since(**at) <= window);
        let tried =
            recent.count() >= spec.restart.max_restarts as usize && spec.restart.max_restarts > 0;
        let may_not = spec.policy == RestartPolicy::Never || tried;
        let code = match failure {
            Failure::Ended(ending) => {
                assert_eq!(Some(*ending), seen.last_exit);
                assert!(may_not, "{} gave up too early", spec.name);
                ending.shell_code().max(1)
            }
            Failure::Exec { code, .. } => {
                let fault = seen.last_fault.clone().expect("a fault");
                assert_eq!(fault.code, *code);
                assert!(fault.permanent || tried, "{} gave up too early", spec.name);
                i32::from(*code)
            }
            Failure::StartTimeout => {
                assert!(seen.blame.is_some() && may_not);
                100
            }
            Failure::Liveness | Failure::Watchdog => {
                assert!(seen.blame.is_some() && may_not);
                102
            }
            Failure::Dependency(_) => {
                assert!(on, "{} blames what did not fail", spec.name);
                101
            }
            Failure::Killed => panic!("killed at no deadline"),
        };
        seen.failed = true;
        seen.completed = false;
        if spec.required {
            self.decide(code);
        }
    }

    /// What was killed is still there; podvisor goes on without what no process of its own is left of.
    pub(super) fn unkillable(&mut self, id: ServiceId, now: Tick) {
        let ending = self.ending.is_some();
        let seen = self.seen(id);
        let mut given_up: Vec<Incarnation> = Vec::new();
        for (incarnation, alive) in &seen.alive {
            let tried = alive
                .killed
                .is_some_and(|at| now.since(at) >= Duration::from_secs(2));
            if tried && (ending || alive.ended.is_some()) {
                given_up.push(*incarnation);
            }
        }
        for incarnation in given_up {
            self.over(id, incarnation, now);
        }
    }

    pub(super) fn exited(&mut self, core: &Core, now: Tick) {
        let (_, deadline) = self.ending.expect("an exit without an end");
        let left: Vec<ServiceId> = self
            .graph
            .ids()
            .filter(|id| !self.services[id.index()].alive.is_empty())
            .collect();
        assert!(
            left.is_empty() && self.flushing || now >= deadline,
            "too early an end: {left:?}"
        );
        if left.iter().any(|id| self.graph.spec(*id).required) {
            self.decide(137);
        }
        let code = core.outcome().code();
        assert_eq!(code, self.verdict.unwrap_or(0), "exit code");
        self.exit = Some((now, code));
    }

    /// After each event.
    pub fn settled(&mut self, core: &Core, now: Tick) {
        let bound = 100 + 40 * self.graph.len();
        assert!(self.wanted_this_time < bound, "too much at once");
        if self.exit.is_some() {
            assert_eq!(core.next_deadline(), None, "a deadline after the end");
            assert_eq!(core.life(), Life::Over);
            return;
        }
        if self.brief {
            return;
        }
        let anything = self.services.iter().any(|s| !s.alive.is_empty());
        if let Some((_, deadline)) = self.ending {
            assert!(now < deadline, "it lives past its deadline");
            assert!(anything || self.flushing, "nothing lives, and it waits");
        }
        let mut most = if self.ending.is_some() { 4 } else { 0 };
        for id in self.graph.ids() {
            let (state, seen) = (core.state(id), &self.services[id.index()]);
            let lives = matches!(
                state,
                ServiceState::Starting
                    | ServiceState::Running
                    | ServiceState::Ready
                    | ServiceState::Stopping
            );
            assert_eq!(lives, !seen.alive.is_empty(), "{id:?} {state:?} {seen:?}");
            most += match state {
                ServiceState::Backoff => 1,
                ServiceState::Stopping => 4,
                _ if lives => 8,
                _ => 0,
            };
            // What KILL did not end is left alone, until it ends by itself.
            let tried = seen.alive.values().any(|a| a.killed.is_some());
            let must_move = state == ServiceState::Backoff
                || state == ServiceState::Stopping && !tried && !self.settings.single;
            assert!(
                core.timers() > 0 || !must_move,
                "{id:?} is {state:?} and nothing will end that"
            );
            self.tallies(core, id);
        }
        assert!(core.timers() <= most, "a deadline of what rests");
        if let Some(next) = core.next_deadline() {
            assert!(next > now, "a deadline was left");
        }
    }

    fn tallies(&self, core: &Core, id: ServiceId) {
        let (tally, seen) = (core.tally(id), &self.services[id.index()]);
        assert_eq!(tally.exits, seen.exits, "{id:?} exits");
        let restarts: u64 = tally.restarts.iter().sum();
        assert!(restarts <= seen.spawns, "{id:?} restarts");
        let starts = tally.starts_ok + tally.starts_failed + tally.starts_timeout;
        assert!(starts <= seen.spawns, "{id:?} starts {tally:?}");
        let stops = tally.stops_graceful + tally.stops_killed;
        assert!(stops <= seen.spawns, "{id:?} stops");
    }
}
