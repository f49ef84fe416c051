//! What a simulated process does: one [`Life`] for each start of a service.

use std::time::Duration;

use podvisor::core::{Ending, Notice, ProbeKind, ProbeOutcome};

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// How the start of the program goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exec {
    Works,
    /// The process is made, its program cannot be run: this code, for good or not.
    Fails {
        code: u8,
        permanent: bool,
    },
    /// There is no process at all, for the moment.
    NoFork,
}

/// What the main process does when it is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStop {
    /// The signal ends it, this long after.
    Dies(Duration),
    /// It exits by itself with this code.
    Exits(Duration, i32),
    Ignores,
}

/// What else of the service lives when its main process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    None,
    /// They follow any signal.
    Polite,
    /// They follow KILL only.
    Stubborn,
    /// The kernel holds them.
    Unkillable,
}

/// One life of a process.
#[derive(Debug, Clone)]
pub struct Life {
    pub exec: Exec,
    pub fork_takes: Duration,
    pub exec_takes: Duration,
    /// By itself, so long after the exec.
    pub ends: Option<(Duration, Ending)>,
    pub on_stop: OnStop,
    /// How long after KILL it is gone; never when None.
    pub dies_in: Option<Duration>,
    pub others: Others,
    /// Startup and readiness are answered by yes from then on …
    pub up_after: Duration,
    /// … until then.
    pub ready_until: Option<Duration>,
    /// Liveness is answered by yes until then.
    pub alive_until: Option<Duration>,
    /// Answers that are given first, whatever the time.
    pub answers: [Vec<ProbeOutcome>; 3],
    pub answer_takes: Duration,
    /// An answer comes this much too late, and as a timeout.
    pub late: Duration,
    /// In percent: how many answers are lost, how many are the opposite.
    pub loses: u8,
    pub flaps: u8,
    /// What it says, when.
    pub says: Vec<(Duration, Option<ProbeKind>, Notice)>,
    /// How long its stop command takes; for ever when None.
    pub command_takes: Option<Duration>,
}

impl Default for Life {
    fn default() -> Self {
        Self {
            exec: Exec::Works,
            fork_takes: Duration::ZERO,
            exec_takes: ms(1),
            ends: None,
            on_stop: OnStop::Dies(ms(10)),
            dies_in: Some(ms(1)),
            others: Others::None,
            up_after: Duration::ZERO,
            ready_until: None,
            alive_until: None,
            answers: Default::default(),
            answer_takes: ms(1),
            late: Duration::ZERO,
            loses: 0,
            flaps: 0,
            says: Vec::new(),
            command_takes: Some(ms(5)),
        }
    }
}

/// Runs until it is stopped.
pub fn runs() -> Life {
    Life::default()
}

/// Runs this long, then exits with this code.
pub fn exits(after: Duration, code: i32) -> Life {
    Life {
        ends: Some((after, Ending::Code(code))),
        ..Life::default()
    }
}

/// Runs this long, then a signal ends it.
pub fn dies(after: Duration, signal: i32) -> Life {
    Life {
        ends: Some((after, Ending::Signal(signal))),
        ..Life::default()
    }
}

/// Its program is not there.
pub fn missing() -> Life {
    Life {
        exec: Exec::Fails {
            code: 127,
            permanent: true,
        },
        ..Life::default()
    }
}

/// No process can be made.
pub fn no_fork() -> Life {
    Life {
        exec: Exec::NoFork,
        ..Life::default()
    }
}

/// Follows KILL only.
pub fn stubborn() -> Life {
    Life {
        on_stop: OnStop::Ignores,
        ..Life::default()
    }
}

impl Life {
    pub fn on_stop(mut self, on_stop: OnStop) -> Self {
        self.on_stop = on_stop;
        self
    }

    pub fn leaving(mut self, others: Others) -> Self {
        self.others = others;
        self
    }

    pub fn up_after(mut self, after: Duration) -> Self {
        self.up_after = after;
        self
    }

    pub fn alive_until(mut self, until: Duration) -> Self {
        self.alive_until = Some(until);
        self
    }

    pub fn ready_until(mut self, until: Duration) -> Self {
        self.ready_until = Some(until);
        self
    }

    pub fn answering(mut self, kind: ProbeKind, answers: &[ProbeOutcome]) -> Self {
        self.answers[kind as usize] = answers.to_vec();
        self
    }

    pub fn says(mut self, after: Duration, notice: Notice) -> Self {
        self.says.push((after, None, notice));
        self
    }

    pub fn tells(mut self, after: Duration, kind: ProbeKind) -> Self {
        self.says.push((after, Some(kind), Notice::Ready));
        self
    }

    /// Whether it says yes to a probe, so long after its exec.
    pub fn answer(&self, kind: ProbeKind, attempt: u64, since: Duration) -> ProbeOutcome {
        let place = usize::try_from(attempt).unwrap_or(usize::MAX) - 1;
        if let Some(scripted) = self.answers[kind as usize].get(place) {
            return *scripted;
        }
        let yes = match kind {
            ProbeKind::Startup => since >= self.up_after,
            ProbeKind::Readiness => {
                since >= self.up_after && self.ready_until.is_none_or(|until| since < until)
            }
            ProbeKind::Liveness => self.alive_until.is_none_or(|until| since < until),
        };
        if yes {
            ProbeOutcome::Success
        } else {
            ProbeOutcome::Failure
        }
    }
}
