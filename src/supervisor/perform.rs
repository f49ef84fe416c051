//! What the core wants done, done: one function a deed, none of which waits.

use std::time::Duration;

use nix::unistd::Pid;

use super::children::Owner;
use super::message::{Mailbox, Message};
use super::plan::Role;
use super::{Supervisor, TaskKey, cron, listeners, probes, say};
use crate::config::probe::Check;
use crate::core::{Action, Event, Fact, Incarnation, ProbeKind, ProbeOutcome, ServiceId, Tick};
use crate::process::signals;

/// Of the time for the last logs, so much is kept for what is read last.
const SHIP_LAST: Duration = Duration::from_millis(500);
/// And so much for saying what was not sent.
const SAY_LAST: Duration = Duration::from_millis(100);

impl Supervisor {
    pub(super) fn perform(&mut self, action: Action) {
        match action {
            Action::Spawn {
                service,
                incarnation,
            } => self.spawn(service, incarnation),
            Action::Kill {
                service,
                incarnation,
                signal,
                whole,
            } => {
                self.kill(service, incarnation, signal, whole);
            }
            Action::RunStopCommand {
                service,
                incarnation,
            } => {
                self.run_stop_command(service, incarnation);
            }
            Action::Probe {
                service,
                incarnation,
                probe,
                attempt,
            } => {
                self.probe(service, incarnation, probe, attempt);
            }
            Action::CancelProbes {
                service,
                incarnation,
            } => {
                self.cancel_probes(service, incarnation);
            }
            Action::Schedule(service) => self.schedule(service),
            Action::Unschedule(service) => self.cancel(TaskKey::Schedule(service)),
            Action::Report(fact) => {
                if let (Fact::ShutdownBegan { .. }, Some(shipper)) = (&fact, &self.shipper) {
                    shipper.hurry();
                }
                say::say(&self.core, self.single, &fact);
            }
            Action::Sweep => self.sweep(),
            Action::Flush { until } => self.flush(until),
            Action::Exit => {
                if self.flushing {
                    tracing::warn!("the last lines were not all written or sent in time");
                }
                self.exit = true;
            }
        }
    }

    fn kill(&mut self, id: ServiceId, incarnation: Incarnation, signal: i32, whole: bool) {
        let Some(life) = self.children.life((id, incarnation)) else {
            return;
        };
        let (leader, reaped) = (life.leader, life.awaits_gone);
        life.last_signal = Some(signal);
        if !reaped {
            // Seen now, so that they are known when they have lost parent and session.
            let offspring = self.walker.offspring(leader);
            if let Some(life) = self.children.life((id, incarnation)) {
                life.remembered = offspring;
            }
            self.signal_group(leader, signal);
        }
        if whole {
            let members = self.members(id, incarnation);
            self.walker.kill(&members, signal);
            if signal != libc::SIGKILL {
                self.walker.kill(&members, libc::SIGCONT);
            }
            if let Some(life) = self.children.life((id, incarnation)) {
                life.remembered = members;
            }
        }
        if !reaped && signal != libc::SIGKILL {
            // A stopped process takes no signal but this one and KILL.
            self.signal_group(leader, libc::SIGCONT);
        }
    }

    /// To the group of a child that was not reaped; ESRCH means that it is just ending.
    fn signal_group(&mut self, leader: Pid, signal: i32) {
        // Not reaped yet, and nobody reaps but this thread: the number is still its own.
        if let Err(errno) = signals::kill_leader_and_group(leader, None, signal)
            && errno != nix::errno::Errno::ESRCH
        {
            tracing::warn!(pid = leader.as_raw(), signal, %errno, "cannot be signalled");
        }
    }

    /// Kills whatever still lives below podvisor, at the very end.
    fn sweep(&mut self) {
        let left = self.walker.all();
        if !left.is_empty() {
            tracing::info!(processes = left.len(), "killing what is left");
            self.walker.kill(&left, libc::SIGKILL);
        }
    }

    /// `run -- CMD`: hands a signal on to the command and its group.
    pub(super) fn signal_single(&mut self, signal: i32) {
        let id = ServiceId(0);
        let incarnation = self.core.snapshot(id).incarnation;
        let Some(life) = self.children.life((id, incarnation)) else {
            return;
        };
        let (leader, reaped) = (life.leader, life.awaits_gone);
        if reaped {
            return;
        }
        if self.whole_group {
            self.signal_group(leader, signal);
        } else {
            let _ = signals::kill(leader, None, signal);
        }
    }

    fn run_stop_command(&mut self, id: ServiceId, incarnation: Incarnation) {
        let service = self.services[id.index()].1.clone();
        let owner = Owner::StopCommand(id, incarnation);
        if let Err(fault) = self.start_helper(&service.stop.command, Role::StopCommand, owner) {
            let name = &*self.services[id.index()].0;
            tracing::warn!(service = name, error = %fault.text, "stop command cannot be run");
            self.queue.push_back(Event::StopCommandEnded {
                service: id,
                incarnation,
            });
        }
    }

    fn probe(&mut self, id: ServiceId, incarnation: Incarnation, kind: ProbeKind, attempt: u64) {
        let service = self.services[id.index()].1.clone();
        let Some(probe) = listeners::probe_of(&service, kind) else {
            return;
        };
        let timeout = Duration::from_secs(u64::from(probe.timeout_seconds.max(1)));
        if let Check::Exec(exec) = &probe.check {
            return self.exec_probe(&exec.command, timeout, id, incarnation, kind, attempt);
        }
        let mailbox = self.mailbox.clone();
        let check = probe.check.clone();
        let task = tokio::task::spawn_local(async move {
            let answer = probes::attempt(&check, timeout).await;
            tracing::debug!(probe = kind.name(), detail = %answer.detail, "probed");
            let (outcome, took) = (answer.outcome, answer.took);
            let event = Event::Probed {
                service: id,
                incarnation,
                probe: kind,
                attempt,
                outcome,
                took,
            };
            mailbox.send(Message::Event(event)).await;
        });
        self.keep(
            TaskKey::Probe(id, incarnation, kind as usize),
            task.abort_handle(),
        );
    }

    fn exec_probe(
        &mut self,
        command: &[String],
        timeout: Duration,
        id: ServiceId,
        incarnation: Incarnation,
        probe: ProbeKind,
        attempt: u64,
    ) {
        let owner = Owner::Probe(id, incarnation, probe, attempt);
        match self.start_helper(command, Role::Probe, owner) {
            Ok(pid) => {
                let task = after(
                    self.mailbox.clone(),
                    timeout,
                    Message::Overdue(pid.as_raw()),
                );
                self.keep(TaskKey::Overdue(pid.as_raw()), task);
            }
            Err(fault) => {
                tracing::debug!(error = %fault.text, "probe cannot be run");
                let (outcome, took) = (ProbeOutcome::Error, Duration::ZERO);
                let event = Event::Probed {
                    service: id,
                    incarnation,
                    probe,
                    attempt,
                    outcome,
                    took,
                };
                self.queue.push_back(event);
            }
        }
    }

    /// An exec probe had its time: it is killed whole. Its answer comes when it is reaped, so two never overlap.
    pub(super) fn overdue(&mut self, pid: i32) {
        self.tasks.remove(&TaskKey::Overdue(pid));
        let pid = Pid::from_raw(pid);
        if let Some(child) = self.children.get_mut(pid) {
            child.overdue = true;
            self.signal_group(pid, libc::SIGKILL);
        }
    }

    fn cancel_probes(&mut self, id: ServiceId, incarnation: Incarnation) {
        for kind in ProbeKind::ALL {
            self.cancel(TaskKey::Probe(id, incarnation, kind as usize));
        }
        for (pid, _) in self.children.helpers_of((id, incarnation)) {
            self.signal_group(pid, libc::SIGKILL);
        }
    }

    fn schedule(&mut self, id: ServiceId) {
        let service = &self.services[id.index()].1;
        let Some(text) = &service.schedule else {
            return;
        };
        match crate::units::Schedule::parse(text, service.time_zone.as_deref()) {
            Ok(schedule) => {
                let task =
                    tokio::task::spawn_local(cron::follow(id, schedule, self.mailbox.clone()));
                self.keep(TaskKey::Schedule(id), task.abort_handle());
            }
            Err(error) => {
                let name = &*self.services[id.index()].0;
                tracing::error!(service = name, %error, "its schedule cannot be used");
            }
        }
    }

    /// The last lines: read, shown, sent or spooled, side by side, until the deadline.
    fn flush(&mut self, until: Tick) {
        self.attach_late();
        self.flushing = true;
        let deadline = self.clock.instant(until).into_std();
        // What is read last has to be packed and sent, too.
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        let read_by = match self.shipper {
            Some(_) => deadline - (left / 4).min(SHIP_LAST),
            None => deadline,
        };
        let drained = self.logs.drain(read_by);
        // What could not be sent must still be said in time.
        let deadline = deadline - (left / 8).min(SAY_LAST);
        let shipped = self.shipper.as_ref().map(|shipper| shipper.flush(deadline));
        let mailbox = self.mailbox.clone();
        tokio::task::spawn_local(async move {
            let shipping = async {
                match shipped {
                    Some(shipped) => Some(shipped.await),
                    None => None,
                }
            };
            let (report, shipped) = tokio::join!(drained, shipping);
            if !report.console_written {
                tracing::warn!("the last lines could not be written in time");
            }
            if let Some(left) = shipped.filter(|left| !left.in_time) {
                tracing::warn!(
                    spooled = left.spooled,
                    lost = left.lost,
                    "not all records could be sent in time"
                );
            }
            mailbox.send(Message::Event(Event::Flushed)).await;
        });
    }

    pub(super) fn keep(&mut self, key: TaskKey, task: tokio::task::AbortHandle) {
        if let Some(old) = self.tasks.insert(key, task) {
            old.abort();
        }
    }

    pub(super) fn cancel(&mut self, key: TaskKey) {
        if let Some(task) = self.tasks.remove(&key) {
            task.abort();
        }
    }
}

/// Sends the message after that time.
fn after(mailbox: Mailbox, time: Duration, message: Message) -> tokio::task::AbortHandle {
    tokio::task::spawn_local(async move {
        tokio::time::sleep(time).await;
        mailbox.send(message).await;
    })
    .abort_handle()
}
