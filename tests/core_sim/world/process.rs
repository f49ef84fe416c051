//! The simulated processes: how they start, answer, follow and end.

use std::time::Duration;

use podvisor::core::{Ending, Event, ExecFault, ProbeKind, ProbeOutcome, Tick};

use super::{Birth, Coming, World};
use crate::script::{Exec, Life, OnStop, Others, ms};

#[derive(Debug)]
pub(super) struct Process {
    pub(super) life: Life,
    exec_at: Option<Tick>,
    reported: bool,
    pub(super) ended: Option<Ending>,
    /// It ended before the report of its exec was out.
    held_back: Option<Ending>,
    pub(super) others: Others,
}

impl World {
    pub(super) fn spawn(&mut self, birth: Birth) {
        let lives = &self.lives[birth.0.index()];
        let place = usize::try_from(birth.1.0).unwrap() - 1;
        let life = lives[place.min(lives.len() - 1)].clone();
        let takes = life.fork_takes;
        let process = Process {
            others: life.others,
            life,
            exec_at: None,
            reported: false,
            ended: None,
            held_back: None,
        };
        self.processes.insert(birth, process);
        self.later(takes, Coming::Fork(birth));
    }

    pub(super) fn fork(&mut self, birth: Birth) {
        let (service, incarnation) = birth;
        let (exec, takes) = {
            let process = &self.processes[&birth];
            (process.life.exec, process.life.exec_takes)
        };
        if exec == Exec::NoFork {
            self.processes.remove(&birth);
            return self.tell(Event::ExecFailed {
                service,
                incarnation,
                fault: ExecFault {
                    code: 71,
                    permanent: false,
                    text: "fork: EAGAIN".to_owned(),
                },
            });
        }
        self.later(takes, Coming::Exec(birth));
        let pid = 100 + i32::try_from(self.count).unwrap();
        self.tell(Event::Forked {
            service,
            incarnation,
            pid,
        });
    }

    pub(super) fn exec(&mut self, birth: Birth) {
        let (service, incarnation) = birth;
        let Some(process) = self.processes.get_mut(&birth) else {
            return;
        };
        process.reported = true;
        let held_back = process.held_back;
        let event = if let Exec::Fails { code, permanent } = process.life.exec {
            process.others = Others::None;
            self.later(ms(1), Coming::End(birth, Ending::Code(i32::from(code))));
            Event::ExecFailed {
                service,
                incarnation,
                fault: ExecFault {
                    code,
                    permanent,
                    text: "exec".to_owned(),
                },
            }
        } else {
            process.exec_at = Some(self.now);
            let (ends, says) = (process.life.ends, process.life.says.clone());
            if let Some((after, ending)) = ends {
                self.later(after, Coming::End(birth, ending));
            }
            for (after, probe, notice) in says {
                self.later(after, Coming::Say(birth, probe, notice));
            }
            Event::ExecOk {
                service,
                incarnation,
            }
        };
        self.tell(event);
        if let Some(ending) = held_back {
            self.end(birth, ending);
        }
    }

    /// The main process ends.
    pub(super) fn end(&mut self, birth: Birth, ending: Ending) {
        let (service, incarnation) = birth;
        let Some(process) = self.processes.get_mut(&birth) else {
            return;
        };
        if process.ended.is_some() {
            return;
        }
        if !process.reported {
            process.held_back.get_or_insert(ending);
            return;
        }
        process.ended = Some(ending);
        if process.exec_at.is_none() {
            process.others = Others::None;
        }
        let survivors = process.others != Others::None;
        if !survivors {
            self.processes.remove(&birth);
        }
        self.tell(Event::Exited {
            service,
            incarnation,
            ending,
            survivors,
        });
    }

    pub(super) fn others_end(&mut self, birth: Birth) {
        let (service, incarnation) = birth;
        let Some(process) = self.processes.get_mut(&birth) else {
            return;
        };
        if std::mem::replace(&mut process.others, Others::None) != Others::None
            && process.ended.is_some()
        {
            self.processes.remove(&birth);
            self.tell(Event::Gone {
                service,
                incarnation,
            });
        }
    }

    pub(super) fn kill(&mut self, birth: Birth, signal: i32, whole: bool) {
        let Some(process) = self.processes.get(&birth) else {
            return;
        };
        let kills = signal == libc::SIGKILL;
        let follows = match process.others {
            Others::Polite => true,
            Others::Stubborn => kills && whole,
            Others::None | Others::Unkillable => false,
        };
        let next = match process.life.on_stop {
            _ if kills => process.life.dies_in.map(|t| (t, Ending::Signal(signal))),
            // Until its program runs, it has no handlers.
            _ if process.exec_at.is_none() => Some((ms(1), Ending::Signal(signal))),
            OnStop::Dies(after) => Some((after, Ending::Signal(signal))),
            OnStop::Exits(after, code) => Some((after, Ending::Code(code))),
            OnStop::Ignores => None,
        };
        let (lives, faulty) = (process.ended.is_none(), process.life.exec != Exec::Works);
        if follows {
            self.later(ms(1), Coming::OthersEnd(birth));
        }
        if let Some((after, ending)) = next.filter(|_| lives && !faulty) {
            self.later(after, Coming::End(birth, ending));
        }
    }

    pub(super) fn probe(&mut self, birth: Birth, probe: ProbeKind, attempt: u64) {
        let (service, incarnation) = birth;
        let timeout = self
            .core
            .graph()
            .spec(service)
            .probe(probe)
            .map(|p| p.timeout)
            .unwrap_or_default();
        let process = &self.processes[&birth];
        let life = &process.life;
        let since = self.now.since(process.exec_at.unwrap_or(self.now));
        let mut outcome = life.answer(probe, attempt, since);
        let mut took = life.answer_takes;
        if life.late > Duration::ZERO || took > timeout {
            took = timeout + life.late;
            outcome = ProbeOutcome::Timeout;
        }
        let (flaps, loses) = (life.flaps, life.loses);
        if self.random.u8(..100) < flaps {
            outcome = ProbeOutcome::ALL[self.random.usize(..4)];
        }
        if self.random.u8(..100) >= loses {
            let event = Event::Probed {
                service,
                incarnation,
                probe,
                attempt,
                outcome,
                took,
            };
            self.later(took, Coming::Event(event));
        }
    }
}
