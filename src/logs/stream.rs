//! One pipe of one incarnation: its place in epoll, its unfinished line, its watches.

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use regex::bytes::Regex;
use tokio::net::unix::pipe::Receiver;

use super::lines::Framer;
use super::record::Stream;
use super::service::ServiceLog;

/// What we ask the kernel to let a pipe hold: so much can a service write while this process does
/// not get the CPU. The kernel may refuse; then its 64 KiB stay.
pub const PIPE_SIZE: i32 = 256 * 1024;

/// Only so many pipes are enlarged. The kernel counts pipe sizes per user over the whole node
/// (64 MiB, `pipe-user-pages-soft`) and gives everybody of that user tiny pipes beyond it, so a
/// container of many services must not take more than 4 MiB of that.
pub const ENLARGED_PIPES: usize = 16;

/// How often a pipe is looked at that epoll did not take (out of watches or memory).
const UNWATCHED_EVERY: Duration = Duration::from_millis(50);

/// `logMatch` probes of one incarnation that have not matched yet, shared by its two pipes.
pub(super) type Watches = RefCell<Vec<(u32, Regex)>>;

/// The read end of a pipe.
enum End {
    Watched(Receiver),
    /// Epoll refused, so the pipe is looked at by the clock. Closing it would kill the service.
    Unwatched(OwnedFd),
}

pub(super) struct Pipe {
    end: End,
    pub service: Arc<ServiceLog>,
    pub stream: Stream,
    pub incarnation: u64,
    pub pid: u32,
    pub framer: RefCell<Framer>,
    pub watches: Rc<Watches>,
    /// When data last came.
    pub last_data: Cell<Instant>,
    /// Since when data is known to wait because the turn was used up.
    pub backlog_since: Cell<Option<Instant>>,
}

impl Pipe {
    pub fn new(
        fd: OwnedFd,
        service: Arc<ServiceLog>,
        stream: Stream,
        (incarnation, pid): (u64, u32),
        watches: Rc<Watches>,
    ) -> Pipe {
        let end = watch(fd);
        let framer = RefCell::new(Framer::new(service.max_line()));
        let last_data = Cell::new(Instant::now());
        let backlog_since = Cell::new(None);
        Pipe {
            end,
            service,
            stream,
            incarnation,
            pid,
            framer,
            watches,
            last_data,
            backlog_since,
        }
    }

    /// Asks for [`PIPE_SIZE`].
    pub fn enlarge(&self) {
        let _ = fcntl(self.fd(), FcntlArg::F_SETPIPE_SZ(PIPE_SIZE));
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match &self.end {
            End::Watched(receiver) => receiver.as_fd(),
            End::Unwatched(fd) => fd.as_fd(),
        }
    }

    /// Waits until a read may bring something.
    pub async fn ready(&self) {
        if let End::Watched(receiver) = &self.end
            && receiver.readable().await.is_ok()
        {
            return;
        }
        tokio::time::sleep(UNWATCHED_EVERY).await;
    }

    /// One read: `None` when there is nothing now, 0 at the end of the pipe. Keeps epoll's books:
    /// after `None`, [`Pipe::ready`] waits for news.
    pub fn read(&self, buf: &mut [u8]) -> Option<usize> {
        let End::Watched(receiver) = &self.end else {
            return self.read_now(buf);
        };
        loop {
            match receiver.try_read(buf) {
                Ok(n) => return Some(n),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return None,
                // A pipe's read end has no other error; whatever it is, no line comes any more.
                Err(_) => return Some(0),
            }
        }
    }

    /// As [`Pipe::read`], but asks the kernel even if epoll has not reported anything.
    pub fn read_now(&self, buf: &mut [u8]) -> Option<usize> {
        loop {
            match nix::unistd::read(self.fd(), buf) {
                Ok(n) => return Some(n),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return None,
                Err(_) => return Some(0),
            }
        }
    }
}

/// Puts the pipe into epoll. The attempt consumes the descriptor even if it fails, so a duplicate
/// is kept until it has not; when there is none to be had, nothing is risked.
fn watch(fd: OwnedFd) -> End {
    let Ok(spare) = fd.try_clone() else {
        return unwatched(fd);
    };
    Receiver::from_owned_fd(fd).map_or_else(|_| unwatched(spare), End::Watched)
}

fn unwatched(fd: OwnedFd) -> End {
    // Our end only: the two ends of a pipe have separate flags.
    let flags = fcntl(&fd, FcntlArg::F_GETFL).map(OFlag::from_bits_retain);
    let flags = flags.unwrap_or(OFlag::O_RDONLY) | OFlag::O_NONBLOCK;
    let _ = fcntl(&fd, FcntlArg::F_SETFL(flags));
    End::Unwatched(fd)
}
