//! The one place that waits for children.
//!
//! SIGCHLD is a standard signal: while one is pending, more are lost (signal(7)). So a wake-up means
//! "at least one", and every wake-up drains until nothing is left or the turn's bound is reached; in
//! the second case [`Drained::more`] asks for another turn without waiting for a signal.
//!
//! Each child is first seen with `WNOWAIT` and reaped in a second call. Between the two it is a
//! zombie: its pid and its process group cannot be reused, so this is the moment to signal the group.
//! The kernel shows the same zombie until it is reaped, therefore nothing can be put off.
#![expect(
    unsafe_code,
    reason = "wait4(2) and waitid(2), whose nix forms fail on real-time signals"
)]

use std::mem::MaybeUninit;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::Pid;

/// A good bound for one turn: a few milliseconds even when every exit costs a sweep.
pub const PER_TURN: usize = 256;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ended {
    /// By exit(3) with this code, 0 to 255.
    Exited(i32),
    /// By a signal.
    Signaled {
        /// Its number.
        signal: i32,
        /// Whether memory was dumped.
        core: bool,
    },
}

/// What a process used, with the children it waited for (getrusage(2), wait4(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// CPU time in user mode.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
    /// The largest resident set, in bytes: of the process or of one of its children. Never less than
    /// what podvisor itself held at the fork, because the kernel counts the time before the exec.
    pub max_rss_bytes: u64,
    /// Page faults without I/O.
    pub minor_faults: u64,
    /// Page faults that read from disk.
    pub major_faults: u64,
    /// Blocks of 512 bytes read.
    pub in_blocks: u64,
    /// Blocks of 512 bytes written.
    pub out_blocks: u64,
    /// Context switches because it waited.
    pub voluntary_switches: u64,
    /// Context switches because its time was up.
    pub involuntary_switches: u64,
}

/// A child that has ended and not been reaped. Dropping it reaps it, so that the next can be seen.
#[derive(Debug)]
pub struct Zombie {
    pid: Pid,
    reaped: bool,
}

impl Zombie {
    /// Its pid; also its group's, if it led one.
    #[must_use]
    pub const fn pid(&self) -> Pid {
        self.pid
    }

    /// Reaps it. From here on the number may be another's. `None` if somebody else was faster, which
    /// does not happen as long as the reaper is the only one that waits.
    #[must_use]
    pub fn reap(mut self) -> Option<(Ended, Usage)> {
        self.reaped = true;
        wait_for(self.pid)
    }
}

impl Drop for Zombie {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = wait_for(self.pid);
        }
    }
}

/// What a turn of draining did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Children seen.
    pub seen: usize,
    /// The bound was reached: call again, after what else is due.
    pub more: bool,
}

/// Waits for the children of this process, all of them; there must be one only.
#[derive(Debug, Default)]
pub struct Reaper(());

impl Reaper {
    /// The reaper.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }

    /// A child that has ended, left as it is: the same one until it is reaped.
    #[must_use]
    pub fn peek(&self) -> Option<Pid> {
        peek_any()
    }

    /// Reaps that very child, if it has ended.
    #[must_use]
    pub fn reap(&self, pid: Pid) -> Option<(Ended, Usage)> {
        // 0 and negative numbers mean groups and everybody to wait4(2).
        (pid.as_raw() > 0).then(|| wait_for(pid)).flatten()
    }

    /// Shows every child that has ended to `each`, `bound` of them at most.
    ///
    /// `each` may look at the zombie, signal its group, and reap it with [`Zombie::reap`]; it is
    /// reaped at the latest when `each` returns. Two system calls per child: ten thousand orphans
    /// that end at once take some tens of milliseconds.
    pub fn drain(&mut self, bound: usize, mut each: impl FnMut(Zombie)) -> Drained {
        let mut seen = 0;
        while seen < bound {
            let Some(pid) = peek_any() else {
                return Drained { seen, more: false };
            };
            seen += 1;
            each(Zombie { pid, reaped: false });
        }
        Drained { seen, more: true }
    }
}

fn peek_any() -> Option<Pid> {
    loop {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: waitid(2) writes one siginfo_t, which was zeroed before: with WNOHANG and nobody to
        // report it may leave it alone, and si_pid is then 0. For WEXITED the child fields are set.
        let (result, pid) = unsafe {
            let result = libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), flags);
            (result, info.assume_init().si_pid())
        };
        match Errno::result(result) {
            Ok(_) => return (pid > 0).then(|| Pid::from_raw(pid)),
            Err(Errno::EINTR) => {}
            // ECHILD: no children at all.
            Err(_) => return None,
        }
    }
}

fn wait_for(pid: Pid) -> Option<(Ended, Usage)> {
    loop {
        let mut status = 0;
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: the kernel writes one status and one rusage; zeros are a valid rusage.
        let (result, usage) = unsafe {
            let result = libc::wait4(
                pid.as_raw(),
                &raw mut status,
                libc::WNOHANG,
                usage.as_mut_ptr(),
            );
            (result, usage.assume_init())
        };
        match Errno::result(result) {
            Ok(0) => return None,
            Ok(_) => return Some((ended(status), convert(&usage))),
            Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
}

const fn ended(status: i32) -> Ended {
    if libc::WIFSIGNALED(status) {
        Ended::Signaled {
            signal: libc::WTERMSIG(status),
            core: libc::WCOREDUMP(status),
        }
    } else {
        Ended::Exited(libc::WEXITSTATUS(status))
    }
}

fn convert(usage: &libc::rusage) -> Usage {
    let count = |value: libc::c_long| u64::try_from(value).unwrap_or(0);
    let time = |value: libc::timeval| {
        Duration::from_secs(count(value.tv_sec)) + Duration::from_micros(count(value.tv_usec))
    };
    Usage {
        user: time(usage.ru_utime),
        system: time(usage.ru_stime),
        // Kilobytes on Linux.
        max_rss_bytes: count(usage.ru_maxrss) * 1024,
        minor_faults: count(usage.ru_minflt),
        major_faults: count(usage.ru_majflt),
        in_blocks: count(usage.ru_inblock),
        out_blocks: count(usage.ru_oublock),
        voluntary_switches: count(usage.ru_nvcsw),
        involuntary_switches: count(usage.ru_nivcsw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_told_apart() {
        assert_eq!(ended(3 << 8), Ended::Exited(3));
        let killed = |signal, core| Ended::Signaled { signal, core };
        assert_eq!(ended(9), killed(9, false));
        assert_eq!(ended(11 | 0x80), killed(11, true));
        assert_eq!(ended(37), killed(37, false));
    }

    #[test]
    fn a_stranger_is_not_reaped() {
        assert_eq!(Reaper::new().reap(Pid::from_raw(i32::MAX)), None);
        assert_eq!(Reaper::new().reap(Pid::from_raw(-1)), None);
        assert_eq!(Reaper::new().reap(Pid::from_raw(0)), None);
    }
}
