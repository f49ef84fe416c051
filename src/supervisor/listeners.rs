//! What a service tells by itself: sd_notify datagrams, s6's descriptor, an awaited log line.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use super::message::{Mailbox, Message};
use super::{Supervisor, TaskKey};
use crate::config::model::Service;
use crate::config::probe::{Check, Probe};
use crate::core::{Event, ExecFault, Incarnation, Notice, ProbeKind, ServiceId};
use crate::exit;
use crate::process::notify::{self, NotifySocket, Watchdog};
use crate::process::watch::watch;

/// One of a service's probes.
pub(super) fn probe_of(service: &Service, kind: ProbeKind) -> Option<&Probe> {
    match kind {
        ProbeKind::Startup => service.startup_probe.as_ref(),
        ProbeKind::Readiness => service.readiness_probe.as_ref(),
        ProbeKind::Liveness => service.liveness_probe.as_ref(),
    }
}

fn checks(service: &Service) -> impl Iterator<Item = (ProbeKind, &Probe)> {
    ProbeKind::ALL
        .into_iter()
        .filter_map(|kind| Some((kind, probe_of(service, kind)?)))
}

/// How long the service may be silent, if its liveness is a watchdog.
pub(super) fn watchdog(service: &Service) -> Option<Duration> {
    let probe = service
        .liveness_probe
        .as_ref()
        .filter(|p| p.check == Check::Notify)?;
    let period = u64::from(probe.period_seconds) * u64::from(probe.failure_threshold);
    Some(Duration::from_secs(period.max(1)))
}

/// The descriptors on which the service writes a newline when it is ready.
pub(super) fn notify_fds(service: &Service) -> Vec<(ProbeKind, i32)> {
    checks(service)
        .filter_map(|(kind, probe)| match probe.check {
            Check::NotifyFd(number) => Some((kind, number)),
            _ => None,
        })
        .collect()
}

/// The lines that tell readiness, by the number of their probe.
pub(super) fn log_watches(service: &Service) -> Vec<(u32, regex::bytes::Regex)> {
    checks(service)
        .filter_map(|(kind, probe)| match &probe.check {
            // The config check compiled it; one that does not compile awaits nothing.
            Check::LogMatch(pattern) => {
                Some((kind as u32, regex::bytes::Regex::new(pattern).ok()?))
            }
            _ => None,
        })
        .collect()
}

fn no_listener(what: &str, error: &dyn std::fmt::Display) -> ExecFault {
    ExecFault {
        code: exit::CANNOT_CREATE_PROCESS,
        permanent: false,
        text: format!("making its {what}: {error}"),
    }
}

impl Supervisor {
    /// A socket for sd_notify, if one of the service's probes listens to it: a new one for each start, so that what
    /// an earlier one still sends is heard by nobody.
    pub(super) fn listen_notify(
        &mut self,
        id: ServiceId,
        incarnation: Incarnation,
    ) -> Result<Option<PathBuf>, ExecFault> {
        let (name, service) = &self.services[id.index()];
        if !checks(service).any(|(_, probe)| probe.check == Check::Notify) {
            return Ok(None);
        }
        let Some(dir) = &self.runtime_dir else {
            return Err(ExecFault {
                code: exit::CANNOT_CREATE_PROCESS,
                permanent: true,
                text: "no writable folder for its notify socket: mount one at /run/podvisor"
                    .to_owned(),
            });
        };
        let path = dir.join(format!("{name}.{}.notify", incarnation.0));
        let socket =
            NotifySocket::bind(&path).map_err(|error| no_listener("notify socket", &error))?;
        let task = hear_datagrams(socket, id, incarnation, self.mailbox.clone());
        let task = tokio::task::spawn_local(task).abort_handle();
        self.keep(TaskKey::Listener(id, incarnation, 3), task);
        Ok(Some(path))
    }

    /// A descriptor for s6's readiness notification; the service gets the other end.
    pub(super) fn listen_fd(
        &mut self,
        id: ServiceId,
        incarnation: Incarnation,
        kind: ProbeKind,
    ) -> Result<OwnedFd, ExecFault> {
        let (ours, theirs) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)
            .map_err(|error| no_listener("notify descriptor", &error))?;
        let flags = nix::fcntl::OFlag::O_NONBLOCK;
        nix::fcntl::fcntl(ours.as_fd(), nix::fcntl::FcntlArg::F_SETFL(flags))
            .map_err(|error| no_listener("notify descriptor", &error))?;
        let task = hear_newline(ours, id, incarnation, kind, self.mailbox.clone());
        let task = tokio::task::spawn_local(task).abort_handle();
        self.keep(TaskKey::Listener(id, incarnation, kind as u8), task);
        Ok(theirs)
    }
}

async fn hear_datagrams(
    socket: NotifySocket,
    service: ServiceId,
    incarnation: Incarnation,
    mailbox: Mailbox,
) {
    let Ok(socket) = watch(socket) else { return };
    loop {
        let Ok(mut ready) = socket.readable().await else {
            return;
        };
        match socket.get_ref().try_recv() {
            Ok(Some(received)) => {
                for notice in received.message.iter().flat_map(notices) {
                    let event = Event::Notified {
                        service,
                        incarnation,
                        probe: None,
                        notice,
                    };
                    mailbox.send(Message::Event(event)).await;
                }
            }
            Ok(None) => ready.clear_ready(),
            Err(_) => return,
        }
    }
}

/// What a datagram means to the core, the deadline first: it may come with the state that needs it.
fn notices(message: &notify::Message) -> Vec<Notice> {
    let mut notices = Vec::new();
    notices.extend(message.extend_timeout.map(Notice::ExtendTimeout));
    notices.extend(message.watchdog_interval.map(Notice::WatchdogPeriod));
    notices.extend(message.ready.then_some(Notice::Ready));
    notices.extend(message.watchdog.map(|said| match said {
        Watchdog::Ping => Notice::Watchdog,
        Watchdog::Trigger => Notice::WatchdogTrigger,
    }));
    notices.extend(message.stopping.then_some(Notice::Stopping));
    notices
}

async fn hear_newline(
    pipe: OwnedFd,
    service: ServiceId,
    incarnation: Incarnation,
    probe: ProbeKind,
    mailbox: Mailbox,
) {
    let Ok(pipe) = watch(pipe) else { return };
    loop {
        let Ok(mut ready) = pipe.readable().await else {
            return;
        };
        let mut buffer = [0; 64];
        match nix::unistd::read(pipe.get_ref(), &mut buffer) {
            Ok(0) => return,
            Ok(size) if buffer[..size].contains(&b'\n') => {
                let notice = Notice::Ready;
                let event = Event::Notified {
                    service,
                    incarnation,
                    probe: Some(probe),
                    notice,
                };
                return mailbox.send(Message::Event(event)).await;
            }
            Ok(_) => {}
            Err(nix::errno::Errno::EAGAIN) => ready.clear_ready(),
            Err(_) => return,
        }
    }
}
