//! The exit code of the container: the first failure decides, later ones never overwrite it.

use super::event::{Ending, ServiceId};
use crate::exit;

/// Why a service failed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Its process ended like this, and is not to be started again.
    Ended(Ending),
    /// Its program could not be executed: what failed, and 126, 127 or 71.
    Exec {
        /// The exit code.
        code: u8,
        /// For people.
        text: String,
    },
    /// It was not ready in time.
    StartTimeout,
    /// Something that it needs failed for good.
    Dependency(ServiceId),
    /// Its liveness probe kept failing.
    Liveness,
    /// It kept missing its watchdog.
    Watchdog,
    /// It did not follow its stop and was killed at the shutdown deadline.
    Killed,
}

impl Failure {
    /// The exit code that podvisor ends with when this failure decides.
    pub fn code(&self) -> u8 {
        match self {
            // A daemon that is not to end and did, again and again: that is a failure, whatever it says itself.
            Self::Ended(Ending::Code(0)) => exit::FAILED,
            Self::Ended(ending) => u8::try_from(ending.shell_code()).unwrap_or(u8::MAX),
            Self::Exec { code, .. } => *code,
            Self::StartTimeout => exit::START_DEADLINE,
            Self::Dependency(_) => exit::DEPENDENCY_FAILED,
            Self::Liveness | Self::Watchdog => exit::LIVENESS,
            Self::Killed => exit::KILLED_AT_DEADLINE,
        }
    }
}

/// What podvisor ends with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Outcome {
    /// Nothing has decided yet; if it stays so, everything ended cleanly.
    #[default]
    Clean,
    /// A service with `onSuccess: shutdown` completed, whatever its helpers do now.
    Succeeded(ServiceId),
    /// This required service decided.
    Failed(ServiceId, Failure),
    /// QUIT.
    Quit,
}

impl Outcome {
    /// Decides, unless something else did before.
    pub(super) fn decide(&mut self, verdict: Self) {
        if *self == Self::Clean {
            *self = verdict;
        }
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Clean | Self::Succeeded(_) => exit::OK,
            Self::Failed(_, failure) => failure.code(),
            Self::Quit => exit::QUIT,
        }
    }
}
