//! Writing everything to a descriptor that others share, without changing it for them.
//!
//! podvisor inherits fd 1 and 2; their file descriptions may be shared with a shell, with the
//! container runtime and with earlier processes. So O_NONBLOCK is never set on them. If somebody
//! else set it, `EAGAIN` is waited out with poll(2).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::fstat;
use nix::unistd::write;

/// Whose turn it is when fd 1 and fd 2 are one and the same file.
static TURN: Mutex<()> = Mutex::new(());

/// A descriptor with a thread of its own to write to it.
#[derive(Debug)]
pub struct Out {
    fd: OwnedFd,
    shared: bool,
}

impl Out {
    /// Looks whether stdout and stderr are both this file (`2>&1`, a terminal). Then the writers
    /// take turns: a full pipe takes a large write in pieces, and another writer's line would land
    /// in the middle of one.
    #[must_use]
    pub fn new(fd: OwnedFd) -> Out {
        let shared = same_file(fd.as_fd(), std::io::stdout().as_fd())
            && same_file(fd.as_fd(), std::io::stderr().as_fd());
        Out { fd, shared }
    }

    /// As the function [`write_all`].
    ///
    /// # Errors
    /// As there.
    pub fn write_all(&self, bytes: &[u8]) -> Result<(), Errno> {
        let _turn = self
            .shared
            .then(|| TURN.lock().unwrap_or_else(PoisonError::into_inner));
        write_all(self.fd.as_fd(), bytes)
    }
}

fn same_file(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> bool {
    match (fstat(a), fstat(b)) {
        (Ok(a), Ok(b)) => (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
        _ => false,
    }
}

/// Writes all of `bytes`, blocking as long as the reader wants. Only for a thread of its own.
///
/// # Errors
/// The first errno other than `EINTR` and `EAGAIN`; how much was written before it is not known.
pub fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match write(fd, bytes) {
            Ok(0) => return Err(Errno::EIO),
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => wait_writable(fd)?,
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn wait_writable(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
    match poll(&mut fds, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use std::io::Read;

    #[test]
    fn a_non_blocking_descriptor_is_waited_for_and_left_so() {
        let (r, w) = nix::unistd::pipe().unwrap();
        fcntl(&w, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let data = vec![b'x'; 1 << 20];
        let reader = std::thread::spawn(move || {
            let mut got = Vec::new();
            std::fs::File::from(r).read_to_end(&mut got).unwrap();
            got.len()
        });
        write_all(w.as_fd(), &data).unwrap();
        let flags = OFlag::from_bits_retain(fcntl(&w, FcntlArg::F_GETFL).unwrap());
        assert!(flags.contains(OFlag::O_NONBLOCK));
        drop(w);
        assert_eq!(reader.join().unwrap(), 1 << 20);
    }

    #[test]
    fn a_reader_that_is_gone_is_an_error() {
        let (r, w) = nix::unistd::pipe().unwrap();
        drop(r);
        assert_eq!(write_all(w.as_fd(), b"x"), Err(Errno::EPIPE));
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        assert_eq!(write_all(full.as_fd(), b"x"), Err(Errno::ENOSPC));
    }
}
