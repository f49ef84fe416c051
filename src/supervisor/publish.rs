//! The view: made from the core's snapshots after each turn, only of what changed.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::clock::Clock;
use crate::config::model::{RestartPolicy, ServiceKind};
use crate::core::{Core, Ending, Life, ServiceId, Snapshot};
use crate::view::{LastExit, LoopLag, Phase, ProbeView, ServiceView, Totals, View};

/// Makes and publishes the view.
pub(super) struct Publisher {
    to: Arc<ArcSwap<View>>,
    revisions: watch::Sender<u64>,
    next_runs: Vec<Option<i64>>,
    /// Each service's first start, and when it was ready then.
    firsts: Vec<(Option<f64>, Option<f64>)>,
    /// Services whose next run is news.
    rescheduled: Vec<ServiceId>,
    totals: Totals,
    changed: bool,
}

impl Publisher {
    pub(super) fn new(
        (to, revisions): (Arc<ArcSwap<View>>, watch::Sender<u64>),
        core: &Core,
        config_hash: String,
        lag: Arc<LoopLag>,
        started_at: f64,
    ) -> Self {
        let totals = Totals {
            loop_lag: lag,
            ..Totals::default()
        };
        let mut first = View::clone(&to.load());
        first.config_hash = Arc::from(config_hash);
        first.reloads.last_at = started_at;
        first.began_at = started_at;
        to.store(Arc::new(first));
        Self {
            to,
            revisions,
            next_runs: vec![None; core.graph().len()],
            firsts: vec![(None, None); core.graph().len()],
            rescheduled: Vec::new(),
            totals,
            changed: true,
        }
    }

    pub(super) fn view(&self) -> Arc<View> {
        self.to.load_full()
    }

    pub(super) fn count_signal(&mut self, number: i32) {
        match self
            .totals
            .signals
            .iter_mut()
            .find(|(known, _)| *known == number)
        {
            Some((_, count)) => *count += 1,
            None => self.totals.signals.push((number, 1)),
        }
        self.changed = true;
    }

    pub(super) fn count_reaped(&mut self, known: bool) {
        if known {
            self.totals.reaped_service += 1;
        } else {
            self.totals.reaped_orphan += 1;
        }
        self.changed = true;
    }

    pub(super) fn set_next_run(&mut self, service: ServiceId, at: i64) {
        self.next_runs[service.index()] = Some(at);
        self.rescheduled.push(service);
        self.changed = true;
    }

    /// Publishes what changed in this turn, if anything did.
    pub(super) fn publish(&mut self, core: &mut Core, clock: &mut Clock) {
        let mut changed = core.take_changed();
        changed.append(&mut self.rescheduled);
        if changed.is_empty() && !self.changed {
            return;
        }
        self.changed = false;
        let mut view = View::clone(&self.to.load());
        if view.services.len() == core.graph().len() {
            for id in changed {
                view.services[id.index()] = Arc::new(self.service(core, id, clock));
            }
        } else {
            let ids = core.graph().ids();
            view.services = ids
                .map(|id| Arc::new(self.service(core, id, clock)))
                .collect();
        }
        view.phase = phase(core);
        view.started = core.started().is_some();
        view.start_duration = core.started();
        view.start_durations = core.start_durations().clone();
        view.stop_durations = core.stop_durations().clone();
        view.totals = self.totals.clone();
        self.to.store(Arc::new(view));
        self.revisions.send_modify(|revision| *revision += 1);
    }

    fn service(&mut self, core: &Core, id: ServiceId, clock: &mut Clock) -> ServiceView {
        let spec = core.graph().spec(id);
        let now: Snapshot = core.snapshot(id);
        let mut wall = |tick| clock.wall(tick);
        let ready = now.ready_at.or(now.success_at).map(&mut wall);
        let first = &mut self.firsts[id.index()];
        first.0 = first.0.or(now.started_at.map(&mut wall));
        first.1 = first.1.or(ready);
        let first = *first;
        ServiceView {
            name: spec.name.clone(),
            kind: kind(spec.kind),
            restart_policy: policy(spec.policy),
            required: now.required,
            state: now.state,
            reason: Arc::from(now.reason),
            ready: now.ready,
            pid: now.pid,
            started_at: now.started_at.map(&mut wall),
            ready_at: now.ready_at.map(&mut wall),
            first,
            start_duration: now.start_took,
            last_exit: now.last_exit.map(|(ending, at)| match ending {
                Ending::Code(code) => LastExit {
                    code: Some(code),
                    signal: None,
                    at: wall(at),
                },
                Ending::Signal(signal) => LastExit {
                    code: None,
                    signal: Some(signal),
                    at: wall(at),
                },
            }),
            backoff: now.backoff,
            consecutive_failures: now.failures,
            blocked_on: now
                .waits_for
                .into_iter()
                .map(|(on, waits)| (core.graph().spec(on).name.clone(), waits))
                .collect(),
            probes: now
                .probes
                .into_iter()
                .map(|(kind, passing, consecutive_failures)| ProbeView {
                    kind,
                    passing,
                    consecutive_failures,
                })
                .collect(),
            tally: core.tally(id).clone(),
            next_run: self.next_runs[id.index()].map(|at| at as f64),
            last_success_at: now.success_at.map(&mut wall),
        }
    }
}

fn phase(core: &Core) -> Phase {
    match core.life() {
        Life::Up if core.started().is_some() => Phase::Running,
        Life::Up => Phase::Starting,
        Life::Draining => Phase::Draining,
        Life::Stopping | Life::Flushing | Life::Over => Phase::Stopping,
    }
}

fn kind(kind: ServiceKind) -> &'static str {
    match kind {
        ServiceKind::Daemon => "daemon",
        ServiceKind::Oneshot => "oneshot",
        ServiceKind::Cron => "cron",
    }
}

fn policy(policy: RestartPolicy) -> &'static str {
    match policy {
        RestartPolicy::Always => "Always",
        RestartPolicy::OnFailure => "OnFailure",
        RestartPolicy::Never => "Never",
    }
}
