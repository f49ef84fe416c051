//! The foreground of a terminal: lent to `run -- CMD`, taken back at the end.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::unistd::{Pid, tcgetpgrp, tcsetpgrp};

/// The process group that had the terminal before podvisor gave it away.
#[derive(Debug, Clone, Copy)]
pub struct Foreground {
    group: Pid,
}

impl Foreground {
    /// Notes that podvisor has the terminal on standard input; `None` if it is no terminal of ours, or another's just
    /// now: who was started in the background must leave it to the shell.
    #[must_use]
    pub fn of_stdin() -> Option<Self> {
        let group = tcgetpgrp(std::io::stdin()).ok()?;
        (group == nix::unistd::getpgrp()).then_some(Self { group })
    }

    /// Gives the terminal back, so that the shell behind podvisor is not stopped at its next read.
    ///
    /// # Errors
    /// As tcsetpgrp(3): ENOTTY when the terminal has gone, EPERM when that group has.
    pub fn restore(self) -> Result<(), Errno> {
        self.restore_on(std::io::stdin())
    }

    /// A background group that does this is stopped by SIGTTOU unless it blocks or ignores the
    /// signal (tcsetpgrp(3)); it is blocked here, for this thread and this call.
    fn restore_on(self, terminal: impl AsFd) -> Result<(), Errno> {
        let mut ttou = SigSet::empty();
        ttou.add(Signal::SIGTTOU);
        let before = ttou.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let result = tcsetpgrp(terminal, self.group);
        before.thread_set_mask()?;
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_no_terminal() {
        let (read, _write) = nix::unistd::pipe().unwrap();
        let foreground = Foreground {
            group: nix::unistd::getpgrp(),
        };
        assert_eq!(foreground.restore_on(&read), Err(Errno::ENOTTY));
        let mask = SigSet::thread_get_mask().unwrap();
        assert!(!mask.contains(Signal::SIGTTOU));
    }
}
