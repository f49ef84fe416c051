//! Descriptors that tokio waits on.
#![expect(
    unsafe_code,
    reason = "tokio asks for a promise about descriptors that these types keep"
)]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use tokio::io::unix::AsyncFd;

use super::notify::NotifySocket;

/// A type that owns its descriptor and gives the same one for as long as it lives.
pub trait Owned: AsRawFd + sealed::Sealed {}

impl Owned for OwnedFd {}
impl Owned for NotifySocket {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for std::os::fd::OwnedFd {}
    impl Sealed for crate::process::notify::NotifySocket {}
}

/// Registers a descriptor with the runtime that this is called in.
///
/// # Errors
/// When epoll refuses it (a regular file), or no memory is left.
pub fn watch<T: Owned>(fd: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: an `Owned` keeps its descriptor open, and the same, until it is dropped, and `AsyncFd` deregisters it
    // before it drops it.
    unsafe { AsyncFd::register(fd) }.map_err(Into::into)
}
