//! The process layer: fork, exec, reap, kill. The only unsafe code.
//!
//! | file | subject |
//! |---|---|
//! | [`plan`] | all that is decided about a process before it exists |
//! | [`spawn`] | the parent's side of a fork |
//! | `child` | the child's side: async-signal-safe steps only |
//! | [`report`] | which step failed, and the pipe that says so |
//! | [`capabilities`], [`limits`], [`identity`] | words of the config turned into the kernel's numbers |
//! | [`reaper`] | the one place that waits |
//! | [`signals`], [`pidfd`] | names, numbers, sending |
//! | [`descendants`], [`procfs`] | who belongs to a service and is still alive |
//! | [`notify`] | the server side of `sd_notify` |
//! | [`terminal`] | the foreground of a terminal |
//!
//! Forking, waiting and signalling all happen on one thread, the main one: so "registered before
//! reaped" needs no lock, and the parent death signal, which fires when the forking *thread* ends
//! (prctl(2), `PR_SET_PDEATHSIG`), fires only when podvisor ends.

pub mod capabilities;
mod child;
pub mod descendants;
pub mod identity;
pub mod limits;
pub mod notify;
pub mod pidfd;
pub mod plan;
pub mod procfs;
pub mod reaper;
pub mod report;
pub mod signals;
pub mod spawn;
pub mod terminal;
pub mod watch;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Is this process the init of its pid namespace?
#[must_use]
pub fn is_pid1() -> bool {
    nix::unistd::getpid().as_raw() == 1
}

/// Makes orphaned descendants come to podvisor when it is not PID 1.
///
/// Returns whether orphans will come here. A refusal is not fatal: it is logged, and processes whose
/// parents end are then out of reach.
pub fn become_subreaper() -> bool {
    if is_pid1() {
        return true;
    }
    match nix::sys::prctl::set_child_subreaper(true) {
        Ok(()) => true,
        Err(errno) => {
            tracing::warn!(
                %errno,
                "cannot become a child subreaper: orphans of the services will not be seen"
            );
            false
        }
    }
}

/// Unblocks all signals of this thread, and so of those that it starts.
///
/// Whoever started podvisor may have had some blocked, and the mask is inherited (sigprocmask(2)): with SIGCHLD blocked
/// no death would ever be noticed.
pub fn unblock_signals() {
    let empty = nix::sys::signal::SigSet::empty();
    if let Err(errno) = empty.thread_set_mask() {
        tracing::warn!(%errno, "cannot unblock signals");
    }
}

/// Raises the soft limit on open files to the hard one and returns the soft limit found.
///
/// The found value belongs in [`plan::Plan::nofile_soft`]: a service that sees a huge soft limit may
/// close a million descriptors one by one, or overflow a `select` set.
///
/// # Errors
/// When the limit cannot be read. A failure to raise is logged only.
pub fn raise_nofile() -> Result<u64, Errno> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard
        && let Err(errno) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::debug!(%errno, soft, hard, "cannot raise the limit on open files");
    }
    Ok(soft)
}
