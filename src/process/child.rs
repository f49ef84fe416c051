//! The child between fork and exec: raw system calls in a fixed order, nothing else.
//!
//! podvisor has threads, so after fork(2) only async-signal-safe calls are allowed
//! (signal-safety(7)): no allocation, no lock, no panic. All that is needed was prepared before.
//! User and group ids go through raw system calls, because the C library's wrappers try to change
//! the ids of all threads (nptl(7)). The order matters, and each place where it does says why.
#![expect(unsafe_code, reason = "the child may only make system calls")]

use std::ffi::{CString, c_char, c_int};
use std::os::fd::RawFd;

use nix::errno::Errno;

use super::plan::Session;
use super::report::{self, Step};
use super::{capabilities, limits};

/// Bytes of a kernel signal set: 64 signals (`_NSIG` / 8).
const SIGSET_BYTES: usize = 8;

/// `struct sigaction` as the kernel has it on x86-64 and arm64: handler, flags, restorer, mask.
/// Zeros are `SIG_DFL`, no flags, an empty mask.
const DEFAULT_ACTION: [u64; 4] = [0; 4];

/// Everything the child needs, allocated before the fork.
pub(super) struct Prepared {
    pub(super) candidates: Vec<CString>,
    /// Null-terminated, into strings that the caller keeps.
    pub(super) argv: Vec<*const c_char>,
    /// As `argv`.
    pub(super) envp: Vec<*const c_char>,
    pub(super) cwd: Option<CString>,
    pub(super) session: Session,
    pub(super) moves: Vec<Move>,
    pub(super) nice: Option<i32>,
    pub(super) oom_score: Option<String>,
    pub(super) limits: Vec<limits::Ready>,
    pub(super) umask: Option<u32>,
    pub(super) ids: Option<Ids>,
    pub(super) capabilities: Option<capabilities::Ready>,
    pub(super) no_new_privs: bool,
    /// podvisor's own pid, when its death shall be the child's.
    pub(super) dies_with: Option<libc::pid_t>,
    /// Up to which number descriptors are closed one by one where close_range(2) is missing.
    pub(super) fd_bound: RawFd,
}

/// A descriptor of the parent and its number in the child.
#[derive(Debug, Clone, Copy)]
pub(super) struct Move {
    pub(super) source: RawFd,
    pub(super) target: RawFd,
}

/// The user to become.
pub(super) struct Ids {
    pub(super) uid: libc::uid_t,
    pub(super) gid: libc::gid_t,
    pub(super) groups: Vec<libc::gid_t>,
    /// These are podvisor's own ids already: without the right to, the groups just stay.
    pub(super) own: bool,
}

/// A step that failed.
type Failed = (Step, i32);

/// Becomes the command, or tells the parent why not and exits with 127.
pub(super) fn run(prepared: &mut Prepared, report: RawFd) -> ! {
    let mut report = report;
    let (step, errno) = match become_command(prepared, &mut report) {
        Ok(never) => match never {},
        Err(failed) => failed,
    };
    let message = report::encode(step, errno);
    // SAFETY: the message lives on this stack; write(2) and _exit(2) are async-signal-safe. A failed
    // write leaves the exit status as the only news.
    unsafe {
        libc::write(report, message.as_ptr().cast(), message.len());
        libc::_exit(127)
    }
}

fn become_command(
    prepared: &mut Prepared,
    report: &mut RawFd,
) -> Result<std::convert::Infallible, Failed> {
    // Dispositions before the mask: a pending signal must not find one of podvisor's handlers.
    reset_dispositions()?;
    // The terminal before the mask: a background group that takes it gets SIGTTOU unless blocked.
    join_session(prepared.session)?;
    empty_mask()?;
    place_descriptors(&mut prepared.moves, report, prepared.fd_bound)?;
    // Privileged settings while still privileged.
    if let Some(nice) = prepared.nice {
        // SAFETY: three integers.
        let result = unsafe { libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, nice) };
        check(Step::Nice, result)?;
    }
    if let Some(score) = &prepared.oom_score {
        write_oom_score(score)?;
    }
    for limit in &prepared.limits {
        let none = std::ptr::null_mut::<libc::rlimit64>();
        let new = &raw const limit.value;
        // SAFETY: `new` points into the prepared list; the old value is not asked for.
        let result = unsafe { libc::syscall(libc::SYS_prlimit64, 0, limit.number, new, none) };
        check(Step::Limits, result)?;
    }
    if let Some(umask) = prepared.umask {
        // SAFETY: an integer; umask(2) always succeeds.
        unsafe { libc::umask(umask) };
    }
    // As podvisor's user, before the service's may lose the way there; as systemd and Docker do.
    if let Some(cwd) = &prepared.cwd {
        // SAFETY: a C string that lives in `prepared`.
        let result = unsafe { libc::chdir(cwd.as_ptr()) };
        check(Step::WorkingDirectory, result.into())?;
    }
    change_identity(prepared)?;
    if prepared.no_new_privs {
        // SAFETY: integers only.
        let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1_u64, 0_u64, 0_u64, 0_u64) };
        check(Step::NoNewPrivileges, result.into())?;
    }
    // After the ids: a change of credentials clears it (prctl(2)).
    if let Some(parent) = prepared.dies_with {
        // SAFETY: integers only.
        let result = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64) };
        check(Step::ParentDeathSignal, result.into())?;
        // SAFETY: no arguments.
        if unsafe { libc::getppid() } != parent {
            // podvisor was gone before it was set.
            return Err((Step::ParentDeathSignal, libc::ESRCH));
        }
    }
    execute(prepared)
}

fn check(step: Step, result: i64) -> Result<i64, Failed> {
    if result == -1 {
        Err((step, Errno::last_raw()))
    } else {
        Ok(result)
    }
}

fn reset_dispositions() -> Result<(), Failed> {
    for signal in 1..=64 {
        let none = std::ptr::null_mut::<u64>();
        // SAFETY: the kernel reads one action (zeros) and writes none. The raw call reaches the C
        // library's own signals 32 and 33 as well; an ignored one would survive the exec.
        let result = unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                DEFAULT_ACTION.as_ptr(),
                none,
                SIGSET_BYTES,
            )
        };
        // EINVAL: KILL and STOP.
        if result == -1 && Errno::last_raw() != libc::EINVAL {
            return Err((Step::Dispositions, Errno::last_raw()));
        }
    }
    Ok(())
}

fn empty_mask() -> Result<(), Failed> {
    let empty = 0_u64;
    let none = std::ptr::null_mut::<u64>();
    // SAFETY: the kernel reads eight bytes and writes none.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const empty,
            none,
            SIGSET_BYTES,
        )
    };
    check(Step::Mask, result).map(drop)
}

fn join_session(session: Session) -> Result<(), Failed> {
    // SAFETY: integers only, all async-signal-safe.
    unsafe {
        if session == Session::New {
            return check(Step::Session, libc::setsid().into()).map(drop);
        }
        check(Step::Session, libc::setpgid(0, 0).into())?;
        if session == Session::Foreground && libc::tcsetpgrp(0, libc::getpid()) == -1 {
            // No terminal, or one that belongs to another session (tini does the same).
            let errno = Errno::last_raw();
            if errno != libc::ENOTTY && errno != libc::ENXIO {
                return Err((Step::Terminal, errno));
            }
        }
    }
    Ok(())
}

/// Gives every descriptor its number, and close-on-exec to all the rest.
///
/// First all sources (the report pipe too) are copied above every target, so that no copy can
/// overwrite a source; then everything from 3 up becomes close-on-exec; then dup2(2), whose copies
/// are not.
fn place_descriptors(moves: &mut [Move], report: &mut RawFd, bound: RawFd) -> Result<(), Failed> {
    let above = moves.iter().fold(2, |top, m| top.max(m.target)) + 1;
    for one in moves.iter_mut() {
        one.source = copy_above(one.source, above)?;
    }
    // Close-on-exec, and open until then: failures of later steps go through it.
    *report = copy_above(*report, above)?;
    mark_all_close_on_exec(bound);
    for one in moves.iter() {
        // SAFETY: integers only.
        let result = unsafe { libc::dup2(one.source, one.target) };
        check(Step::Descriptors, result.into())?;
    }
    Ok(())
}

fn copy_above(fd: RawFd, least: RawFd) -> Result<RawFd, Failed> {
    // SAFETY: integers only.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, least) };
    check(Step::Descriptors, copy.into()).map(|_| copy)
}

fn mark_all_close_on_exec(bound: RawFd) {
    // SAFETY: integers only.
    let result = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3_u32,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if result == 0 {
        return;
    }
    // ENOSYS before Linux 5.9, EINVAL before 5.11, EPERM by an old seccomp filter.
    for fd in 3..bound {
        // SAFETY: integers only; numbers that are not open answer EBADF.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

fn write_oom_score(score: &str) -> Result<(), Failed> {
    let path = c"/proc/self/oom_score_adj";
    // SAFETY: a static C string; then a slice that lives in `prepared`.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        check(Step::OomScore, fd.into())?;
        let written = libc::write(fd, score.as_ptr().cast(), score.len());
        check(Step::OomScore, written as i64)?;
        libc::close(fd);
    }
    Ok(())
}

/// Bounding set, groups, gid, uid, then the kept capabilities.
fn change_identity(prepared: &Prepared) -> Result<(), Failed> {
    if let Some(caps) = &prepared.capabilities {
        // Dropping from the bounding set takes CAP_SETPCAP, so before the uid goes.
        drop_bounding(caps.unbound, prepared.no_new_privs)?;
        if prepared.ids.is_some() && caps.permitted != 0 {
            // SAFETY: integers only. Cleared again by the exec (capabilities(7)).
            let result = unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 1_u64) };
            check(Step::Capabilities, result.into())?;
        }
    }
    if let Some(ids) = &prepared.ids {
        become_user(ids)?;
    }
    if let Some(caps) = &prepared.capabilities {
        let header = capabilities::HEADER;
        let halves = capabilities::halves(caps.permitted, caps.inheritable);
        // SAFETY: version 3 of the header makes the kernel read exactly two halves.
        let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, halves.as_ptr()) };
        check(Step::Capabilities, result)?;
        raise_ambient(caps.ambient)?;
    }
    Ok(())
}

fn become_user(ids: &Ids) -> Result<(), Failed> {
    // SAFETY: the list lives in `prepared`; the rest are integers. Raw calls: see the file's head.
    unsafe {
        let result = libc::syscall(libc::SYS_setgroups, ids.groups.len(), ids.groups.as_ptr());
        if result == -1 && !(ids.own && Errno::last_raw() == libc::EPERM) {
            return Err((Step::Groups, Errno::last_raw()));
        }
        let gid = ids.gid;
        check(Step::Gid, libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
        let uid = ids.uid;
        check(Step::Uid, libc::syscall(libc::SYS_setresuid, uid, uid, uid))?;
    }
    Ok(())
}

fn drop_bounding(set: u64, no_new_privs: bool) -> Result<(), Failed> {
    for number in (0..64_u64).filter(|number| set & (1 << number) != 0) {
        // SAFETY: integers only.
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number) };
        if result == -1 {
            // Under no_new_privs no exec gains anything, so the bounding set does not matter.
            if Errno::last_raw() == libc::EPERM && no_new_privs {
                return Ok(());
            }
            return Err((Step::Capabilities, Errno::last_raw()));
        }
    }
    Ok(())
}

fn raise_ambient(set: u64) -> Result<(), Failed> {
    for number in (0..64_u64).filter(|number| set & (1 << number) != 0) {
        // SAFETY: integers only.
        let result = unsafe {
            libc::prctl(
                libc::PR_CAP_AMBIENT,
                libc::PR_CAP_AMBIENT_RAISE as u64,
                number,
                0_u64,
                0_u64,
            )
        };
        check(Step::Capabilities, result.into())?;
    }
    Ok(())
}

/// Tries each candidate as execvp(3) does, but never hands a text file to a shell.
fn execute(prepared: &Prepared) -> Result<std::convert::Infallible, Failed> {
    let mut refused = false;
    let mut last: c_int = libc::ENOENT;
    for candidate in &prepared.candidates {
        // SAFETY: null-terminated lists of C strings, all alive in the parent's frame copied here.
        unsafe {
            libc::execve(
                candidate.as_ptr(),
                prepared.argv.as_ptr(),
                prepared.envp.as_ptr(),
            )
        };
        last = Errno::last_raw();
        match last {
            libc::EACCES => refused = true,
            libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
            _ => return Err((Step::Exec, last)),
        }
    }
    let errno = match (refused, prepared.candidates.len()) {
        (true, _) => libc::EACCES,
        (false, 1) => last,
        // Several directories, each with a reason of its own: it is just not there.
        (false, _) => libc::ENOENT,
    };
    Err((Step::Exec, errno))
}
