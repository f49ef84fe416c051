//! The words of the scenarios.

use podvisor::core::{Action, Event, Fact, Halt, Request, ServiceId, ServiceState, Tick};

use super::World;

impl World {
    pub fn id(&self, name: &str) -> ServiceId {
        self.core.graph().find(name).unwrap()
    }

    pub fn state(&self, name: &str) -> ServiceState {
        self.core.state(self.id(name))
    }

    pub fn ask(&mut self, name: &str, request: Request) -> &mut Self {
        let service = self.id(name);
        self.tell(Event::Asked { service, request });
        self
    }

    pub fn due(&mut self, name: &str) -> &mut Self {
        let service = self.id(name);
        self.tell(Event::CronDue { service });
        self
    }

    pub fn halt(&mut self, halt: Halt) -> &mut Self {
        self.tell(Event::Halt(halt));
        self
    }

    /// When it was started.
    pub fn spawns(&self, name: &str) -> Vec<Tick> {
        let id = self.id(name);
        let of = |a: &Action| matches!(a, Action::Spawn { service, .. } if *service == id);
        let log = self.log.iter();
        log.filter(|(_, a)| of(a)).map(|(at, _)| *at).collect()
    }

    /// Which signals it got, when.
    pub fn kills(&self, name: &str) -> Vec<(Tick, i32)> {
        let id = self.id(name);
        let of = |a: &Action| match a {
            Action::Kill {
                service, signal, ..
            } if *service == id => Some(*signal),
            _ => None,
        };
        let log = self.log.iter();
        log.filter_map(|(at, a)| Some((*at, of(a)?))).collect()
    }

    /// When something was first reported that is so.
    pub fn said(&self, is: impl Fn(&Fact) -> bool) -> Option<Tick> {
        let of = |a: &Action| matches!(a, Action::Report(fact) if is(fact));
        self.log.iter().find(|(_, a)| of(a)).map(|(at, _)| *at)
    }

    /// When and with which code podvisor ended.
    pub fn exit(&self) -> Option<(Tick, u8)> {
        self.known.exit
    }

    /// The code with which it ends.
    pub fn code(&mut self) -> u8 {
        self.finish();
        self.exit().expect("an exit").1
    }
}
