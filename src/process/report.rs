//! Which step of a start failed, and the pipe over which the child says so.
//!
//! The pipe is close-on-exec: its end without a word means that the exec happened. (A child killed
//! before its exec looks the same; its exit status, which the reaper delivers, tells.) The report and
//! the exit arrive in either order; in bursts the exit is nearly always first.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;

/// One step on the way to a running process; the names are part of messages and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Step {
    /// Parent: argv and environment as C strings.
    Arguments = 1,
    /// Parent: `/dev/null`, the output pipes and the report pipe.
    Pipes,
    /// Parent: fork(2).
    Fork,
    /// Every signal disposition back to its default.
    Dispositions,
    /// An empty signal mask.
    Mask,
    /// setsid(2) or setpgid(2).
    Session,
    /// tcsetpgrp(3).
    Terminal,
    /// stdin, stdout, stderr, extra descriptors, close-on-exec for the rest.
    Descriptors,
    /// setpriority(2).
    Nice,
    /// `/proc/self/oom_score_adj`.
    OomScore,
    /// prlimit(2).
    Limits,
    /// umask(2).
    Umask,
    /// chdir(2).
    WorkingDirectory,
    /// setgroups(2).
    Groups,
    /// setresgid(2).
    Gid,
    /// setresuid(2).
    Uid,
    /// Bounding set, capset(2), ambient set.
    Capabilities,
    /// `PR_SET_NO_NEW_PRIVS`.
    NoNewPrivileges,
    /// `PR_SET_PDEATHSIG`.
    ParentDeathSignal,
    /// execve(2).
    Exec,
    /// Parent: reading the child's report.
    Report,
}

impl Step {
    const ALL: [Self; 21] = [
        Self::Arguments,
        Self::Pipes,
        Self::Fork,
        Self::Dispositions,
        Self::Mask,
        Self::Session,
        Self::Terminal,
        Self::Descriptors,
        Self::Nice,
        Self::OomScore,
        Self::Limits,
        Self::Umask,
        Self::WorkingDirectory,
        Self::Groups,
        Self::Gid,
        Self::Uid,
        Self::Capabilities,
        Self::NoNewPrivileges,
        Self::ParentDeathSignal,
        Self::Exec,
        Self::Report,
    ];

    fn from_byte(byte: u8) -> Self {
        let found = Self::ALL.into_iter().find(|step| *step as u8 == byte);
        found.unwrap_or(Self::Report)
    }

    /// What was being done, as a phrase that fits before a colon and an error.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Arguments => "preparing the arguments and the environment",
            Self::Pipes => "opening pipes",
            Self::Fork => "forking",
            Self::Dispositions => "resetting signal dispositions",
            Self::Mask => "emptying the signal mask",
            Self::Session => "starting a session",
            Self::Terminal => "taking the terminal",
            Self::Descriptors => "setting up descriptors",
            Self::Nice => "setting the nice value",
            Self::OomScore => "setting the OOM score adjustment",
            Self::Limits => "setting resource limits",
            Self::Umask => "setting the umask",
            Self::WorkingDirectory => "changing to the working directory",
            Self::Groups => "setting supplementary groups",
            Self::Gid => "changing the group",
            Self::Uid => "changing the user",
            Self::Capabilities => "setting capabilities",
            Self::NoNewPrivileges => "setting no_new_privs",
            Self::ParentDeathSignal => "setting the parent death signal",
            Self::Exec => "executing the command",
            Self::Report => "reading the child's report",
        }
    }
}

/// A child that could not become its command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecFailure {
    /// The step that failed.
    pub step: Step,
    /// Why.
    pub errno: Errno,
}

impl fmt::Display for ExecFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // nix shows an errno as "ENOENT: No such file or directory".
        write!(f, "{}: {}", self.step.description(), self.errno)
    }
}

impl std::error::Error for ExecFailure {}

impl ExecFailure {
    /// Will the same start fail again until somebody changes something?
    ///
    /// Shortages (memory, processes, descriptors) and a binary that is just being written pass; a
    /// missing or forbidden file does not.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        !matches!(
            self.errno,
            Errno::EAGAIN
                | Errno::ENOMEM
                | Errno::EMFILE
                | Errno::ENFILE
                | Errno::ETXTBSY
                | Errno::EINTR
                | Errno::EIO
                | Errno::ESTALE
                | Errno::ETIMEDOUT
        )
    }

    /// The exit code that stands for this failure: 127 when the command was not found, otherwise
    /// 126, as a shell has it (POSIX XCU 2.8.2).
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match (self.step, self.errno) {
            (Step::Exec, Errno::ENOENT | Errno::ENOTDIR) => 127,
            _ => 126,
        }
    }
}

/// What the report pipe says now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// The child is still on its way.
    Pending,
    /// The pipe ended without a word: the command runs (or the child was killed before).
    ExecOk,
    /// A step failed; the child exits with 127 by itself.
    Failed(ExecFailure),
}

/// Bytes of one message: the step, then the errno in native order.
pub(super) const MESSAGE: usize = 5;

/// The message that the child writes; at most `PIPE_BUF`, so it arrives whole (pipe(7)).
pub(super) const fn encode(step: Step, errno: i32) -> [u8; MESSAGE] {
    let [a, b, c, d] = errno.to_ne_bytes();
    [step as u8, a, b, c, d]
}

const fn decode_errno(message: [u8; MESSAGE]) -> Errno {
    let [_, a, b, c, d] = message;
    Errno::from_raw(i32::from_ne_bytes([a, b, c, d]))
}

/// The parent's end of the report pipe: readable (or at its end) when there is something to learn.
#[derive(Debug)]
pub struct ReportPipe {
    fd: OwnedFd,
    settled: Option<Report>,
}

impl ReportPipe {
    pub(super) const fn new(fd: OwnedFd) -> Self {
        Self { fd, settled: None }
    }

    /// Reads without blocking. Once settled, it keeps giving the same answer.
    pub fn try_read(&mut self) -> Report {
        if let Some(report) = self.settled {
            return report;
        }
        let mut message = [0; MESSAGE];
        let report = loop {
            match nix::unistd::read(&self.fd, &mut message) {
                Ok(0) => break Report::ExecOk,
                Ok(MESSAGE) => {
                    break Report::Failed(ExecFailure {
                        step: Step::from_byte(message[0]),
                        errno: decode_errno(message),
                    });
                }
                Ok(_) => {
                    break Report::Failed(ExecFailure {
                        step: Step::Report,
                        errno: Errno::EPROTO,
                    });
                }
                Err(Errno::EAGAIN) => return Report::Pending,
                Err(Errno::EINTR) => {}
                Err(errno) => {
                    break Report::Failed(ExecFailure {
                        step: Step::Report,
                        errno,
                    });
                }
            }
        };
        self.settled = Some(report);
        report
    }
}

impl AsFd for ReportPipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for ReportPipe {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::OFlag;

    #[test]
    fn every_step_survives_its_byte() {
        for step in Step::ALL {
            assert_eq!(Step::from_byte(step as u8), step);
            assert!(!step.description().is_empty());
        }
        assert_eq!(Step::from_byte(0), Step::Report);
    }

    #[test]
    fn pipe_is_pending_then_settled() {
        let (ours, theirs) = nix::unistd::pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).unwrap();
        let mut pipe = ReportPipe::new(ours);
        assert_eq!(pipe.try_read(), Report::Pending);
        nix::unistd::write(&theirs, &encode(Step::Uid, libc::EPERM)).unwrap();
        drop(theirs);
        let failed = Report::Failed(ExecFailure {
            step: Step::Uid,
            errno: Errno::EPERM,
        });
        assert_eq!(pipe.try_read(), failed);
        assert_eq!(pipe.try_read(), failed);
    }

    #[test]
    fn end_without_a_word_means_exec() {
        let (ours, theirs) = nix::unistd::pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).unwrap();
        drop(theirs);
        assert_eq!(ReportPipe::new(ours).try_read(), Report::ExecOk);
    }

    #[test]
    fn words_and_codes() {
        let missing = ExecFailure {
            step: Step::WorkingDirectory,
            errno: Errno::ENOENT,
        };
        assert_eq!(
            missing.to_string(),
            "changing to the working directory: ENOENT: No such file or directory"
        );
        assert_eq!((missing.exit_code(), missing.is_permanent()), (126, true));
        let exec = |errno| ExecFailure {
            step: Step::Exec,
            errno,
        };
        assert_eq!(exec(Errno::ENOENT).exit_code(), 127);
        assert_eq!(exec(Errno::EACCES).exit_code(), 126);
        assert!(exec(Errno::E2BIG).is_permanent());
        assert!(!exec(Errno::ETXTBSY).is_permanent());
    }
}
