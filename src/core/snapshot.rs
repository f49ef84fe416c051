//! What the core tells about itself: read by the driver, which publishes it.

use std::time::Duration;

use super::event::{Ending, ServiceId, Tick};
use super::outcome::{Failure, Outcome};
use super::service::{Desired, State};
use super::start::Need;
use super::tally::{Histogram, ProbeKind, Tally};
use super::{Core, Graph, Incarnation, Life, ServiceState};

/// One service at one moment, in monotonic time.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its state.
    pub state: ServiceState,
    /// Why, if there is something to say.
    pub reason: String,
    /// Whether it counts as ready (what ends by itself: done).
    pub ready: bool,
    /// Whether `/readyz` waits for it.
    pub required: bool,
    /// Its main process.
    pub pid: Option<i32>,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// When that began.
    pub started_at: Option<Tick>,
    /// When it was last ready.
    pub ready_at: Option<Tick>,
    /// How long the last start took.
    pub start_took: Option<Duration>,
    /// The last exit.
    pub last_exit: Option<(Ending, Tick)>,
    /// The restart delay that it waits for.
    pub backoff: Duration,
    /// Failures since it was last stable.
    pub failures: u32,
    /// Its dependencies, and whether it waits for each.
    pub waits_for: Vec<(ServiceId, bool)>,
    /// Its probes: verdict and failures in a row.
    pub probes: Vec<(ProbeKind, Option<bool>, u32)>,
    /// When it last completed.
    pub success_at: Option<Tick>,
}

impl Core {
    /// The graph that the core runs.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Where podvisor as a whole is.
    pub fn life(&self) -> Life {
        self.life
    }

    /// What decides the exit code.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// When all required services had been ready once, and how long that took.
    pub fn started(&self) -> Option<Duration> {
        self.started_at.map(|at| at.since(self.born))
    }

    /// How long starts took.
    pub fn start_durations(&self) -> &Histogram {
        &self.start_durations
    }

    /// How long stops took.
    pub fn stop_durations(&self) -> &Histogram {
        &self.stop_durations
    }

    /// What was counted about a service.
    pub fn tally(&self, id: ServiceId) -> &Tally {
        &self.services[id.index()].tally
    }

    /// How many deadlines run.
    pub fn timers(&self) -> usize {
        self.timers.len()
    }

    /// The services that may have changed since this was last asked.
    pub fn take_changed(&mut self) -> Vec<ServiceId> {
        let graph = &self.graph;
        let changed = &mut self.changed;
        graph
            .ids()
            .filter(|id| std::mem::take(&mut changed[id.index()]))
            .collect()
    }

    /// One service now.
    pub fn snapshot(&self, id: ServiceId) -> Snapshot {
        let service = &self.services[id.index()];
        let run = service.run();
        let waiting = matches!(service.state, State::Waiting { .. });
        let needs = &self.graph.spec(id).needs;
        Snapshot {
            state: self.state(id),
            reason: self.reason(id),
            ready: self.is_satisfied(id),
            required: self.is_required(id),
            pid: run
                .filter(|run| run.ended.is_none())
                .and_then(|run| run.pid),
            incarnation: service.incarnation,
            started_at: run.map(|run| run.forked_at),
            ready_at: service.last.ready_at,
            start_took: service.last.start_took,
            last_exit: service.last.exit,
            backoff: match service.state {
                State::Backoff { delay, .. } => delay,
                _ => Duration::ZERO,
            },
            failures: service.record.failures(),
            waits_for: needs
                .iter()
                .map(|edge| (edge.to, waiting && self.need(edge) == Need::Awaited))
                .collect(),
            probes: ProbeKind::ALL
                .into_iter()
                .filter(|kind| self.graph.spec(id).probe(*kind).is_some())
                .map(|kind| match run.map(|run| &run.probes[kind as usize]) {
                    Some(probing) => (kind, probing.passing, probing.failures),
                    None => (kind, None, 0),
                })
                .collect(),
            success_at: service.last.success_at,
        }
    }

    /// The state, by the name that the world knows.
    pub fn state(&self, id: ServiceId) -> ServiceState {
        let service = &self.services[id.index()];
        match &service.state {
            State::Idle => ServiceState::Pending,
            State::Waiting { .. } => ServiceState::Blocked,
            State::Live(run) if run.exec_at.is_none() => ServiceState::Starting,
            State::Live(run) if run.ready_at.is_none() => ServiceState::Running,
            State::Live(_) => ServiceState::Ready,
            State::Stopping(..) => ServiceState::Stopping,
            State::Backoff { .. } => ServiceState::Backoff,
            State::Stopped { .. } => ServiceState::Stopped,
            State::Completed => ServiceState::Completed,
            State::Failed(_) => ServiceState::Failed,
        }
    }

    fn name(&self, id: ServiceId) -> &str {
        &self.graph.spec(id).name
    }

    fn reason(&self, id: ServiceId) -> String {
        let service = &self.services[id.index()];
        match &service.state {
            State::Waiting { .. } => self.waiting_reason(id),
            State::Live(run) if run.exec_at.is_some() && run.ready_at.is_none() => {
                let failing = ProbeKind::ALL.into_iter().take(2).find(|kind| {
                    let passing = run.probes[*kind as usize].passing;
                    self.graph.spec(id).probe(*kind).is_some() && passing != Some(true)
                });
                failing
                    .map(|kind| format!("{} probe", kind.name()))
                    .unwrap_or_default()
            }
            State::Backoff { reason, .. } => match service.last.exit {
                Some((ending, _)) => ending.to_string(),
                None => reason.name().to_owned(),
            },
            State::Stopped { by_request: true } => "by request".to_owned(),
            State::Stopped { by_request: false } => match service.last.conflict {
                Some(with) => format!("conflicts with {}", self.name(with)),
                None => String::new(),
            },
            State::Failed(failure) => self.failure_text(failure),
            _ => String::new(),
        }
    }

    fn waiting_reason(&self, id: ServiceId) -> String {
        let spec = self.graph.spec(id);
        let awaited = spec
            .needs
            .iter()
            .find(|edge| self.need(edge) == Need::Awaited);
        if let Some(edge) = awaited {
            return format!("waits for {}", self.name(edge.to));
        }
        let in_the_way = spec.conflicts.iter().find(|c| {
            let other = &self.services[c.index()];
            other.is_active() || other.desired == Desired::Up
        });
        in_the_way
            .map(|c| format!("conflicts with {}", self.name(*c)))
            .unwrap_or_default()
    }

    /// A failure in words.
    pub fn failure_text(&self, failure: &Failure) -> String {
        match failure {
            Failure::Ended(ending) => ending.to_string(),
            Failure::Exec { text, .. } => text.clone(),
            Failure::StartTimeout => "not ready in time".to_owned(),
            Failure::Dependency(on) => format!("dependency {} failed", self.name(*on)),
            Failure::Liveness => "liveness probe".to_owned(),
            Failure::Watchdog => "watchdog".to_owned(),
            Failure::Killed => "killed at the shutdown deadline".to_owned(),
        }
    }
}
