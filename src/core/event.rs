//! What can happen to the core: every event names its service and incarnation, so that a late one can be told.

use std::time::Duration;

use super::tally::ProbeKind;

/// A moment of monotonic time: nanoseconds since an origin that the driver chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tick(pub u64);

impl Tick {
    /// The moment `after` later; saturates in some 580 years.
    #[must_use]
    pub fn plus(self, after: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    /// How long after `earlier` this is; zero when it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A service, by its place in the graph (which is name order).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(pub u32);

impl ServiceId {
    /// Its place as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One start of a service: grows with each, never comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Incarnation(pub u64);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Ending {
    /// The exit code a shell would report.
    pub fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {}", crate::units::signal_label(*signal)),
        }
    }
}

/// What one probe attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// It succeeded.
    Success,
    /// It was answered, and the answer is no.
    Failure,
    /// It was not answered in time.
    Timeout,
    /// It could not be asked (no connection, no such program).
    Error,
}

impl ProbeOutcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Success, Self::Failure, Self::Timeout, Self::Error];

    /// The name that stands in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Timeout => "timeout",
            Self::Error => "error",
        }
    }
}

/// Why a program did not run, as far as it decides what happens next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecFault {
    /// 127 not found, 126 could not be executed, 71 no process could be made.
    pub code: u8,
    /// Trying again cannot help (ENOENT, EACCES, ENOEXEC, E2BIG …).
    pub permanent: bool,
    /// What failed and why, for people.
    pub text: String,
}

/// What a service said through sd_notify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// READY=1, or a newline on the notify descriptor, or the awaited log line.
    Ready,
    /// STOPPING=1.
    Stopping,
    /// WATCHDOG=1.
    Watchdog,
    /// WATCHDOG=trigger.
    WatchdogTrigger,
    /// WATCHDOG_USEC: the watchdog's period from now on; zero turns it off.
    WatchdogPeriod(Duration),
    /// EXTEND_TIMEOUT_USEC: the running start or stop may take this long from now.
    ExtendTimeout(Duration),
}

/// What somebody asks of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Start it, and what it needs.
    Start,
    /// Stop it, and what needs it.
    Stop,
    /// Stop it if it runs, then start it.
    Restart,
}

/// What asks podvisor itself to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// In order (TERM, INT …). Again after at least a second: faster; a third time: at once.
    Stop,
    /// At once (QUIT).
    Quit,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    missing_docs,
    reason = "each names the service, its incarnation, and what the variant says"
)]
pub enum Event {
    /// podvisor is ready to start services.
    Boot,
    /// The process was made; whether its program runs is not known yet.
    Forked {
        service: ServiceId,
        incarnation: Incarnation,
        pid: i32,
    },
    /// Its program runs.
    ExecOk {
        service: ServiceId,
        incarnation: Incarnation,
    },
    /// There is no process, or it could not run its program.
    ExecFailed {
        service: ServiceId,
        incarnation: Incarnation,
        fault: ExecFault,
    },
    /// The kernel killed the main process for want of memory; [`Event::Exited`] follows.
    OutOfMemory {
        service: ServiceId,
        incarnation: Incarnation,
    },
    /// The main process ended. `survivors`: others of the service live on.
    Exited {
        service: ServiceId,
        incarnation: Incarnation,
        ending: Ending,
        survivors: bool,
    },
    /// Nothing of the service lives any more, after [`Event::Exited`] with survivors.
    Gone {
        service: ServiceId,
        incarnation: Incarnation,
    },
    /// A probe attempt ended.
    Probed {
        service: ServiceId,
        incarnation: Incarnation,
        probe: ProbeKind,
        attempt: u64,
        outcome: ProbeOutcome,
        took: Duration,
    },
    /// A service told something about itself. `probe` is set when it answers one probe only (a log line, a descriptor).
    Notified {
        service: ServiceId,
        incarnation: Incarnation,
        probe: Option<ProbeKind>,
        notice: Notice,
    },
    /// The stop command ended, or could not be run.
    StopCommandEnded {
        service: ServiceId,
        incarnation: Incarnation,
    },
    /// The time of a cron service has come.
    CronDue { service: ServiceId },
    /// Somebody asks something of a service.
    Asked {
        service: ServiceId,
        request: Request,
    },
    /// podvisor is to end.
    Halt(Halt),
    /// The last logs are out, or it is too late for them.
    Flushed,
    /// A moment that [`super::Core::next_deadline`] named has come (or the driver just looks in).
    Timer,
}
