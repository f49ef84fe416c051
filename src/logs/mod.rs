//! The log plane: pipes, lines, rings, console.
//!
//! Two threads. `pv-logs` ([`reader`]) reads every service's pipes, cuts them into lines
//! ([`lines`]) and shows each chunk of lines, while it still lies in the read buffer, to the ring
//! ([`ring`]), the console's queue ([`console`]), the `logMatch` watches and the taps ([`Tap`],
//! where batching and shipping hang on). `pv-console` writes the queue to fd 1. Nothing on that way
//! waits for a consumer, but for a bounded moment for a busy console ([`console::PATIENCE`]): what a
//! slow console or sink has no room for is counted and dropped for that console or sink alone.
//!
//! The supervisor holds a [`LogPlane`]: cheap to clone, never blocking.

pub mod console;
pub mod counters;
pub mod drain;
pub mod escape;
pub mod format;
pub mod lines;
pub mod out;
pub mod reader;
pub mod record;
pub mod ring;
pub mod service;
pub mod stamp;
mod stream;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_console;
#[cfg(test)]
mod tests_taps;

use std::future::Future;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use regex::bytes::Regex;
use tokio::sync::{Notify, mpsc, oneshot};

use console::{Console, Consoles};
use counters::ConsoleCounters;
pub use format::Format;
use format::Formatter;
use reader::Command;
pub use record::{Chunk, Line, LineMeta, ServiceId, Stream};
pub use ring::RingLine;
pub use service::{ServiceLog, ServiceOptions, ServiceSpec};

/// Commands that may wait for the logs thread; attach and drain are rare.
const COMMANDS: usize = 1024;

/// Events that may wait for the supervisor before the logs thread sets them aside.
const EVENTS: usize = 256;

/// What is to be read, shown and passed on.
pub struct Config {
    /// The services of the config; more can be registered later.
    pub services: Vec<ServiceSpec>,
    /// What the console shows.
    pub format: Format,
    /// Colour the prefixes. See [`colour_wanted`].
    pub colour: bool,
    /// Where the console writes: [`inherited_stdout`] outside of tests.
    pub console: OwnedFd,
    /// Where stderr is written apart from stdout; together with it when this is none.
    pub console_err: Option<OwnedFd>,
    /// Who else sees every line.
    pub taps: Vec<Box<dyn Tap>>,
}

/// A consumer of all lines, called on the logs thread.
///
/// It must not block and should not allocate per line. It copies or encodes what it wants from the
/// borrowed chunk. If it panics it loses that chunk, nobody else does.
pub trait Tap: Send {
    /// Takes the lines that one read completed.
    fn chunk(&mut self, chunk: &Chunk<'_>);

    /// When [`Tap::expire`] wants to be called, if lines wait for company. Asked after each chunk
    /// and after each expiry.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The deadline has passed.
    fn expire(&mut self, now: Instant) {
        let _ = now;
    }

    /// All pipes are drained: pass on what is held.
    fn flush(&mut self) {}

    /// Asked before a service's pipes are read: they are left alone until [`Hold::until`], or until the hold's bell
    /// rings and this says `None`. Meanwhile the pipes fill, and then the service waits when it writes.
    fn hold(&self, service: ServiceId) -> Option<Hold> {
        let _ = service;
        None
    }
}

/// Why a service's pipes are not read for now.
#[derive(Debug, Clone)]
pub struct Hold {
    /// Rung when it is worth asking again.
    pub bell: Arc<Notify>,
    /// Ask again at this time at the latest.
    pub until: Option<Instant>,
}

/// The two pipes of one start of a service.
#[derive(Debug)]
pub struct Source {
    /// A registered service.
    pub service: ServiceId,
    /// Which start of it. The reader stays bound to it until both pipes end.
    pub incarnation: u64,
    /// The process that was started.
    pub pid: u32,
    /// The read end of its stdout. O_NONBLOCK is set on it.
    pub stdout: OwnedFd,
    /// The read end of its stderr. O_NONBLOCK is set on it.
    pub stderr: OwnedFd,
    /// `logMatch` probes: each is reported once, at the first line of either stream that matches.
    pub watches: Vec<(u32, Regex)>,
}

/// Why a source was not taken. It carries the source: dropping it closes the pipes, which would
/// kill the service with SIGPIPE.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// A bug of the caller.
    #[error("service {} is not registered with the log plane", .0.service.0)]
    Unknown(Box<Source>),
    /// Worth another try.
    #[error("the log plane has {COMMANDS} commands waiting")]
    Busy(Box<Source>),
    /// The logs thread is gone.
    #[error("the log plane has ended")]
    Ended(Box<Source>),
}

/// What the logs thread tells the supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEvent {
    /// A `logMatch` probe's pattern was found.
    Matched {
        /// Whose line it was.
        service: ServiceId,
        /// Which start of the service.
        incarnation: u64,
        /// The probe's number in [`Source::watches`].
        probe: u32,
    },
    /// A bug in podvisor: reading panicked, and goes on with the same pipes.
    Panicked {
        /// Whose lines were being read, if known.
        service: Option<ServiceId>,
        /// The panic's message.
        message: String,
    },
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainReport {
    /// Pipes that others still hold open. Their unfinished lines were given out.
    pub open_pipes: usize,
    /// All pipes were at their end, or silent for [`drain::IDLE`].
    pub pipes_drained: bool,
    /// The console has written all it was given.
    pub console_written: bool,
}

/// The handle. Clones share the plane; when the last is dropped both threads end and all pipes are
/// closed, so the supervisor keeps one for as long as a service lives.
#[derive(Debug, Clone)]
pub struct LogPlane {
    commands: mpsc::Sender<Command>,
    services: Arc<ArcSwap<Vec<Arc<ServiceLog>>>>,
    console: Arc<ConsoleCounters>,
}

impl LogPlane {
    /// Starts the threads. The receiver brings the events, at most 256 waiting.
    ///
    /// # Errors
    /// When a thread or its epoll instance can't be created.
    pub fn start(config: Config) -> std::io::Result<(LogPlane, mpsc::Receiver<LogEvent>)> {
        let counters = Arc::new(ConsoleCounters::default());
        let console = |fd| {
            let formatter = Formatter::new(config.format, config.colour);
            Console::start(fd, formatter, Arc::clone(&counters))
        };
        let consoles = Consoles {
            out: console(config.console)?,
            err: config.console_err.map(console).transpose()?,
        };
        let (events, events_rx) = mpsc::channel(EVENTS);
        let (commands, commands_rx) = mpsc::channel(COMMANDS);
        reader::start(commands_rx, events, consoles, config.taps)?;
        let services = Arc::new(ArcSwap::from_pointee(Vec::new()));
        let plane = LogPlane {
            commands,
            services,
            console: counters,
        };
        plane.register(&config.services);
        Ok((plane, events_rx))
    }

    /// Adds services, or changes the options of known ones (for sources attached from now on; the
    /// ring at once). Counters and ring of a known service stay.
    pub fn register(&self, specs: &[ServiceSpec]) {
        let added: Vec<_> = specs
            .iter()
            .filter(|spec| match self.service(spec.id) {
                Some(known) if known.name() == &spec.name => {
                    known.set_options(&spec.options);
                    false
                }
                _ => true,
            })
            .map(|spec| Arc::new(ServiceLog::new(spec)))
            .collect();
        self.services.rcu(|old| {
            let keep = old
                .iter()
                .filter(|s| added.iter().all(|a| a.id() != s.id()));
            keep.chain(&added).cloned().collect::<Vec<_>>()
        });
        self.announce_width();
    }

    /// Forgets services that the config no longer has. Pipes still open are read to their end.
    pub fn retire(&self, ids: &[ServiceId]) {
        self.services.rcu(|old| {
            old.iter()
                .filter(|s| !ids.contains(&s.id()))
                .cloned()
                .collect::<Vec<_>>()
        });
        self.announce_width();
    }

    /// Only looks matter here: if the queue is full the column stays as it was.
    fn announce_width(&self) {
        let width = self
            .services
            .load()
            .iter()
            .map(|s| s.name().len())
            .max()
            .unwrap_or(0);
        let _ = self.commands.try_send(Command::Width(width));
    }

    /// Hands the pipes of a fresh start to the logs thread.
    ///
    /// # Errors
    /// With the source given back: see [`AttachError`].
    pub fn attach(&self, source: Source) -> Result<(), AttachError> {
        let Some(service) = self.service(source.service) else {
            return Err(AttachError::Unknown(Box::new(source)));
        };
        match self.commands.try_reserve() {
            Ok(permit) => {
                permit.send(Command::Attach(service, Box::new(source)));
                Ok(())
            }
            Err(mpsc::error::TrySendError::Full(())) => Err(AttachError::Busy(Box::new(source))),
            Err(mpsc::error::TrySendError::Closed(())) => Err(AttachError::Ended(Box::new(source))),
        }
    }

    /// Waits until what the services wrote is read and the console has written it, or `deadline`.
    ///
    /// A pipe counts as read at its end, or when it was silent for [`drain::IDLE`]: a grandchild
    /// may hold it for ever. Sources attached before are included. The plane goes on working.
    /// Must be awaited in a tokio runtime with time; it resolves within 100 ms of the deadline even
    /// if the logs thread hangs.
    pub fn drain(&self, deadline: Instant) -> impl Future<Output = DrainReport> + Send + 'static {
        let (reply, answer) = oneshot::channel();
        let sent = self
            .commands
            .try_send(Command::Drain { deadline, reply })
            .is_ok();
        let gave_up = DrainReport {
            open_pipes: 0,
            pipes_drained: false,
            console_written: false,
        };
        async move {
            if !sent {
                return gave_up;
            }
            let grace = tokio::time::Instant::from_std(deadline) + Duration::from_millis(100);
            match tokio::time::timeout_at(grace, answer).await {
                Ok(Ok(report)) => report,
                Ok(Err(_)) | Err(_) => gave_up,
            }
        }
    }

    /// The last `n` lines of a service, oldest first.
    #[must_use]
    pub fn tail(&self, id: ServiceId, n: usize) -> Vec<RingLine> {
        self.service(id)
            .map(|s| s.ring().tail(n))
            .unwrap_or_default()
    }

    /// At most `max` kept lines numbered `seq` or later: how a follower goes on from the last.
    #[must_use]
    pub fn since(&self, id: ServiceId, seq: u64, max: usize) -> Vec<RingLine> {
        self.service(id)
            .map(|s| s.ring().since(seq, max))
            .unwrap_or_default()
    }

    /// All registered services with their counters, for a scrape. Takes no lock.
    #[must_use]
    pub fn services(&self) -> Arc<Vec<Arc<ServiceLog>>> {
        self.services.load_full()
    }

    /// What is counted for the console as a whole.
    #[must_use]
    pub fn console_counters(&self) -> &Arc<ConsoleCounters> {
        &self.console
    }

    fn service(&self, id: ServiceId) -> Option<Arc<ServiceLog>> {
        self.services.load().iter().find(|s| s.id() == id).cloned()
    }
}

/// A duplicate of fd 1. It shares the description, whose flags are never changed.
///
/// # Errors
/// When fd 1 is closed or no descriptor is left.
pub fn inherited_stdout() -> std::io::Result<OwnedFd> {
    use std::os::fd::AsFd;
    std::io::stdout().as_fd().try_clone_to_owned()
}

/// Colours are wanted on a terminal, unless `NO_COLOR` is set to anything but nothing.
#[must_use]
pub fn colour_wanted(fd: &impl std::io::IsTerminal) -> bool {
    fd.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}
