//! Starting processes: a service's own, its stop command, its exec probes. Fork, register, hand on.

use std::os::fd::{AsFd, OwnedFd};

use nix::unistd::Pid;

use super::children::{Child, Life, Owner};
use super::message::Message;
use super::plan::{self, Role, Start};
use super::{Supervisor, listeners};
use crate::core::{Event, ExecFault, Incarnation, ServiceId};
use crate::exit;
use crate::logs::{self, AttachError, Source};
use crate::process::plan::Plan;
use crate::process::report::{ExecFailure, Step};
use crate::process::spawn;
use crate::process::watch::watch;

impl Supervisor {
    pub(super) fn spawn(&mut self, id: ServiceId, incarnation: Incarnation) {
        match self.try_spawn(id, incarnation) {
            Ok(pid) => {
                let event = Event::Forked {
                    service: id,
                    incarnation,
                    pid: pid.as_raw(),
                };
                self.queue.push_back(event);
            }
            Err(fault) => {
                self.end_life(id, incarnation);
                self.queue.push_back(Event::ExecFailed {
                    service: id,
                    incarnation,
                    fault,
                });
            }
        }
    }

    fn try_spawn(&mut self, id: ServiceId, incarnation: Incarnation) -> Result<Pid, ExecFault> {
        let (name, service) = self.services[id.index()].clone();
        let role = match (self.single, self.foreground) {
            (true, true) => Role::Foreground,
            (true, false) => Role::Single,
            (false, _) => Role::Main,
        };
        let token = plan::token(&self.ground, &name, incarnation.0);
        let mut extra_env = Vec::new();
        let mut extra_fds = Vec::new();
        if let Some(path) = self.listen_notify(id, incarnation)? {
            extra_env.push(("NOTIFY_SOCKET", path.display().to_string()));
            if let Some(limit) = listeners::watchdog(&service) {
                extra_env.push(("WATCHDOG_USEC", limit.as_micros().to_string()));
            }
        }
        for (kind, number) in listeners::notify_fds(&service) {
            extra_fds.push((number, self.listen_fd(id, incarnation, kind)?));
        }
        let argv = plan::command_line(&service);
        let start = Start {
            role,
            argv: &argv,
            token: &token,
            env: &extra_env,
            fds: extra_fds,
        };
        let mut plan = plan::plan(&self.ground, &name, &service, start).map_err(ExecFault::from)?;
        let child = spawn::spawn(&plan).map_err(|error| no_process(&error))?;
        // The child has its copies of these; ours would keep its end of the pipe open.
        plan.extra_fds.clear();
        // Registered before anything can be reaped: reaping happens on this thread, later.
        let report = child.report;
        let watched = report.as_fd().try_clone_to_owned();
        self.children.add(
            child.pid,
            Child {
                owner: Owner::Main(id, incarnation),
                report: Some((report, Box::new(plan))),
                failed: false,
                began: self.now(),
                overdue: false,
            },
        );
        let leader = child.pid;
        self.children.begin_life(
            (id, incarnation),
            Life {
                leader,
                token,
                leader_starttime: self.walker.starttime(leader),
                awaits_gone: false,
                remembered: Vec::new(),
                last_signal: None,
            },
        );
        if let Ok(fd) = watched {
            self.watch_report(fd, id, incarnation);
        }
        if let (Some(stdout), Some(stderr)) = (child.stdout, child.stderr) {
            let watches = listeners::log_watches(&service);
            self.attach(Source {
                service: logs::ServiceId(id.0),
                incarnation: incarnation.0,
                pid: leader.as_raw().unsigned_abs(),
                stdout,
                stderr,
                watches,
            });
        }
        Ok(leader)
    }

    fn watch_report(&mut self, fd: OwnedFd, id: ServiceId, incarnation: Incarnation) {
        let mailbox = self.mailbox.clone();
        tokio::task::spawn_local(async move {
            if let Ok(fd) = watch(fd)
                && fd.readable().await.is_ok()
            {
                mailbox.send(Message::Report(id, incarnation)).await;
            }
        });
    }

    /// Starts a process beside a service: with its identity and environment, in a group of its own.
    pub(super) fn start_helper(
        &mut self,
        argv: &[String],
        role: Role,
        owner: Owner,
    ) -> Result<Pid, ExecFault> {
        let (id, incarnation) = owner.life();
        let (name, service) = self.services[id.index()].clone();
        let token = format!("{}/helper", plan::token(&self.ground, &name, incarnation.0));
        let pid_of_main = self
            .children
            .life((id, incarnation))
            .map(|life| life.leader.as_raw());
        let env = [("MAINPID", pid_of_main.unwrap_or_default().to_string())];
        let start = Start {
            role,
            argv,
            token: &token,
            env: &env,
            fds: Vec::new(),
        };
        let plan = plan::plan(&self.ground, &name, &service, start).map_err(ExecFault::from)?;
        let child = spawn::spawn(&plan).map_err(|error| no_process(&error))?;
        if let (Some(stdout), Some(stderr)) = (child.stdout, child.stderr) {
            self.attach(Source {
                service: logs::ServiceId(id.0),
                incarnation: incarnation.0,
                pid: child.pid.as_raw().unsigned_abs(),
                stdout,
                stderr,
                watches: Vec::new(),
            });
        }
        self.children.add(
            child.pid,
            Child {
                owner,
                report: Some((child.report, Box::new(plan))),
                failed: false,
                began: self.now(),
                overdue: false,
            },
        );
        Ok(child.pid)
    }

    /// Hands pipes to the log plane; one that is busy gets them in the next turn.
    pub(super) fn attach(&mut self, source: Source) {
        match self.logs.attach(source) {
            Ok(()) => {}
            Err(AttachError::Busy(source)) => self.unattached.push(*source),
            Err(error) => tracing::error!(%error, "output is not read"),
        }
    }

    /// What was too much for the log plane before.
    pub(super) fn attach_late(&mut self) {
        for source in std::mem::take(&mut self.unattached) {
            self.attach(source);
        }
    }
}

/// No process could be made.
fn no_process(error: &spawn::SpawnError) -> ExecFault {
    ExecFault {
        code: exit::CANNOT_CREATE_PROCESS,
        permanent: error.is_permanent(),
        text: error.to_string(),
    }
}

/// A process was made and could not run its program.
pub(super) fn fault(failure: &ExecFailure, plan: &Plan) -> ExecFault {
    let hint = plan.hint(failure).or_else(|| {
        let program = plan.argv.first().filter(|_| failure.step == Step::Exec)?;
        Some(program.to_string_lossy().into_owned())
    });
    ExecFault {
        code: failure.exit_code(),
        permanent: failure.is_permanent(),
        text: match hint {
            Some(hint) => format!("{failure} ({hint})"),
            None => failure.to_string(),
        },
    }
}
