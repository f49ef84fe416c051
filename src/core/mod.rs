//! The pure core: events in, actions out, no clock and no I/O.
//!
//! [`Core::handle`] takes one event and the time, changes the state, and says what is to be done.
//! [`Core::next_deadline`] says when it wants to be called again, whatever happens. There is nothing else: no
//! thread, no descriptor, no clock, no randomness but a seed. The same events at the same times give the same
//! actions.
//!
//! The state of one service is described in `service.rs`, the end of the container in `shutdown.rs`.

mod action;
mod event;
mod graph;
mod health;
mod outcome;
mod probe;
mod restart;
mod run;
mod service;
mod shutdown;
mod side;
mod snapshot;
mod start;
mod state;
mod stop;
mod tally;
mod timers;

use std::collections::VecDeque;
use std::time::Duration;

pub use action::{Action, Fact, ShutdownWhy};
pub use event::{
    Ending, Event, ExecFault, Halt, Incarnation, Notice, ProbeOutcome, Request, ServiceId, Tick,
};
pub use graph::{Edge, Graph, GraphError, ProbeSpec, Source, Spec};
pub use outcome::{Failure, Outcome};
pub use service::MAX_SIDE_RUNS;
pub use shutdown::Settings;
pub use snapshot::Snapshot;
pub use state::ServiceState;
pub use tally::{
    DURATION_BUCKETS, Histogram, MAX_EXIT_KINDS, ProbeKind, ProbeTally, RestartReason, Tally,
};

use service::{Desired, Run, Service, State};
use timers::{Key, Timers};

/// A deadline that is noticed this late was missed by podvisor itself (SIGSTOP, a frozen cgroup), not by a service.
const FROZEN: Duration = Duration::from_secs(5);
/// After that, such a deadline gets this much more.
const RECHECK: Duration = Duration::from_secs(1);

/// Where podvisor as a whole is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Services are started and kept up.
    Up,
    /// Asked to end; nothing is started any more, nothing is stopped yet.
    Draining,
    /// Services are being stopped.
    Stopping,
    /// None lives; the last logs are written.
    Flushing,
    /// `Exit` was said.
    Over,
}

/// The state of everything.
pub struct Core {
    graph: Graph,
    settings: Settings,
    single: bool,
    services: Vec<Service>,
    timers: Timers,
    random: fastrand::Rng,
    life: Life,
    ending: Option<shutdown::Ending>,
    /// The order of the shutdown was given up.
    unordered: bool,
    outcome: Outcome,
    born: Tick,
    started_at: Option<Tick>,
    start_durations: Histogram,
    stop_durations: Histogram,
    /// Services to look at.
    touched: VecDeque<ServiceId>,
    is_touched: Vec<bool>,
    /// Services whose snapshot may have changed since it was last taken.
    changed: Vec<bool>,
    actions: Vec<Action>,
}

impl Core {
    /// A core in which nothing runs yet. The same seed gives the same jitter.
    pub fn new(graph: Graph, settings: Settings, seed: u64, now: Tick) -> Self {
        let count = graph.len();
        Self {
            services: (0..count).map(|_| Service::new()).collect(),
            is_touched: vec![false; count],
            changed: vec![true; count],
            touched: VecDeque::new(),
            graph,
            settings,
            single: settings.single,
            timers: Timers::default(),
            random: fastrand::Rng::with_seed(seed),
            life: Life::Up,
            ending: None,
            unordered: false,
            outcome: Outcome::default(),
            born: now,
            started_at: None,
            start_durations: Histogram::default(),
            stop_durations: Histogram::default(),
            actions: Vec::new(),
        }
    }

    /// Takes one event; `actions` gets what is to be done, in order. Time never goes back.
    pub fn handle(&mut self, now: Tick, event: Event, actions: &mut Vec<Action>) {
        if self.life == Life::Over {
            return;
        }
        self.notice_freeze(now);
        self.apply(event, now);
        self.settle(now);
        self.judge_done(now);
        while let Some((at, key)) = self.timers.pop_due(now) {
            self.fire(at, key, now);
            self.settle(now);
            self.judge_done(now);
        }
        self.judge_started(now);
        actions.append(&mut self.actions);
    }

    /// When to call again at the latest, with [`Event::Timer`].
    pub fn next_deadline(&self) -> Option<Tick> {
        self.timers.next()
    }

    fn apply(&mut self, event: Event, now: Tick) {
        match event {
            // Asked to end before anything began: nothing begins.
            Event::Boot if self.life != Life::Up => {}
            Event::Boot => self.boot(),
            Event::Forked {
                service,
                incarnation,
                pid,
            } => self.forked(service, incarnation, pid),
            Event::ExecOk {
                service,
                incarnation,
            } => self.exec_ok(service, incarnation, now),
            Event::ExecFailed {
                service,
                incarnation,
                fault,
            } => {
                self.exec_failed(service, incarnation, fault, now);
            }
            Event::OutOfMemory {
                service,
                incarnation,
            } => self.out_of_memory(service, incarnation),
            Event::Exited {
                service,
                incarnation,
                ending,
                survivors,
            } => {
                self.exited(service, incarnation, ending, survivors, now);
            }
            Event::Gone {
                service,
                incarnation,
            } => self.gone(service, incarnation, now),
            Event::Probed {
                service,
                incarnation,
                probe,
                attempt,
                outcome,
                took,
            } => {
                self.probed(service, incarnation, probe, attempt, outcome, took, now);
            }
            Event::Notified {
                service,
                incarnation,
                probe,
                notice,
            } => {
                self.notified(service, incarnation, probe, notice, now);
            }
            Event::StopCommandEnded {
                service,
                incarnation,
            } => {
                self.stop_command_over(service, incarnation);
            }
            Event::CronDue { service } => self.cron_due(service, now),
            Event::Asked { service, request } => self.asked(service, request, now),
            Event::Halt(halt) => self.halt(halt, now),
            Event::Flushed => {
                if self.life == Life::Flushing {
                    self.exit();
                }
            }
            Event::Timer => {}
        }
    }

    fn asked(&mut self, id: ServiceId, request: Request, now: Tick) {
        if self.life != Life::Up {
            return self.report(Fact::Refused { service: id });
        }
        match request {
            Request::Start => self.start_by_hand(id),
            Request::Stop => self.want_down(id),
            Request::Restart => self.restart_by_hand(id, now),
        }
    }

    fn fire(&mut self, at: Tick, key: Key, now: Tick) {
        if key.punishes() && now.since(at) > FROZEN {
            return self.timers.set(key, now.plus(RECHECK));
        }
        match key {
            Key::Backoff(id) => {
                if let State::Backoff { reason, .. } = self.services[id.index()].state {
                    self.set_state(
                        id,
                        State::Waiting {
                            reason: Some(reason),
                        },
                    );
                }
            }
            Key::StartTimeout(id) | Key::StartupPatience(id) => self.start_timed_out(id, None, now),
            Key::MinReady(id) => self.judge_ready(id, now),
            Key::Probe(id, kind) => self.probe_due(id, kind, now),
            Key::Watchdog(id) => self.watchdog_missed(id, now),
            Key::StopCommand(id) => {
                if let Some(incarnation) = self.services[id.index()].run().map(|r| r.incarnation) {
                    // It hangs, and had its time.
                    self.act(Action::CancelProbes {
                        service: id,
                        incarnation,
                    });
                    self.stop_command_over(id, incarnation);
                }
            }
            Key::StopTimeout(id) => self.stop_timed_out(id, now),
            Key::Unkillable(id) => self.unkillable(id, now),
            Key::SideRuns(id) => self.side_runs_due(id, now),
            Key::Drain => self.end_drain(),
            Key::OrderCut => self.cut_order(),
            Key::KillAll => self.kill_everything(now),
            Key::Deadline => self.deadline(now),
        }
    }

    /// podvisor itself did not run for a while: nothing of that is held against the services.
    fn notice_freeze(&mut self, now: Tick) {
        let Some(lasted) = self.timers.next().map(|at| now.since(at)) else {
            return;
        };
        if lasted <= FROZEN {
            return;
        }
        self.report(Fact::Frozen { lasted });
        for service in &mut self.services {
            if let State::Live(run) = &mut service.state {
                run.probes
                    .iter_mut()
                    .for_each(probe::Probing::forgive_running);
            }
        }
    }

    /// Looks at every touched service until nothing moves. Each look moves a service at most one step, and no
    /// circle of steps exists without an event from outside.
    fn settle(&mut self, now: Tick) {
        let mut looks = 0;
        loop {
            while let Some(id) = self.touched.pop_front() {
                self.is_touched[id.index()] = false;
                match self.services[id.index()].desired {
                    Desired::Up if self.life == Life::Up => self.settle_up(id, now),
                    Desired::Up => {}
                    Desired::Down => self.settle_down(id, now),
                }
                looks += 1;
                debug_assert!(looks <= self.most_looks(), "the states move in a circle");
            }
            if !self.settle_shutdown(now) {
                return;
            }
        }
    }

    /// More looks than one settling can need: a service moves a few steps, and each touches its neighbours.
    fn most_looks(&self) -> usize {
        64 + 16 * self.graph.len() * (self.graph.len() + 1)
    }

    fn live(&mut self, id: ServiceId) -> Option<&mut Run> {
        match &mut self.services[id.index()].state {
            State::Live(run) => Some(run),
            _ => None,
        }
    }

    /// Moves a service to another state.
    fn set_state(&mut self, id: ServiceId, state: State) {
        self.services[id.index()].state = state;
        self.mark(id);
    }

    /// Something about a service changed: it and its neighbours are to be looked at.
    fn mark(&mut self, id: ServiceId) {
        self.changed[id.index()] = true;
        self.touch(id);
        for place in 0..self.graph.dependents(id).len() {
            let dependent = self.graph.dependents(id)[place];
            if !self.services[dependent.index()].is_active() {
                self.touch(dependent);
            }
        }
        for place in 0..self.graph.spec(id).needs.len() {
            let need = self.graph.spec(id).needs[place].to;
            if self.services[need.index()].desired == Desired::Down {
                self.touch(need);
            }
        }
        for place in 0..self.graph.spec(id).conflicts.len() {
            let conflict = self.graph.spec(id).conflicts[place];
            self.touch(conflict);
        }
    }

    fn touch(&mut self, id: ServiceId) {
        self.changed[id.index()] = true;
        if !std::mem::replace(&mut self.is_touched[id.index()], true) {
            self.touched.push_back(id);
        }
    }

    fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn report(&mut self, fact: Fact) {
        self.actions.push(Action::Report(fact));
    }

    /// An event that came too late, or for nobody.
    fn stale(&mut self, id: ServiceId) {
        self.services[id.index()].tally.stale_events += 1;
    }
}
