//! What can be known of the core from outside, and what must hold at every step.
//!
//! It follows the events and the actions in their order, and nothing that the core says about itself but its facts.
//! The exit code is worked out here a second time, from the events.

mod judge;

use std::collections::BTreeMap;
use std::time::Duration;

use podvisor::config::model::{ConcurrencyPolicy, Condition, ServiceKind};
use podvisor::core::{
    Action, Core, Edge, Ending, Event, ExecFault, Fact, Graph, Halt, Incarnation, Life,
    MAX_SIDE_RUNS, ServiceId, Settings, ShutdownWhy, Tick,
};

/// One life, as far as the core was told.
#[derive(Debug, Default, Clone)]
struct Alive {
    forked: bool,
    runs: bool,
    fault: Option<ExecFault>,
    ended: Option<Ending>,
    /// podvisor asked it to end.
    asked: bool,
    /// … and lost patience because the whole shutdown had its time.
    out_of_time: bool,
    killed: Option<Tick>,
}

/// One service.
#[derive(Debug, Default)]
struct Seen {
    alive: BTreeMap<Incarnation, Alive>,
    ready: bool,
    completed: bool,
    failed: bool,
    at_work: bool,
    spawns: u64,
    exits: BTreeMap<Ending, u64>,
    last_exit: Option<Ending>,
    last_fault: Option<ExecFault>,
    backoffs: Vec<Tick>,
    /// What podvisor itself found wrong with the present life.
    blame: Option<Fact>,
}

pub struct Known {
    graph: Graph,
    settings: Settings,
    services: Vec<Seen>,
    /// When podvisor began to end, and when it has to be over.
    pub ending: Option<(Tick, Tick)>,
    flushing: bool,
    ordered: bool,
    verdict: Option<u8>,
    pub exit: Option<(Tick, u8)>,
    wanted_this_time: usize,
    brief: bool,
    draining: bool,
}

impl Known {
    pub fn new(graph: &Graph, settings: Settings) -> Self {
        Self {
            services: graph.ids().map(|_| Seen::default()).collect(),
            graph: graph.clone(),
            settings,
            ending: None,
            flushing: false,
            ordered: true,
            verdict: None,
            exit: None,
            wanted_this_time: 0,
            brief: false,
            draining: false,
        }
    }

    /// Looks at all services after each event no more: there are too many.
    pub fn be_brief(&mut self) {
        self.brief = true;
    }

    fn seen(&mut self, id: ServiceId) -> &mut Seen {
        &mut self.services[id.index()]
    }

    /// Whether an event speaks of a life that is over.
    pub fn is_of_the_past(&self, event: &Event) -> bool {
        birth(event).is_some_and(|(service, incarnation)| {
            !self.services[service.index()]
                .alive
                .contains_key(&incarnation)
        })
    }

    /// The core is about to be told this.
    pub fn told(&mut self, event: &Event, now: Tick) {
        self.wanted_this_time = 0;
        let Some((id, incarnation)) = birth(event) else {
            return;
        };
        if self.exit.is_some() {
            return;
        }
        let seen = self.seen(id);
        let Some(alive) = seen.alive.get_mut(&incarnation) else {
            return;
        };
        let over = match event {
            Event::Forked { .. } => {
                alive.forked = true;
                false
            }
            Event::ExecOk { .. } => {
                alive.runs = true;
                false
            }
            Event::ExecFailed { fault, .. } => {
                alive.fault = Some(fault.clone());
                seen.last_fault = Some(fault.clone());
                !alive.forked
            }
            Event::Exited {
                ending, survivors, ..
            } => {
                let first = alive.ended.replace(*ending).is_none();
                if first && alive.fault.is_none() {
                    *seen.exits.entry(*ending).or_default() += 1;
                    seen.last_exit = Some(*ending);
                }
                !survivors
            }
            Event::Gone { .. } => alive.ended.is_some(),
            _ => false,
        };
        if over {
            self.over(id, incarnation, now);
        }
    }

    /// Nothing of a life is left.
    fn over(&mut self, id: ServiceId, incarnation: Incarnation, _now: Tick) {
        let spec = self.graph.spec(id).clone();
        let Some(alive) = self.seen(id).alive.remove(&incarnation) else {
            return;
        };
        if self.seen(id).alive.is_empty() {
            self.seen(id).ready = false;
        }
        if self.ending.is_none() || !spec.required || self.exit.is_some() {
            return;
        }
        let stopped_by = Ending::Signal(spec.stop_signal);
        let clean = match alive.ended {
            Some(Ending::Code(0)) => true,
            Some(ending) if alive.asked => {
                ending == stopped_by || ending == Ending::Code(stopped_by.shell_code())
            }
            _ => false,
        };
        let code = match (&alive.fault, alive.ended) {
            (None, Some(ending)) if self.settings.single => ending.shell_code(),
            _ if alive.out_of_time => 137,
            _ if clean => 0,
            (Some(fault), _) if fault.permanent => i32::from(fault.code),
            (Some(_), _) => 0,
            (None, Some(ending)) => ending.shell_code(),
            (None, None) => 137,
        };
        if code != 0 {
            self.decide(code);
        }
    }

    fn decide(&mut self, code: i32) {
        self.verdict.get_or_insert(u8::try_from(code).unwrap());
    }

    /// The core wants this done.
    pub fn wanted(&mut self, core: &Core, action: &Action, now: Tick) {
        assert!(self.exit.is_none(), "{action:?} after the exit");
        self.wanted_this_time += 1;
        match action {
            Action::Spawn {
                service,
                incarnation,
            } => self.spawned(*service, *incarnation, now),
            Action::Kill {
                service,
                incarnation,
                signal,
                ..
            } => {
                let alive = self.alive(*service, *incarnation, action);
                if *signal == libc::SIGKILL {
                    alive.killed = Some(now);
                }
            }
            Action::RunStopCommand {
                service,
                incarnation,
            } => {
                let alive = self.alive(*service, *incarnation, action);
                assert!(alive.runs && alive.ended.is_none(), "{action:?}");
            }
            Action::Probe {
                service,
                incarnation,
                ..
            } => {
                let alive = self.alive(*service, *incarnation, action);
                assert!(
                    alive.runs && !alive.asked && alive.ended.is_none(),
                    "{action:?} of what does not run"
                );
            }
            Action::CancelProbes {
                service,
                incarnation,
            } => {
                let seen = self.seen(*service);
                assert!(
                    seen.alive.contains_key(incarnation) || incarnation.0 <= seen.spawns,
                    "{action:?} of nobody"
                );
            }
            Action::Flush { until } => {
                let (_, deadline) = self.ending.expect("a flush without an end");
                assert!(*until <= deadline, "the logs get more than there is");
                assert!(
                    *until <= now.plus(self.settings.flush),
                    "the logs get more than flushTimeout"
                );
                let left: Vec<_> = self
                    .services
                    .iter()
                    .filter(|s| !s.alive.is_empty())
                    .collect();
                assert!(left.is_empty(), "a flush while {left:?} live");
                self.flushing = true;
            }
            Action::Exit => self.exited(core, now),
            Action::Report(fact) => {
                self.draining = core.life() == Life::Draining;
                self.said(fact, now);
            }
            Action::Schedule(id) => {
                assert!(self.ending.is_none(), "scheduled while ending");
                self.seen(*id).at_work = true;
            }
            Action::Unschedule(id) => self.seen(*id).at_work = false,
            Action::Sweep => assert!(self.ending.is_some()),
        }
    }

    fn alive(&mut self, id: ServiceId, incarnation: Incarnation, action: &Action) -> &mut Alive {
        let seen = &mut self.services[id.index()];
        let alive = seen.alive.get_mut(&incarnation);
        alive.unwrap_or_else(|| panic!("{action:?} names a life that is over"))
    }

    fn spawned(&mut self, id: ServiceId, incarnation: Incarnation, _now: Tick) {
        assert!(
            self.ending.is_none(),
            "{id:?} is started while podvisor ends"
        );
        let spec = self.graph.spec(id);
        for edge in &spec.needs {
            assert!(
                !edge.required || self.is_met(edge),
                "{} is started without {}",
                spec.name,
                self.graph.spec(edge.to).name
            );
        }
        for other in &spec.conflicts {
            assert!(
                self.services[other.index()].alive.is_empty(),
                "{} is started beside {}",
                spec.name,
                self.graph.spec(*other).name
            );
        }
        let beside = match (spec.kind, spec.concurrency) {
            (ServiceKind::Cron, ConcurrencyPolicy::Allow) => MAX_SIDE_RUNS,
            _ => 0,
        };
        let seen = self.seen(id);
        assert!(seen.alive.len() <= beside, "{id:?} lives twice");
        seen.spawns += 1;
        assert_eq!(incarnation.0, seen.spawns);
        seen.alive.insert(incarnation, Alive::default());
        seen.ready = false;
        seen.completed = false;
        seen.failed = false;
        if seen.alive.len() == 1 {
            seen.blame = None;
        }
    }

    /// Whether one dependency is as its dependent needs it.
    fn is_met(&self, edge: &Edge) -> bool {
        let spec = self.graph.spec(edge.to);
        let seen = &self.services[edge.to.index()];
        let rests_till_due = spec.kind == ServiceKind::Cron && seen.at_work;
        let runs = seen
            .alive
            .values()
            .any(|a| a.runs && a.ended.is_none() && !a.asked);
        match edge.condition {
            Condition::Started => runs || seen.completed || rests_till_due,
            Condition::Ready => seen.ready || seen.completed && spec.ends() || rests_till_due,
            Condition::Completed => seen.completed,
        }
    }

    fn said(&mut self, fact: &Fact, now: Tick) {
        match fact {
            Fact::Ready { service, .. } => self.seen(*service).ready = true,
            Fact::Unready { service } => self.seen(*service).ready = false,
            Fact::Completed { service, .. } => {
                self.seen(*service).completed = true;
                self.seen(*service).ready = false;
            }
            Fact::Ended { service, .. } => self.seen(*service).ready = false,
            Fact::Backoff { service, .. } => self.seen(*service).backoffs.push(now),
            Fact::StartTimedOut { service }
            | Fact::WatchdogMissed { service }
            | Fact::ProbeFailed { service, .. } => {
                self.seen(*service).blame = Some(fact.clone());
            }
            Fact::Stopping { service } => self.stopping(*service, now),
            Fact::Failed { service, failure } => self.failed(*service, failure, now),
            Fact::Unkillable { service } => self.unkillable(*service, now),
            Fact::DeadlineReached { .. } => {
                self.ordered = false;
                for seen in &mut self.services {
                    for alive in seen.alive.values_mut() {
                        alive.out_of_time = true;
                        alive.asked = true;
                    }
                }
            }
            Fact::ShutdownBegan { why } => {
                assert!(self.ending.is_none(), "it ends twice");
                let mut lasts = self.settings.deadline;
                match why {
                    ShutdownWhy::Asked(Halt::Quit) => {
                        self.decide(131);
                        lasts = lasts.min(Duration::from_secs(3));
                    }
                    ShutdownWhy::Succeeded(_) => self.decide(0),
                    _ => {}
                }
                self.ending = Some((now, now.plus(lasts)));
            }
            Fact::ShutdownHurried { halt } => {
                self.ordered = false;
                if *halt == Halt::Quit {
                    self.decide(131);
                }
                let hurried = now.plus(Duration::from_secs(3));
                let (began, deadline) = self.ending.expect("hurried without an end");
                self.ending = Some((began, deadline.min(hurried)));
            }
            _ => {}
        }
    }

    fn stopping(&mut self, id: ServiceId, now: Tick) {
        let ordered = self.ordered && self.ending.is_some_and(|(began, _)| now < self.cut(began));
        let seen = self.seen(id);
        seen.ready = false;
        seen.alive.values_mut().for_each(|a| a.asked = true);
        let by_itself = seen.blame.is_some();
        // While podvisor drains, only what somebody asked to stop before is stopped, by the rules of that.
        if ordered && !by_itself && !self.draining {
            for dependent in self.graph.dependents(id) {
                assert!(
                    self.services[dependent.index()].alive.is_empty(),
                    "{} is stopped before {}",
                    self.graph.spec(id).name,
                    self.graph.spec(*dependent).name
                );
            }
        }
    }

    /// When the order of a shutdown is given up.
    fn cut(&self, began: Tick) -> Tick {
        let flush = self.settings.flush.min(self.settings.deadline / 2);
        began.plus((self.settings.deadline - flush) * 80 / 100)
    }
}

/// Which life an event speaks of.
fn birth(event: &Event) -> Option<(ServiceId, Incarnation)> {
    match event {
        Event::Forked {
            service,
            incarnation,
            ..
        }
        | Event::ExecOk {
            service,
            incarnation,
        }
        | Event::ExecFailed {
            service,
            incarnation,
            ..
        }
        | Event::OutOfMemory {
            service,
            incarnation,
        }
        | Event::Exited {
            service,
            incarnation,
            ..
        }
        | Event::Gone {
            service,
            incarnation,
        }
        | Event::Probed {
            service,
            incarnation,
            ..
        }
        | Event::Notified {
            service,
            incarnation,
            ..
        }
        | Event::StopCommandEnded {
            service,
            incarnation,
        } => Some((*service, *incarnation)),
        Event::Boot
        | Event::CronDue { .. }
        | Event::Asked { .. }
        | Event::Halt(_)
        | Event::Flushed
        | Event::Timer => None,
    }
}
