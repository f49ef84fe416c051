//! How podvisor as a whole is: started once, done, and what `/readyz` waits for.

use super::action::{Fact, ShutdownWhy};
use super::event::{ServiceId, Tick};
use super::service::{Desired, Service, State};
use super::{Core, Life};
use crate::config::model::ServiceKind;

impl Core {
    /// All required services ready at once, for the first time?
    pub(super) fn judge_started(&mut self, now: Tick) {
        if self.started_at.is_some() || self.life != Life::Up {
            return;
        }
        if self
            .graph
            .ids()
            .all(|id| !self.is_required(id) || self.is_satisfied(id))
        {
            self.started_at = Some(now);
            self.report(Fact::Up {
                took: now.since(self.born),
            });
        }
    }

    /// Nothing runs, nothing will: the container has done its work. Where nothing was to start by itself, there was
    /// no work yet, and podvisor waits to be asked.
    pub(super) fn judge_done(&mut self, now: Tick) {
        let worked =
            |service: &Service| matches!(service.state, State::Completed | State::Failed(_));
        let rests = |service: &Service| match &service.state {
            State::Completed | State::Failed(_) => true,
            State::Stopped { by_request } => !by_request,
            _ => false,
        };
        let services = &self.services;
        if self.life == Life::Up && services.iter().all(rests) && services.iter().any(worked) {
            self.shut_down(ShutdownWhy::AllDone, now);
            self.settle(now);
        }
    }

    /// Whether `/readyz` waits for it: required, and somebody wants it up.
    pub(super) fn is_required(&self, id: ServiceId) -> bool {
        let service = &self.services[id.index()];
        let out_of_use = matches!(service.state, State::Stopped { by_request: false });
        self.graph.spec(id).required && !(out_of_use && self.life == Life::Up)
    }

    /// Whether it is as a user of the container needs it: ready, or for what ends by itself, done.
    pub(super) fn is_satisfied(&self, id: ServiceId) -> bool {
        let service = &self.services[id.index()];
        match &service.state {
            State::Completed => self.graph.spec(id).ends(),
            State::Idle => {
                let cron = self.graph.spec(id).kind == ServiceKind::Cron;
                cron && service.desired == Desired::Up
            }
            State::Live(_) if self.graph.spec(id).kind == ServiceKind::Cron => true,
            _ => service.is_ready(),
        }
    }
}
