//! Starting: whose needs are met, who is started with whom, who gives way.

use super::action::{Action, Fact};
use super::event::{Incarnation, ServiceId, Tick};
use super::graph::Edge;
use super::outcome::Failure;
use super::service::{Desired, Run, State, StopWhy};
use super::tally::RestartReason;
use super::timers::Key;
use super::{Core, Life};
use crate::config::model::{ConcurrencyPolicy, Condition, ServiceKind};

/// How one dependency stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// It is as wanted.
    Met,
    /// It may yet be.
    Awaited,
    /// It will never be.
    Hopeless,
}

impl Core {
    /// Wants everything up that starts by itself.
    pub(super) fn boot(&mut self) {
        let mut order: Vec<ServiceId> = self
            .graph
            .ids()
            .filter(|id| self.graph.spec(*id).autostart)
            .collect();
        // Where two services conflict, the required one wins, else the first by name.
        order.sort_by_key(|id| !self.graph.spec(*id).required);
        for id in order {
            let winner = self.conflict_of(id);
            match winner {
                Some(with) => {
                    self.services[id.index()].last.conflict = Some(with);
                    self.report(Fact::ConflictLost { service: id, with });
                }
                None => self.want_up(id),
            }
        }
        for id in self.graph.ids() {
            let service = &mut self.services[id.index()];
            if service.desired == Desired::Down && matches!(service.state, State::Idle) {
                service.state = State::Stopped { by_request: false };
                self.mark(id);
            }
        }
    }

    fn conflict_of(&self, id: ServiceId) -> Option<ServiceId> {
        let conflicts = &self.graph.spec(id).conflicts;
        conflicts
            .iter()
            .copied()
            .find(|c| self.services[c.index()].desired == Desired::Up)
    }

    /// Wants a service up, and everything that it needs. Bounded by the number of services: each is entered once.
    pub(super) fn want_up(&mut self, id: ServiceId) {
        let mut todo = vec![id];
        while let Some(id) = todo.pop() {
            let service = &mut self.services[id.index()];
            if service.desired == Desired::Up {
                continue;
            }
            service.desired = Desired::Up;
            service.last.conflict = None;
            if self.graph.spec(id).kind == ServiceKind::Cron {
                self.act(Action::Schedule(id));
            }
            self.mark(id);
            todo.extend(
                self.graph
                    .spec(id)
                    .needs
                    .iter()
                    .filter(|e| e.required)
                    .map(|e| e.to),
            );
        }
    }

    /// Somebody asks for it by hand: forget what it did, make room, bring it up with all that it needs.
    pub(super) fn start_by_hand(&mut self, id: ServiceId) {
        let mut todo = vec![id];
        let mut seen = vec![false; self.graph.len()];
        let mut all = Vec::new();
        while let Some(next) = todo.pop() {
            if std::mem::replace(&mut seen[next.index()], true) {
                continue;
            }
            all.push(next);
            let needs = self.graph.spec(next).needs.iter();
            todo.extend(needs.filter(|e| e.required).map(|e| e.to));
        }
        for next in &all {
            if self.services[next.index()].desired == Desired::Down || *next == id {
                for other in self.graph.spec(*next).conflicts.clone() {
                    self.want_down(other);
                }
            }
        }
        for next in all {
            self.rouse(next, next == id);
        }
    }

    /// Gets a service out of whatever rest it is in. What was only needed and has done its work keeps its rest.
    fn rouse(&mut self, id: ServiceId, asked: bool) {
        let spec = self.graph.spec(id);
        let (ends, cron) = (spec.ends(), spec.kind == ServiceKind::Cron);
        let service = &mut self.services[id.index()];
        match &service.state {
            State::Backoff { reason, .. } => {
                service.state = State::Waiting {
                    reason: Some(*reason),
                };
                self.timers.cancel(Key::Backoff(id));
            }
            State::Failed(_) | State::Stopped { .. } => service.state = State::Idle,
            State::Completed if asked || !ends => service.state = State::Idle,
            _ => {}
        }
        // A schedule is started by starting its service, one run of it only by asking for it.
        service.run_due |= cron && asked && matches!(service.state, State::Idle);
        service.record.forget();
        self.want_up(id);
        self.mark(id);
    }

    /// One look at a service that is wanted up. Nothing is started once podvisor is asked to end.
    pub(super) fn settle_up(&mut self, id: ServiceId, now: Tick) {
        let service = &mut self.services[id.index()];
        match service.state {
            State::Idle | State::Stopped { .. } => {
                let cron = self.graph.spec(id).kind == ServiceKind::Cron;
                if !cron || service.run_due {
                    self.set_state(id, State::Waiting { reason: None });
                } else if matches!(service.state, State::Stopped { .. }) {
                    self.set_state(id, State::Idle);
                }
            }
            State::Waiting { reason } => self.try_start(id, reason, now),
            State::Live(_)
            | State::Stopping(..)
            | State::Backoff { .. }
            | State::Completed
            | State::Failed(_) => {}
        }
    }

    fn try_start(&mut self, id: ServiceId, reason: Option<RestartReason>, now: Tick) {
        let mut awaited = false;
        let mut lost = None;
        for edge in &self.graph.spec(id).needs {
            match self.need(edge) {
                Need::Met => {}
                Need::Awaited => awaited = true,
                Need::Hopeless if edge.required => lost = Some(edge.to),
                Need::Hopeless => {}
            }
        }
        if let Some(on) = lost {
            return self.fail(id, Failure::Dependency(on), now);
        }
        let crowded = self.graph.spec(id).conflicts.iter().any(|c| {
            let other = &self.services[c.index()];
            other.is_active() || matches!(other.state, State::Backoff { .. })
        });
        if !awaited && !crowded {
            self.spawn(id, reason, now);
        }
    }

    /// How one dependency stands now.
    pub(super) fn need(&self, edge: &Edge) -> Need {
        let target = &self.services[edge.to.index()];
        match (&target.state, edge.condition) {
            (State::Failed(_), _) => Need::Hopeless,
            (State::Completed, Condition::Started | Condition::Completed) => Need::Met,
            (State::Completed, Condition::Ready) => {
                if self.graph.spec(edge.to).ends() {
                    Need::Met
                } else {
                    Need::Hopeless
                }
            }
            (State::Live(run), Condition::Started) if run.exec_at.is_some() => Need::Met,
            (State::Live(run), Condition::Ready) if run.ready_at.is_some() => Need::Met,
            // A cron service is at work while it waits for its time.
            (State::Idle, Condition::Started | Condition::Ready)
                if target.desired == Desired::Up
                    && self.graph.spec(edge.to).kind == ServiceKind::Cron =>
            {
                Need::Met
            }
            // Wanted, not needed, and nobody is going to start it.
            (State::Stopped { .. }, _) if !edge.required && target.desired == Desired::Down => {
                Need::Met
            }
            _ => Need::Awaited,
        }
    }

    fn spawn(&mut self, id: ServiceId, reason: Option<RestartReason>, now: Tick) {
        let incarnation = self.next_incarnation(id);
        if let Some(reason) = reason {
            self.services[id.index()].tally.restarts[reason as usize] += 1;
        }
        self.limit_start(id, now);
        self.set_state(id, State::Live(Box::new(Run::new(incarnation, now))));
        self.act(Action::Spawn {
            service: id,
            incarnation,
        });
    }

    /// Its start may take so long, from then on.
    pub(super) fn limit_start(&mut self, id: ServiceId, from: Tick) {
        if let Some(limit) = self.graph.spec(id).start_timeout {
            self.timers.set(Key::StartTimeout(id), from.plus(limit));
        }
    }

    pub(super) fn next_incarnation(&mut self, id: ServiceId) -> Incarnation {
        let service = &mut self.services[id.index()];
        service.run_due = false;
        service.incarnation = Incarnation(service.incarnation.0 + 1);
        service.incarnation
    }

    /// The time of a cron service has come.
    pub(super) fn cron_due(&mut self, id: ServiceId, now: Tick) {
        let policy = self.graph.spec(id).concurrency;
        let mut needs = self.graph.spec(id).needs.iter();
        let fit = needs.all(|edge| !edge.required || self.need(edge) == Need::Met);
        let service = &mut self.services[id.index()];
        if service.desired == Desired::Down || self.life != Life::Up {
            return self.stale(id);
        }
        match (&service.state, policy) {
            (State::Idle | State::Stopped { .. } | State::Completed | State::Failed(_), _) => {
                service.run_due = true;
                service.state = State::Idle;
                self.mark(id);
            }
            (State::Live(_), ConcurrencyPolicy::Allow)
                if fit && service.side_runs.len() < super::MAX_SIDE_RUNS =>
            {
                self.run_beside(id, now);
            }
            (State::Live(_), ConcurrencyPolicy::Replace) => {
                self.stop(id, StopWhy::Replaced, None, now);
            }
            // The run that just ends gives way to the next one, too.
            (State::Stopping(..), ConcurrencyPolicy::Replace) => service.run_due = true,
            // What failed and would be tried again is tried now.
            (
                State::Backoff { reason, .. },
                ConcurrencyPolicy::Allow | ConcurrencyPolicy::Replace,
            ) => {
                let reason = Some(*reason);
                self.timers.cancel(Key::Backoff(id));
                self.set_state(id, State::Waiting { reason });
            }
            _ => {
                service.tally.cron_skipped += 1;
                self.mark(id);
                self.report(Fact::CronSkipped { service: id });
            }
        }
    }
}
