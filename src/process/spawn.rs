//! The parent's side of a fork.
//!
//! Nothing here waits for the exec: a slow file system delays one service, not the loop. The caller
//! registers the pid before it reaps next, which one thread doing both guarantees.
#![expect(unsafe_code, reason = "fork(2)")]

use std::collections::HashSet;
use std::ffi::{CString, c_char};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Pid, Uid, pipe2};

use super::child::{self, Ids, Move, Prepared};
use super::plan::{Output, Plan, Session, Stdin};
use super::report::{ReportPipe, Step};
use super::{capabilities, limits, pidfd};

/// What a pipe of a service shall hold, in bytes: what an unprivileged process may ask for
/// (`/proc/sys/fs/pipe-max-size`). The more it holds, the longer a service can write while the
/// reader is busy.
pub const PIPE_BYTES: i32 = 1 << 20;

/// How many descriptors at most are marked one by one where close_range(2) is missing.
const MAX_MARKED_FDS: RawFd = 1 << 16;

/// A process that has been forked, and may be its command by now or not yet.
#[derive(Debug)]
pub struct Child {
    /// Its pid; also its process group, and its session if that is new.
    pub pid: Pid,
    /// A handle that cannot mean another process. `None` where the kernel or a filter has none.
    pub pidfd: Option<OwnedFd>,
    /// The read end of its standard output, non-blocking; `None` if inherited.
    pub stdout: Option<OwnedFd>,
    /// The read end of its standard error, non-blocking; `None` if inherited.
    pub stderr: Option<OwnedFd>,
    /// Tells whether the exec succeeded.
    pub report: ReportPipe,
}

/// A start that failed before there was a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}: {errno}", step.description())]
pub struct SpawnError {
    /// What was being done.
    pub step: Step,
    /// Why it failed.
    pub errno: Errno,
}

impl SpawnError {
    const fn at(step: Step) -> impl Fn(Errno) -> Self {
        move |errno| Self { step, errno }
    }

    /// Will the same start fail again until somebody changes something?
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        !matches!(
            self.errno,
            Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE
        )
    }
}

/// Forks a child that becomes the planned command.
///
/// # Errors
/// When there is no child: descriptors, memory or processes ran out, or the plan holds a NUL byte or
/// an impossible descriptor number (EINVAL). What goes wrong in the child is in its report.
pub fn spawn(plan: &Plan) -> Result<Child, SpawnError> {
    let strings = Strings::new(plan).map_err(SpawnError::at(Step::Arguments))?;
    let mut pipes = Pipes::open(plan).map_err(SpawnError::at(Step::Pipes))?;
    let mut prepared = prepare(plan, &strings, &pipes)?;
    let report = pipes.report_write.as_raw_fd();

    let mask = BlockedSignals::block().map_err(SpawnError::at(Step::Mask))?;
    // SAFETY: the child makes async-signal-safe calls only (child.rs) and never returns.
    let result = unsafe { libc::fork() };
    if result == 0 {
        child::run(&mut prepared, report);
    }
    let forked = Errno::result(result);
    drop(mask);
    let pid = Pid::from_raw(forked.map_err(SpawnError::at(Step::Fork))?);

    if plan.session != Session::New {
        // The child does the same; whoever is first, the group exists from here on. It fails once
        // the child has executed, which is fine.
        let _ = nix::unistd::setpgid(pid, pid);
    }
    Ok(Child {
        pid,
        // Before anybody can have reaped it, so the number is still its own.
        pidfd: pidfd::open(pid).ok(),
        stdout: pipes.stdout.take().map(|(ours, _)| ours),
        stderr: pipes.stderr.take().map(|(ours, _)| ours),
        report: ReportPipe::new(pipes.report_read),
    })
}

/// All signals blocked for as long as this lives, so that no handler of podvisor's runs in the child
/// before the dispositions are reset.
struct BlockedSignals(SigSet);

impl BlockedSignals {
    fn block() -> Result<Self, Errno> {
        SigSet::all()
            .thread_swap_mask(SigmaskHow::SIG_SETMASK)
            .map(Self)
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        let _ = self.0.thread_set_mask();
    }
}

/// The strings of exec, owned here, pointed to from [`Prepared`].
struct Strings {
    argv: Vec<CString>,
    env: Vec<CString>,
    cwd: Option<CString>,
}

impl Strings {
    fn new(plan: &Plan) -> Result<Self, Errno> {
        let c_string = |bytes| CString::new(bytes).map_err(|_| Errno::EINVAL);
        let mut env = Vec::with_capacity(plan.env.len());
        for (key, value) in &plan.env {
            let mut entry = key.clone().into_vec();
            entry.push(b'=');
            entry.extend_from_slice(value.as_bytes());
            env.push(c_string(entry)?);
        }
        let cwd = plan
            .cwd
            .as_ref()
            .map(|dir| dir.as_os_str().as_bytes().to_vec());
        Ok(Self {
            argv: plan.argv.clone(),
            env,
            cwd: cwd.map(c_string).transpose()?,
        })
    }

    fn pointers(strings: &[CString]) -> Vec<*const c_char> {
        let all = strings.iter().map(|string| string.as_ptr());
        all.chain([std::ptr::null()]).collect()
    }
}

/// Our end and the child's end of a pipe.
type Pair = (OwnedFd, OwnedFd);

struct Pipes {
    stdin: Option<OwnedFd>,
    null_output: Option<OwnedFd>,
    stdout: Option<Pair>,
    stderr: Option<Pair>,
    report_read: OwnedFd,
    report_write: OwnedFd,
}

impl Pipes {
    fn open(plan: &Plan) -> Result<Self, Errno> {
        let owner = plan.credentials.as_ref().map(|c| (c.uid, c.gid));
        let piped = plan.output == Output::Pipes;
        let null = || open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty());
        let (report_read, report_write) = pipe2(OFlag::O_CLOEXEC)?;
        set_nonblocking(&report_read)?;
        Ok(Self {
            stdin: (plan.stdin == Stdin::Null).then(null).transpose()?,
            null_output: (plan.output == Output::Null).then(null).transpose()?,
            stdout: piped.then(|| output_pipe(owner)).transpose()?,
            stderr: piped.then(|| output_pipe(owner)).transpose()?,
            report_read,
            report_write,
        })
    }
}

/// A pipe whose write end blocks and belongs to the service, so that it can open `/dev/stdout`
/// anew: that opens the pipe's inode by its permissions (proc(5), `/proc/pid/fd`).
fn output_pipe(owner: Option<(u32, u32)>) -> Result<Pair, Errno> {
    let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
    set_nonblocking(&ours)?;
    // Best effort: EPERM over the user's pipe quota (pipe(7)), EPERM for another user's uid.
    let _ = fcntl(&ours, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
    if let Some((uid, gid)) = owner {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        let _ = nix::unistd::fchown(&theirs, Some(uid), Some(gid));
    }
    Ok((ours, theirs))
}

/// Non-blocking on this end only: the two ends are two file descriptions.
fn set_nonblocking(fd: &OwnedFd) -> Result<(), Errno> {
    fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map(drop)
}

fn prepare(plan: &Plan, strings: &Strings, pipes: &Pipes) -> Result<Prepared, SpawnError> {
    let (uid, gid) = (Uid::effective().as_raw(), Gid::effective().as_raw());
    let ids = plan.credentials.as_ref().map(|wanted| Ids {
        uid: wanted.uid,
        gid: wanted.gid,
        groups: wanted.groups.clone(),
        own: (wanted.uid, wanted.gid) == (uid, gid),
    });
    let leaves_root = uid == 0 && ids.as_ref().is_some_and(|ids| ids.uid != 0);
    let (open_files, _) =
        getrlimit(Resource::RLIMIT_NOFILE).map_err(SpawnError::at(Step::Limits))?;
    Ok(Prepared {
        candidates: plan.candidates(),
        argv: Strings::pointers(&strings.argv),
        envp: Strings::pointers(&strings.env),
        cwd: strings.cwd.clone(),
        session: plan.session,
        moves: moves(plan, pipes).map_err(SpawnError::at(Step::Descriptors))?,
        nice: plan.nice,
        oom_score: plan.oom_score_adj.map(|score| score.to_string()),
        limits: limits::prepare(&plan.limits, plan.nofile_soft)
            .map_err(SpawnError::at(Step::Limits))?,
        umask: plan.umask,
        ids,
        capabilities: capabilities::prepare(plan.capabilities, leaves_root)
            .map_err(SpawnError::at(Step::Capabilities))?,
        no_new_privs: plan.no_new_privs,
        dies_with: plan
            .parent_death_signal
            .then(|| nix::unistd::getpid().as_raw()),
        fd_bound: RawFd::try_from(open_files).map_or(MAX_MARKED_FDS, |n| n.min(MAX_MARKED_FDS)),
    })
}

fn moves(plan: &Plan, pipes: &Pipes) -> Result<Vec<Move>, Errno> {
    let written = |pipe: &'_ Option<Pair>| pipe.as_ref().map(|(_, theirs)| theirs.as_raw_fd());
    let null = pipes.null_output.as_ref().map(AsRawFd::as_raw_fd);
    let standard = [
        (0, pipes.stdin.as_ref().map(AsRawFd::as_raw_fd)),
        (1, written(&pipes.stdout).or(null)),
        (2, written(&pipes.stderr).or(null)),
    ];
    let mut all = Vec::with_capacity(3 + plan.extra_fds.len());
    for (target, source) in standard {
        all.extend(source.map(|source| Move { source, target }));
    }
    let mut used = HashSet::new();
    for (target, source) in &plan.extra_fds {
        if *target < 3 || !used.insert(*target) {
            return Err(Errno::EINVAL);
        }
        all.push(Move {
            source: source.as_raw_fd(),
            target: *target,
        });
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
