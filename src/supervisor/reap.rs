//! Deaths: every zombie is reaped here and nowhere else, told apart, and made into an event.

use nix::unistd::Pid;

use super::children::{Child, Owner};
use super::{Supervisor, TaskKey};
use crate::core::{Ending, Event, Incarnation, ProbeOutcome, ServiceId};
use crate::process::descendants;
use crate::process::plan::Plan;
use crate::process::reaper::{Ended, Usage};
use crate::process::report::Report;

/// How many zombies one turn reaps, so that ten thousand orphans delay no stop signal.
const ZOMBIES_A_TURN: usize = 512;

impl Supervisor {
    /// Reaps what is dead. SIGCHLDs coalesce, so this goes on until nobody is left, over several turns if need be.
    pub(super) fn reap(&mut self) {
        self.more_zombies = false;
        let mut orphans = false;
        for _ in 0..ZOMBIES_A_TURN {
            let Some(pid) = self.reaper.peek() else {
                return self.after_reaping(orphans);
            };
            let Some((ended, usage)) = self.reaper.reap(pid) else {
                continue;
            };
            let child = self.children.remove(pid);
            self.published.count_reaped(child.is_some());
            self.tell_usage(pid, child.as_ref(), usage);
            match child {
                Some(child) => self.child_ended(pid, child, ending(ended)),
                None => {
                    orphans = true;
                    tracing::debug!(pid = pid.as_raw(), "reaped an orphan");
                }
            }
        }
        self.more_zombies = true;
        self.after_reaping(orphans);
    }

    /// What the dead used goes to the books of its service.
    fn tell_usage(&self, pid: Pid, child: Option<&Child>, used: Usage) {
        let Some(watcher) = &self.usage else { return };
        match child.map(|child| child.owner) {
            Some(Owner::Main(service, _)) => {
                watcher.reaped_main(&self.services[service.index()].0, used);
            }
            None => watcher.reaped_orphan(pid, used),
            // podvisor's own errands.
            Some(Owner::Probe(..) | Owner::StopCommand(..)) => {}
        }
    }

    fn after_reaping(&mut self, orphans: bool) {
        if orphans && self.children.awaits_gone() {
            self.look_for_gone();
        }
    }

    fn child_ended(&mut self, pid: Pid, mut child: Child, ending: Ending) {
        if let Some((mut pipe, plan)) = child.report.take() {
            // Its report comes before its end: the core counts on it.
            let report = pipe.try_read();
            child.failed |= matches!(report, Report::Failed(_));
            self.reported(child.owner, report, &plan);
        }
        match child.owner {
            Owner::Main(service, incarnation) => self.main_ended(service, incarnation, ending),
            Owner::Probe(service, incarnation, probe, attempt) => {
                self.cancel(TaskKey::Overdue(pid.as_raw()));
                let outcome = match ending {
                    _ if child.overdue => ProbeOutcome::Timeout,
                    _ if child.failed => ProbeOutcome::Error,
                    Ending::Code(0) => ProbeOutcome::Success,
                    _ => ProbeOutcome::Failure,
                };
                let took = self.now().since(child.began);
                self.queue.push_back(Event::Probed {
                    service,
                    incarnation,
                    probe,
                    attempt,
                    outcome,
                    took,
                });
            }
            Owner::StopCommand(service, incarnation) => {
                if ending != Ending::Code(0) {
                    let name = &*self.services[service.index()].0;
                    tracing::warn!(service = name, %ending, "stop command failed");
                }
                self.queue.push_back(Event::StopCommandEnded {
                    service,
                    incarnation,
                });
            }
        }
    }

    fn main_ended(&mut self, service: ServiceId, incarnation: Incarnation, ending: Ending) {
        if ending == Ending::Signal(libc::SIGKILL) {
            self.look_for_oom(service, incarnation);
        }
        let survivors = self.has_survivors(service, incarnation);
        if let Some(life) = self.children.life((service, incarnation)) {
            life.awaits_gone = survivors;
        }
        if !survivors {
            self.end_life(service, incarnation);
        }
        self.queue.push_back(Event::Exited {
            service,
            incarnation,
            ending,
            survivors,
        });
    }

    /// A SIGKILL that podvisor did not send: was it the kernel's, for want of memory?
    fn look_for_oom(&mut self, service: ServiceId, incarnation: Incarnation) {
        let life = self.children.life((service, incarnation));
        let own = life.is_some_and(|life| life.last_signal == Some(libc::SIGKILL));
        if !own && self.oom.take() {
            self.queue.push_back(Event::OutOfMemory {
                service,
                incarnation,
            });
        }
    }

    /// Whether others of the service live on. What its main process had as children is podvisor's now, so one look
    /// at podvisor's own children tells in almost every case that there is nobody.
    fn has_survivors(&mut self, service: ServiceId, incarnation: Incarnation) -> bool {
        let children = &self.children;
        if !self.walker.has_adopted(|pid| children.knows(pid)) {
            return false;
        }
        !self.members(service, incarnation).is_empty()
    }

    pub(super) fn members(
        &mut self,
        service: ServiceId,
        incarnation: Incarnation,
    ) -> Vec<descendants::Member> {
        let Some(life) = self.children.life((service, incarnation)) else {
            return Vec::new();
        };
        self.walker.members(&descendants::Target {
            leader: life.leader,
            leader_starttime: life.leader_starttime,
            token: &life.token,
            remembered: &life.remembered,
        })
    }

    /// Looks whether what is awaited is gone; what was killed and is not, is killed again.
    pub(super) fn look_for_gone(&mut self) {
        for (service, incarnation) in self.children.awaited() {
            let left = self.members(service, incarnation);
            if left.is_empty() {
                self.end_life(service, incarnation);
                self.queue.push_back(Event::Gone {
                    service,
                    incarnation,
                });
                continue;
            }
            let Some(life) = self.children.life((service, incarnation)) else {
                continue;
            };
            if life.last_signal == Some(libc::SIGKILL) {
                self.walker.kill(&left, libc::SIGKILL);
            }
            life.remembered = left;
        }
    }

    pub(super) fn end_life(&mut self, service: ServiceId, incarnation: Incarnation) {
        self.children.end_life((service, incarnation));
        for which in 0..4 {
            self.cancel(TaskKey::Listener(service, incarnation, which));
        }
    }

    /// The report pipe of a start can be read.
    pub(super) fn read_report(&mut self, service: ServiceId, incarnation: Incarnation) {
        let Some(leader) = self.children.life((service, incarnation)).map(|l| l.leader) else {
            return;
        };
        let Some(child) = self.children.get_mut(leader) else {
            return;
        };
        let Some((mut pipe, plan)) = child.report.take() else {
            return;
        };
        let report = pipe.try_read();
        if matches!(report, Report::Pending) {
            child.report = Some((pipe, plan));
            return;
        }
        child.failed = matches!(report, Report::Failed(_));
        let owner = child.owner;
        self.reported(owner, report, &plan);
    }

    fn reported(&mut self, owner: Owner, report: Report, plan: &Plan) {
        match (owner, report) {
            (Owner::Main(service, incarnation), Report::Failed(failure)) => {
                let fault = super::launch::fault(&failure, plan);
                self.queue.push_back(Event::ExecFailed {
                    service,
                    incarnation,
                    fault,
                });
            }
            (Owner::Main(service, incarnation), Report::ExecOk | Report::Pending) => {
                self.queue.push_back(Event::ExecOk {
                    service,
                    incarnation,
                });
            }
            (Owner::Probe(service, ..) | Owner::StopCommand(service, _), Report::Failed(why)) => {
                let name = &*self.services[service.index()].0;
                tracing::warn!(service = name, error = %why, "its probe or stop command cannot be run");
            }
            (Owner::Probe(..) | Owner::StopCommand(..), Report::ExecOk | Report::Pending) => {}
        }
    }
}

fn ending(ended: Ended) -> Ending {
    match ended {
        Ended::Exited(code) => Ending::Code(code),
        Ended::Signaled { signal, .. } => Ending::Signal(signal),
    }
}
