//! Process file descriptors: a handle that never means another process (`pidfd_open(2)`).
#![expect(unsafe_code, reason = "nix has no wrapper for these system calls")]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::unistd::Pid;

/// A handle for a process, close-on-exec; readable once the process has ended.
///
/// It is certain to be the process meant only while the number cannot have been reused: between
/// fork and wait for a child, or when checked again afterwards by its start time.
///
/// # Errors
/// ESRCH: no such process. ENOSYS or EPERM: an old kernel or a seccomp filter. EMFILE.
pub fn open(pid: Pid) -> Result<OwnedFd, Errno> {
    // SAFETY: two integers, no pointer.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let fd = RawFd::try_from(Errno::result(result)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just given us this descriptor; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends a signal to exactly that process.
///
/// # Errors
/// ESRCH: it has ended and was reaped. EPERM, EINVAL as for kill(2).
pub fn send(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    // SAFETY: siginfo is null, so the kernel fills one in as kill(2) would.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    Errno::result(result).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn own_process_can_be_asked_for() {
        let fd = open(nix::unistd::getpid()).unwrap();
        assert_eq!(send(fd.as_fd(), 0), Ok(()));
    }

    #[test]
    fn missing_process_is_said_so() {
        // Above pid_max's greatest value (proc_sys_kernel(5)).
        assert_eq!(open(Pid::from_raw(i32::MAX)).map(drop), Err(Errno::ESRCH));
    }
}
