//! The server side of `sd_notify`: a datagram socket on which services tell their state.
//!
//! The socket is a file, never an abstract name: those are shared by all containers of a pod, which
//! have one network namespace (unix(7)). Its mode is 0666, because a service may drop to a user that
//! podvisor does not know of; the directory should be 0711, so that names cannot be listed. Anybody
//! in the container can thus send, so what a message says counts only with its [`Sender`], which the
//! kernel vouches for (`SCM_CREDENTIALS`): the caller checks that the pid belongs to the service.
#![expect(unsafe_code, reason = "recvmsg(2) by hand, see `take_control`")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr, sockopt};
use nix::unistd::Pid;

/// The longest message, in bytes; longer ones are refused, as systemd does.
pub const MAX_MESSAGE: usize = 4096;

/// Descriptors for which there is room in a message. The kernel closes those beyond (unix(7)).
const MAX_FDS: usize = 16;

/// The watchdog line of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watchdog {
    /// `WATCHDOG=1`: alive.
    Ping,
    /// `WATCHDOG=trigger`: treat me as hung.
    Trigger,
}

/// What a service says; see sd_notify(3). Lines that are unknown or make no sense are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// `READY=1`.
    pub ready: bool,
    /// `STOPPING=1`.
    pub stopping: bool,
    /// `RELOADING=1`.
    pub reloading: bool,
    /// `STATUS=`, one line for people, without control characters.
    pub status: Option<String>,
    /// `WATCHDOG=`.
    pub watchdog: Option<Watchdog>,
    /// `WATCHDOG_USEC=`: a new watchdog interval.
    pub watchdog_interval: Option<Duration>,
    /// `EXTEND_TIMEOUT_USEC=`: do not time out before that much from now.
    pub extend_timeout: Option<Duration>,
    /// `MAINPID=`. A claim; to be believed only about a process of the service.
    pub main_pid: Option<Pid>,
    /// `ERRNO=`: why it failed.
    pub errno: Option<i32>,
    /// `BARRIER=1`: answered by closing the descriptor that came along, which has happened.
    pub barrier: bool,
}

impl Message {
    /// Reads the lines of a datagram. Of a key given twice the last one counts.
    #[must_use]
    pub fn parse(datagram: &[u8]) -> Self {
        let mut message = Self::default();
        for line in datagram.split(|byte| *byte == b'\n') {
            let Some(equals) = memchr::memchr(b'=', line) else {
                continue;
            };
            let (key, value) = line.split_at(equals);
            message.take(key, value.get(1..).unwrap_or_default());
        }
        message
    }

    fn take(&mut self, key: &[u8], value: &[u8]) {
        let set = value == b"1";
        match key {
            b"READY" => self.ready |= set,
            b"STOPPING" => self.stopping |= set,
            b"RELOADING" => self.reloading |= set,
            b"BARRIER" => self.barrier |= set,
            b"STATUS" => self.status = Some(printable(value)),
            b"WATCHDOG" if set => self.watchdog = Some(Watchdog::Ping),
            b"WATCHDOG" if value == b"trigger" => self.watchdog = Some(Watchdog::Trigger),
            b"WATCHDOG_USEC" => {
                self.watchdog_interval = number(value).map(Duration::from_micros);
            }
            b"EXTEND_TIMEOUT_USEC" => {
                self.extend_timeout = number(value).map(Duration::from_micros);
            }
            b"MAINPID" => {
                let pid = number(value).and_then(|pid: i32| (pid > 0).then_some(pid));
                self.main_pid = pid.map(Pid::from_raw);
            }
            b"ERRNO" => self.errno = number(value),
            _ => {}
        }
    }
}

fn number<T: std::str::FromStr>(value: &[u8]) -> Option<T> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

fn printable(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let clean = text.trim().chars();
    clean
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Who sent a message, as the kernel saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// The process. It may have ended since, and in theory its number be another's.
    pub pid: Pid,
    /// Its real user id.
    pub uid: u32,
    /// Its real group id.
    pub gid: u32,
}

/// One datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// `None` if the sender is outside of our pid namespace.
    pub sender: Option<Sender>,
    /// The message; `None` if it was longer than [`MAX_MESSAGE`] and is refused.
    pub message: Option<Message>,
}

/// The socket; its file goes when it is dropped.
#[derive(Debug)]
pub struct NotifySocket {
    fd: OwnedFd,
    path: PathBuf,
}

impl NotifySocket {
    /// Binds a socket at a path, which becomes `NOTIFY_SOCKET`. A stale socket there is replaced.
    ///
    /// # Errors
    /// When the path is longer than 107 bytes (`InvalidInput`), is taken by something that is no
    /// socket, or cannot be written.
    pub fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::symlink_metadata(path) {
            Ok(there) if there.file_type().is_socket() => std::fs::remove_file(path)?,
            Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let address = UnixAddr::new(path).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, "the socket's path is too long")
        })?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket::socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
        // Before bind, so that no message comes without its sender.
        socket::setsockopt(&fd, sockopt::PassCred, &true)?;
        socket::bind(fd.as_raw_fd(), &address)?;
        let socket = Self {
            fd,
            path: path.to_owned(),
        };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
        Ok(socket)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes one datagram, if there is one. To be called in turns with a bound: senders can be
    /// faster than we are.
    ///
    /// # Errors
    /// As recvmsg(2), but EAGAIN is `None`.
    pub fn try_recv(&self) -> Result<Option<Received>, Errno> {
        let mut buffer = [0_u8; MAX_MESSAGE];
        let mut control = Control([0; CONTROL_WORDS]);
        let mut part = libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        // SAFETY: zeros are a valid msghdr (some C libraries have padding fields, which must be 0).
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = size_of::<Control>() as _;
        let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
        let length = loop {
            // SAFETY: the header points to `part` and `control`, both alive and of the lengths given.
            let result = unsafe { libc::recvmsg(self.fd.as_raw_fd(), &raw mut header, flags) };
            match Errno::result(result) {
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                other => break usize::try_from(other?).unwrap_or(0),
            }
        };
        let sender = take_control(&header);
        let whole = header.msg_flags & libc::MSG_TRUNC == 0;
        let datagram = buffer.get(..length).filter(|_| whole);
        Ok(Some(Received {
            sender,
            message: datagram.map(Message::parse),
        }))
    }
}

/// Room for control messages, aligned as their headers need it (cmsg(3)).
#[repr(C)]
struct Control([u64; CONTROL_WORDS]);

/// Credentials take 32 bytes, [`MAX_FDS`] descriptors 80.
const CONTROL_WORDS: usize = (32 + 16 + 4 * MAX_FDS) / 8;

/// Reads the sender and closes every descriptor.
///
/// By hand, because nix gives up on truncated control data (`MSG_CTRUNC`: too many descriptors, or
/// none left for us) and would leave those that did arrive open for ever.
fn take_control(header: &libc::msghdr) -> Option<Sender> {
    let mut sender = None;
    // SAFETY: recvmsg(2) has filled the control buffer and its length, by which the CMSG macros stay
    // inside; payloads are read unaligned and only as far as the header's length goes.
    unsafe {
        let mut next = libc::CMSG_FIRSTHDR(header);
        while let Some(control) = next.as_ref() {
            let data = libc::CMSG_DATA(next);
            // Of a type that differs between C libraries.
            let length: usize = control.cmsg_len as _;
            let payload = length.saturating_sub(libc::CMSG_LEN(0) as usize);
            match (control.cmsg_level, control.cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS)
                    if payload >= size_of::<libc::ucred>() =>
                {
                    sender = vouched(data.cast::<libc::ucred>().read_unaligned());
                }
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                    for at in 0..payload / size_of::<RawFd>() {
                        let fd = data.cast::<RawFd>().add(at).read_unaligned();
                        // Just made for us; nobody else knows it.
                        drop(OwnedFd::from_raw_fd(fd));
                    }
                }
                _ => {}
            }
            next = libc::CMSG_NXTHDR(header, next);
        }
    }
    sender
}

fn vouched(from: libc::ucred) -> Option<Sender> {
    (from.pid > 0).then(|| Sender {
        pid: Pid::from_raw(from.pid),
        uid: from.uid,
        gid: from.gid,
    })
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for NotifySocket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests;
