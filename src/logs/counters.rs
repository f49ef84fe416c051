//! What the log plane counts: plain atomics that a scrape reads without a lock.
//!
//! Every counter exists from the moment its service is registered, at 0.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use nix::errno::Errno;

use super::record::Stream;

/// One number that only grows, or a gauge that its one writer sets.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// The value now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// Adds and returns what it was before.
    pub(crate) fn advance(&self, n: u64) -> u64 {
        self.0.fetch_add(n, Relaxed)
    }
}

/// What is counted for one service.
#[derive(Debug, Default)]
pub struct ServiceCounters {
    lines: [Count; 2],
    bytes: [Count; 2],
    /// Lines left out of the console, as it was blocked or its write failed; ring and sinks have them.
    pub console_dropped: Count,
    /// Lines longer than `maxLine`, which were given out in pieces; one per line.
    pub truncated: Count,
    /// When the last line was read, nanoseconds since the Unix epoch; 0 before the first.
    pub last_line_ns: Count,
    /// Nanoseconds in which a pipe still held data after this service's turn was used up: an upper
    /// bound for how long its writers may have waited for podvisor.
    pub pipe_blocked_ns: Count,
    /// Panics while reading this service's pipes (a bug in podvisor; the pipes go on).
    pub reader_panics: Count,
    /// The next sequence number.
    pub(crate) next_seq: Count,
}

impl ServiceCounters {
    /// Records read from the stream; a split line counts once per piece.
    #[must_use]
    pub fn lines(&self, stream: Stream) -> &Count {
        &self.lines[stream.index()]
    }

    /// Bytes read from the stream, line endings included.
    #[must_use]
    pub fn bytes(&self, stream: Stream) -> &Count {
        &self.bytes[stream.index()]
    }
}

/// Why a write to the console failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteError {
    /// Nobody reads it any more.
    Epipe,
    /// The disk behind it is full.
    Enospc,
    /// The device failed.
    Eio,
    /// Anything else.
    Other,
}

impl WriteError {
    /// All reasons, as the metric's label has them.
    pub const ALL: [WriteError; 4] = [
        WriteError::Epipe,
        WriteError::Enospc,
        WriteError::Eio,
        WriteError::Other,
    ];

    /// The metric's label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            WriteError::Epipe => "epipe",
            WriteError::Enospc => "enospc",
            WriteError::Eio => "eio",
            WriteError::Other => "other",
        }
    }
}

impl From<Errno> for WriteError {
    fn from(e: Errno) -> Self {
        match e {
            Errno::EPIPE => WriteError::Epipe,
            Errno::ENOSPC | Errno::EDQUOT => WriteError::Enospc,
            Errno::EIO => WriteError::Eio,
            _ => WriteError::Other,
        }
    }
}

/// What is counted for the console as a whole.
#[derive(Debug, Default)]
pub struct ConsoleCounters {
    write_errors: [Count; 4],
    /// Bytes written.
    pub written_bytes: Count,
}

impl ConsoleCounters {
    /// Writes that failed for this reason.
    #[must_use]
    pub fn write_errors(&self, reason: WriteError) -> &Count {
        let i = match reason {
            WriteError::Epipe => 0,
            WriteError::Enospc => 1,
            WriteError::Eio => 2,
            WriteError::Other => 3,
        };
        &self.write_errors[i]
    }
}
