//! What messages mean, and what comes over a real socket.

use std::os::unix::net::UnixDatagram;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use super::*;

#[test]
fn all_lines_of_sd_notify() {
    let message = Message::parse(
        b"READY=1\nSTOPPING=1\nRELOADING=1\nSTATUS= up\x1b[1m \nWATCHDOG=1\nWATCHDOG_USEC=2000000\n\
          EXTEND_TIMEOUT_USEC=500000\nMAINPID=42\nERRNO=2\nBARRIER=1\nX_UNKNOWN=1\nnonsense\n",
    );
    let expected = Message {
        ready: true,
        stopping: true,
        reloading: true,
        status: Some("up [1m".to_owned()),
        watchdog: Some(Watchdog::Ping),
        watchdog_interval: Some(Duration::from_secs(2)),
        extend_timeout: Some(Duration::from_millis(500)),
        main_pid: Some(Pid::from_raw(42)),
        errno: Some(2),
        barrier: true,
    };
    assert_eq!(message, expected);
}

#[test]
fn nonsense_says_nothing() {
    for datagram in [
        &b""[..],
        b"\n\n=\n",
        b"READY=0",
        b"ready=1",
        b"READY=11",
        b"MAINPID=-1\nERRNO=x\nWATCHDOG=2\nEXTEND_TIMEOUT_USEC=-5",
        b"\xff\xfe=1",
    ] {
        assert_eq!(Message::parse(datagram), Message::default());
    }
    let trigger = Message::parse(b"WATCHDOG=trigger");
    assert_eq!(trigger.watchdog, Some(Watchdog::Trigger));
}

fn connected() -> (tempfile::TempDir, NotifySocket, UnixDatagram) {
    let dir = tempfile::tempdir().unwrap();
    let socket = NotifySocket::bind(&dir.path().join("notify")).unwrap();
    let client = UnixDatagram::unbound().unwrap();
    client.connect(socket.path()).unwrap();
    (dir, socket, client)
}

#[test]
fn the_kernel_names_the_sender() {
    let (_dir, socket, client) = connected();
    assert_eq!(socket.try_recv(), Ok(None));
    client.send(b"READY=1").unwrap();
    let received = socket.try_recv().unwrap().unwrap();
    let sender = received.sender.unwrap();
    assert_eq!(sender.pid, nix::unistd::getpid());
    assert_eq!(sender.uid, nix::unistd::getuid().as_raw());
    assert!(received.message.unwrap().ready);
    assert_eq!(socket.try_recv(), Ok(None));
}

#[test]
fn long_messages_are_refused_whole() {
    let (_dir, socket, client) = connected();
    let mut long = b"READY=1\nSTATUS=".to_vec();
    long.resize(MAX_MESSAGE + 1, b'x');
    client.send(&long).unwrap();
    client.send(&long[..MAX_MESSAGE]).unwrap();
    let refused = socket.try_recv().unwrap().unwrap();
    assert!(refused.message.is_none() && refused.sender.is_some());
    let taken = socket.try_recv().unwrap().unwrap();
    assert!(taken.message.unwrap().ready);
}

#[test]
fn descriptors_sent_along_are_closed() {
    let (_dir, socket, client) = connected();
    for count in [1, 40] {
        // A barrier: the sender waits until its pipe's other end is closed.
        let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_NONBLOCK).unwrap();
        let fds = vec![write.as_raw_fd(); count];
        let parts = [io::IoSlice::new(b"BARRIER=1")];
        let control = [ControlMessage::ScmRights(&fds)];
        let fd = client.as_raw_fd();
        sendmsg::<()>(fd, &parts, &control, MsgFlags::empty(), None).unwrap();
        drop(write);
        let mut byte = [0];
        assert_eq!(nix::unistd::read(&read, &mut byte), Err(Errno::EAGAIN));
        let received = socket.try_recv().unwrap().unwrap();
        assert!(received.message.unwrap().barrier && received.sender.is_some());
        wait_for_end(&read);
    }
}

/// Another test's child may hold a copy of the pipe between its fork and its exec.
fn wait_for_end(read: &OwnedFd) {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fds = [PollFd::new(read.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut fds, PollTimeout::from(5000_u16)), Ok(1));
    assert_eq!(nix::unistd::read(read, &mut [0]), Ok(0));
}

#[test]
fn a_stale_socket_is_replaced_and_a_file_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    drop(UnixDatagram::bind(&path).unwrap());
    let socket = NotifySocket::bind(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    drop(socket);
    assert!(!path.exists());
    std::fs::write(&path, "mine").unwrap();
    let error = NotifySocket::bind(&path).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    let long = dir.path().join("x".repeat(120));
    let error = NotifySocket::bind(&long).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}
