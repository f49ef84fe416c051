//! What the core wants done, and what it wants said.

use std::time::Duration;

use super::event::{Ending, ExecFault, Halt, Incarnation, ServiceId, Tick};
use super::outcome::Failure;
use super::tally::{ProbeKind, RestartReason};

/// Something to do. The driver does it at once and reports by an [`super::Event`].
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Start the service's program. Answered by `Forked` and `ExecOk`, or `ExecFailed`.
    Spawn {
        /// Which service.
        service: ServiceId,
        /// Which start of it.
        incarnation: Incarnation,
    },
    /// Send a signal to the service's process group; `whole`: also to every descendant that left the group.
    /// When its main process has ended already, `Gone` is sent once nothing of it lives.
    Kill {
        /// Which service.
        service: ServiceId,
        /// Which start of it.
        incarnation: Incarnation,
        /// The signal's number. CONT goes after it, so that a stopped process sees it.
        signal: i32,
        /// Also what left the group.
        whole: bool,
    },
    /// Run the service's stop command. Answered by `StopCommandEnded`.
    RunStopCommand {
        /// Which service.
        service: ServiceId,
        /// Which start of it.
        incarnation: Incarnation,
    },
    /// Make one probe attempt. Answered by `Probed`.
    Probe {
        /// Which service.
        service: ServiceId,
        /// Which start of it.
        incarnation: Incarnation,
        /// Which probe.
        probe: ProbeKind,
        /// Which attempt.
        attempt: u64,
    },
    /// Give up the running probe attempts and the stop command of this start.
    CancelProbes {
        /// Which service.
        service: ServiceId,
        /// Which start of it.
        incarnation: Incarnation,
    },
    /// From now on send `CronDue` when the service's schedule says so.
    Schedule(ServiceId),
    /// No longer.
    Unschedule(ServiceId),
    /// Say it: one log line.
    Report(Fact),
    /// Kill everything that still lives below podvisor.
    Sweep,
    /// Write out the last logs, until then at most. Answered by `Flushed`.
    Flush {
        /// The latest moment.
        until: Tick,
    },
    /// The end, once. Nothing comes after it.
    Exit,
}

/// Something that happened and is worth one line in the log.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are what the line says")]
pub enum Fact {
    /// Its program runs.
    Started { service: ServiceId, pid: i32 },
    /// It is ready. `took`: since its start.
    Ready { service: ServiceId, took: Duration },
    /// It is no longer ready.
    Unready { service: ServiceId },
    /// It ended by itself.
    Ended {
        service: ServiceId,
        ending: Ending,
        ran: Duration,
    },
    /// The kernel killed it for want of memory.
    OutOfMemory { service: ServiceId },
    /// It ended, and others of it live on; they are being stopped.
    Survivors { service: ServiceId },
    /// Its program could not be run.
    ExecFailed {
        service: ServiceId,
        fault: ExecFault,
    },
    /// It will be started again.
    Backoff {
        service: ServiceId,
        reason: RestartReason,
        delay: Duration,
        failures: u32,
    },
    /// It did its work. `took`: since its start.
    Completed { service: ServiceId, took: Duration },
    /// It failed for good.
    Failed {
        service: ServiceId,
        failure: Failure,
    },
    /// A probe turned against it.
    ProbeFailed {
        service: ServiceId,
        probe: ProbeKind,
        failures: u32,
    },
    /// Its start took too long.
    StartTimedOut { service: ServiceId },
    /// The watchdog was not fed.
    WatchdogMissed { service: ServiceId },
    /// It is being stopped.
    Stopping { service: ServiceId },
    /// It was stopped. `killed`: something had to be killed.
    Stopped {
        service: ServiceId,
        took: Duration,
        killed: bool,
        ending: Option<Ending>,
    },
    /// It did not follow in time and is killed.
    Killing { service: ServiceId },
    /// It was killed, and something of it is still there (uninterruptible sleep).
    Unkillable { service: ServiceId },
    /// It does not start, because what it conflicts with does.
    ConflictLost { service: ServiceId, with: ServiceId },
    /// Its time came while the previous run still ran.
    CronSkipped { service: ServiceId },
    /// Nothing is started any more.
    Refused { service: ServiceId },
    /// All required services have been ready at once.
    Up { took: Duration },
    /// podvisor ends.
    ShutdownBegan { why: ShutdownWhy },
    /// Asked again: no more order.
    ShutdownHurried { halt: Halt },
    /// The deadline has come, and so many services are killed.
    DeadlineReached { left: usize },
    /// podvisor itself did not run for this long; nothing is held against the services.
    Frozen { lasted: Duration },
}

/// Why podvisor ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownWhy {
    /// Somebody asked.
    Asked(Halt),
    /// A required service failed for good.
    Failed(ServiceId),
    /// A service with `onSuccess: shutdown` completed.
    Succeeded(ServiceId),
    /// There is nothing left to do.
    AllDone,
}
