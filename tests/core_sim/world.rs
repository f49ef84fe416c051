//! The simulated world: processes that live by script, time that jumps, and a driver that keeps its promises.
//!
//! Time goes to the next thing that happens, in the core or outside of it. What happens at one moment comes in an
//! order that a seed decides; only the promises of the driver hold: `Forked` before `ExecOk` or `ExecFailed`, these
//! before `Exited`, that before `Gone`.

mod process;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use podvisor::core::{
    Action, Core, Ending, Event, Incarnation, Notice, ProbeKind, ServiceId, ServiceState, Settings,
    Tick,
};

use self::process::Process;
use crate::known::Known;
use crate::plan::{self, Plan};
use crate::script::{Life, Others, ms};

/// One start of a service.
type Birth = (ServiceId, Incarnation);

/// What is going to happen.
#[derive(Debug, Clone)]
pub enum Coming {
    /// The core is told this.
    Event(Event),
    Fork(Birth),
    Exec(Birth),
    /// The main process ends like this, if it still lives.
    End(Birth, Ending),
    OthersEnd(Birth),
    Say(Birth, Option<ProbeKind>, Notice),
    /// podvisor does not run for so long.
    Freeze(Duration),
    /// An event of an earlier life comes once more.
    Echo(u64),
}

pub struct World {
    pub core: Core,
    pub now: Tick,
    pub known: Known,
    /// Everything that the core wanted, when.
    pub log: Vec<(Tick, Action)>,
    /// Everything that the core was told, when, and how many actions followed.
    pub told: Vec<(Tick, Event, usize)>,
    /// From one state to another, between two events.
    pub moves: BTreeSet<(ServiceState, ServiceState)>,
    pub seed: u64,
    pub settings: Settings,
    /// How long the last logs take; for ever when None.
    pub flush_takes: Option<Duration>,
    pub scheduled: BTreeSet<ServiceId>,
    random: fastrand::Rng,
    shuffled: bool,
    coming: BTreeMap<(Tick, u32, u64), Coming>,
    count: u64,
    lives: Vec<Vec<Life>>,
    processes: BTreeMap<Birth, Process>,
    states: Vec<ServiceState>,
    /// Events that may come again when their life is over.
    memory: Vec<Event>,
}

impl World {
    pub fn new(plans: Vec<Plan>) -> Self {
        Self::with(plans, plan::settings(), 0)
    }

    pub fn with(plans: Vec<Plan>, settings: Settings, seed: u64) -> Self {
        let (graph, lives) = plan::graph(plans);
        let known = Known::new(&graph, settings);
        let states = vec![ServiceState::Pending; graph.len()];
        Self {
            core: Core::new(graph, settings, seed, Tick(0)),
            now: Tick(0),
            known,
            log: Vec::new(),
            told: Vec::new(),
            moves: BTreeSet::new(),
            seed,
            settings,
            flush_takes: Some(ms(1)),
            scheduled: BTreeSet::new(),
            random: fastrand::Rng::with_seed(seed),
            shuffled: seed != 0,
            coming: BTreeMap::new(),
            count: 0,
            lives,
            processes: BTreeMap::new(),
            states,
            memory: Vec::new(),
        }
    }

    /// A world whose services are being started.
    pub fn booted(plans: Vec<Plan>) -> Self {
        let mut world = Self::new(plans);
        world.tell(Event::Boot);
        world
    }

    pub fn later(&mut self, after: Duration, coming: Coming) {
        self.count += 1;
        let order = if self.shuffled {
            self.random.u32(..)
        } else {
            0
        };
        self.coming
            .insert((self.now.plus(after), order, self.count), coming);
    }

    /// When the next thing happens.
    fn next(&self) -> Option<Tick> {
        let outside = self.coming.keys().next().map(|key| key.0);
        match (outside, self.core.next_deadline()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// One thing happens; false when nothing ever will.
    pub fn step(&mut self) -> bool {
        let Some(at) = self.next() else { return false };
        self.now = self.now.max(at);
        let deadline = self.core.next_deadline().filter(|d| *d <= self.now);
        let outside = self.coming.keys().next().copied();
        let outside = outside.filter(|key| key.0 <= self.now);
        let timer = match (deadline, outside) {
            (Some(_), None) => true,
            (Some(d), Some(key)) if d == key.0 => self.shuffled && self.random.bool(),
            (Some(d), Some(key)) => d < key.0,
            _ => false,
        };
        if timer {
            self.tell(Event::Timer);
        } else if let Some(coming) = outside.and_then(|key| self.coming.remove(&key)) {
            self.happen(coming);
        }
        true
    }

    /// Lets so much time pass.
    pub fn run(&mut self, time: Duration) -> &mut Self {
        let until = self.now.plus(time);
        while self.next().is_some_and(|at| at <= until) {
            self.step();
        }
        self.now = self.now.max(until);
        self
    }

    /// Lets time pass until podvisor ends.
    pub fn finish(&mut self) -> &mut Self {
        for _ in 0..100_000 {
            if self.known.exit.is_some() || !self.step() {
                return self;
            }
        }
        panic!("it never ends");
    }

    /// podvisor does not run for so long; the services do.
    pub fn freeze(&mut self, time: Duration) -> &mut Self {
        self.now = self.now.plus(time);
        self
    }

    fn happen(&mut self, coming: Coming) {
        match coming {
            Coming::Event(event) => self.tell(event),
            Coming::Fork(birth) => self.fork(birth),
            Coming::Exec(birth) => self.exec(birth),
            Coming::End(birth, ending) => self.end(birth, ending),
            Coming::OthersEnd(birth) => self.others_end(birth),
            Coming::Say((service, incarnation), probe, notice) => {
                let lives = self.processes.get(&(service, incarnation));
                if lives.is_some_and(|p| p.ended.is_none() || p.others != Others::None) {
                    self.tell(Event::Notified {
                        service,
                        incarnation,
                        probe,
                        notice,
                    });
                }
            }
            Coming::Freeze(time) => self.now = self.now.plus(time),
            Coming::Echo(pick) => self.echo(pick),
        }
    }

    /// Tells the core, does what it wants, and looks whether all is well.
    pub fn tell(&mut self, event: Event) {
        self.told.push((self.now, event.clone(), 0));
        if self.shuffled && self.memory.len() < 256 {
            self.memory.push(event.clone());
        }
        self.known.told(&event, self.now);
        let mut actions = Vec::new();
        self.core.handle(self.now, event, &mut actions);
        if let Some(told) = self.told.last_mut() {
            told.2 = actions.len();
        }
        let wanted = actions.iter().cloned();
        self.log.extend(wanted.map(|action| (self.now, action)));
        for action in &actions {
            self.known.wanted(&self.core, action, self.now);
        }
        for action in actions {
            self.perform(action);
        }
        self.known.settled(&self.core, self.now);
        for id in self.core.take_changed() {
            let state = self.core.state(id);
            let before = std::mem::replace(&mut self.states[id.index()], state);
            if before != state {
                self.moves.insert((before, state));
            }
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Spawn {
                service,
                incarnation,
            } => self.spawn((service, incarnation)),
            Action::Kill {
                service,
                incarnation,
                signal,
                whole,
            } => self.kill((service, incarnation), signal, whole),
            Action::RunStopCommand {
                service,
                incarnation,
            } => {
                let takes = self.processes[&(service, incarnation)].life.command_takes;
                if let Some(takes) = takes {
                    let event = Event::StopCommandEnded {
                        service,
                        incarnation,
                    };
                    self.later(takes, Coming::Event(event));
                }
            }
            Action::Probe {
                service,
                incarnation,
                probe,
                attempt,
            } => self.probe((service, incarnation), probe, attempt),
            Action::CancelProbes {
                service,
                incarnation,
            } => self.cancel((service, incarnation)),
            Action::Schedule(id) => {
                assert!(self.scheduled.insert(id), "scheduled twice");
            }
            Action::Unschedule(id) => {
                assert!(self.scheduled.remove(&id), "unscheduled twice");
            }
            Action::Flush { .. } => {
                if let Some(takes) = self.flush_takes {
                    self.later(takes, Coming::Event(Event::Flushed));
                }
            }
            Action::Report(_) | Action::Sweep | Action::Exit => {}
        }
    }

    /// The driver gives up what runs beside; what is under way already may still come.
    fn cancel(&mut self, birth: Birth) {
        let keep = self.shuffled && self.random.bool();
        self.coming.retain(|_, coming| match coming {
            Coming::Event(
                Event::Probed {
                    service,
                    incarnation,
                    ..
                }
                | Event::StopCommandEnded {
                    service,
                    incarnation,
                },
            ) => keep || (*service, *incarnation) != birth,
            _ => true,
        });
    }

    /// Something of an earlier life is told again, and must not matter.
    fn echo(&mut self, pick: u64) {
        if self.memory.is_empty() {
            return;
        }
        let place = usize::try_from(pick).unwrap() % self.memory.len();
        let event = self.memory[place].clone();
        if !self.known.is_of_the_past(&event) {
            return;
        }
        let timers_due = self.core.next_deadline().is_some_and(|at| at <= self.now);
        let before = self.log.len();
        self.tell(event.clone());
        assert!(
            timers_due || self.log.len() == before,
            "{event:?} of an earlier life had an effect"
        );
    }
}
