//! The disk spool: parcels kept in files until every sink that takes their form has sent them.
//!
//! One folder, one writer, many readers. There is no ledger that could contradict the data:
//!
//! - `LOCK` is held (flock) by the one instance that uses the folder.
//! - `seg-<number, 16 hex digits>.log` are files of records in the order of their numbers; [`mod@format`] is what is inside. A
//!   file is written by one run only and closed for good when it is full or its run ends.
//! - `cur-<sink>` says up to where a sink is done. It is a hint, written after the fact: without it the sink sends again from
//!   the oldest record. So there may be duplicates after a crash (`source` and `seq` tell them), and no loss.
//! - `seg-….bad` are files nothing could be read from, kept for whoever looks into it. Every other file is left alone.
//!
//! What a crash tore is cut off at the next start; what is damaged elsewhere is passed over at reading, and counted. A file
//! goes once no reader needs it, or, oldest first, when the spool is full. Removal needs no order, so a crash between two
//! steps does no harm.
//!
//! Everything here is plain blocking IO, for the one thread that owns the spool.

mod cursor;
mod figures;
pub mod format;
mod reader;
mod recover;
pub mod segment;
mod sinks;
mod writer;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_bounds;
#[cfg(test)]
mod tests_damage;
#[cfg(test)]
mod tests_model;

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::parcel::Form;
pub use figures::{Losses, Recovered, Stats, Tally};
pub use format::MAX_PAYLOAD;
use format::{FILE_HEADER, FORMS, form_index};
use reader::Reader;
use writer::{Active, Appended};

/// Bytes after which a file is closed, unless the spool is small.
pub const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;

/// The smallest default for a file of a small spool, in bytes.
pub const MIN_SEGMENT_BYTES: u64 = 64 * 1024;

/// Files at most, however small: past it the oldest go as if the spool were full.
pub const MAX_SEGMENTS: usize = 4096;

/// Cursor files are written at most this often, unless asked.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// When written data is forced to the disk. It matters only where the disk outlives the machine's crash: the page cache
/// survives ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// The kernel writes when it likes.
    Never,
    /// By [`Spool::save`], once this long has passed.
    Interval(Duration),
    /// Before [`Spool::append`] returns.
    Always,
}

/// How to open a spool.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder; made when missing.
    pub path: PathBuf,
    /// What all files may take, in bytes.
    pub max_bytes: u64,
    /// This run.
    pub source: u64,
    /// When to force data to the disk.
    pub fsync: Fsync,
    /// A file is closed before it grows past this, in bytes. One record may be longer.
    pub segment_bytes: u64,
}

impl Options {
    /// Without fsync, in files of an eighth of the whole, but [`MIN_SEGMENT_BYTES`] to [`SEGMENT_BYTES`].
    #[must_use]
    pub fn new(path: PathBuf, max_bytes: u64, source: u64) -> Self {
        Self {
            path,
            max_bytes,
            source,
            fsync: Fsync::Never,
            segment_bytes: (max_bytes / 8).clamp(MIN_SEGMENT_BYTES, SEGMENT_BYTES),
        }
    }
}

/// What the spool keeps of a parcel beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Number of the parcel in its run.
    pub seq: u64,
    /// The run that made it.
    pub source: u64,
    /// What is inside.
    pub form: Form,
    /// Log records in it.
    pub records: u32,
    /// Bytes before compression.
    pub raw_len: u32,
    /// When its first log record was read: nanoseconds since the Unix epoch.
    pub first_ts_ns: u64,
}

/// A place in the spool. Later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Number of the file.
    pub segment: u64,
    /// Bytes from its start.
    pub offset: u64,
}

impl Position {
    /// Before the first record of a file.
    const fn start_of(segment: u64) -> Self {
        Self {
            segment,
            offset: FILE_HEADER as u64,
        }
    }
}

/// A parcel read back.
#[derive(Debug, Clone)]
pub struct Stored {
    /// What the spool kept beside the bytes.
    pub meta: Meta,
    /// The parcel's bytes.
    pub payload: Bytes,
    /// The place behind it, for [`Spool::ack`].
    pub end: Position,
}

/// Why a spool can't be used. The caller works from memory then.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another spool of this one, has the lock.
    #[error("{} is in use by another instance", .0.display())]
    Busy(PathBuf),
    /// The folder can't be made, read or locked.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was tried on.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// Why a parcel was not written. Nothing of it is on the disk; the caller keeps it, and may try again later.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Longer than [`MAX_PAYLOAD`] or than the spool may be: this one will never fit.
    #[error("a parcel of {0} bytes does not fit into the spool")]
    TooLarge(usize),
    /// The filesystem is nearly full, and filling it would harm others: the kubelet evicts pods for it.
    #[error("less than {}% of the disk is free", writer::MIN_FREE_PERCENT)]
    DiskFull,
    /// The system refused.
    #[error("cannot write to the spool: {0}")]
    Io(#[from] io::Error),
}

/// One reader of a [`Spool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReaderId(usize);

/// A file with records, as kept in mind.
#[derive(Debug, Clone, Copy)]
struct Segment {
    number: u64,
    /// Bytes up to the end of its last whole record.
    len: u64,
    /// What is inside, by form.
    totals: [Tally; FORMS],
    /// Of its first record.
    first_ts_ns: u64,
}

impl Segment {
    fn new(number: u64) -> Self {
        Self {
            number,
            len: FILE_HEADER as u64,
            totals: [Tally::default(); FORMS],
            first_ts_ns: 0,
        }
    }

    fn total(&self, form: Form) -> Tally {
        self.totals
            .get(form_index(form))
            .copied()
            .unwrap_or_default()
    }

    /// Counts a record that ends at `end`.
    fn count(&mut self, header: &format::RecordHeader, end: u64) {
        if self.len == FILE_HEADER as u64 {
            self.first_ts_ns = header.meta.first_ts_ns;
        }
        self.len = end;
        if let Some(total) = self.totals.get_mut(form_index(header.meta.form)) {
            total.add(header.tally());
        }
    }
}

/// See the module. Owned by one thread.
#[derive(Debug)]
pub struct Spool {
    options: Options,
    recovered: Recovered,
    /// Oldest first. The last one may be [`Spool::active`].
    segments: VecDeque<Segment>,
    /// Bytes of all segments and of the files put aside.
    bytes: u64,
    /// Files put aside with their sizes, oldest first. They are the first to go.
    bad: VecDeque<(PathBuf, u64)>,
    /// Number for the next file: greater than any that a file or cursor bears, so that no old cursor lies ahead of new data.
    next_number: u64,
    active: Option<Active>,
    last: Option<Appended>,
    readers: Vec<Option<Reader>>,
    saved: Option<Instant>,
    synced: Option<Instant>,
    stats: Stats,
    /// Bytes written since free space was looked at.
    since_free_check: u64,
    #[cfg(test)]
    faults: writer::Faults,
    /// Held until the end: closing it frees the lock.
    _lock: File,
}

impl Spool {
    /// Makes the folder when it is missing, takes the lock, and finds what is there. Damage is repaired or passed over. What
    /// exceeds [`Options::max_bytes`] goes at the next append.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            |source| OpenError::Io { path, source }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&options.path)
            .map_err(at(&options.path))?;
        let lock_path = options.path.join("LOCK");
        let lock = writer::lock(&lock_path).map_err(at(&lock_path))?;
        let lock = lock.ok_or_else(|| OpenError::Busy(options.path.clone()))?;
        let found = recover::recover(&options.path).map_err(at(&options.path))?;
        let bytes = found.recovered.bytes + found.bad.iter().map(|(_, size)| size).sum::<u64>();
        let stats = Stats {
            corrupt_records: found.recovered.damaged,
            ..Stats::default()
        };
        Ok(Self {
            options,
            recovered: found.recovered,
            segments: found.segments,
            bytes,
            bad: found.bad,
            next_number: found.next_number,
            active: None,
            last: None,
            readers: Vec::new(),
            saved: None,
            synced: None,
            stats,
            since_free_check: u64::MAX,
            #[cfg(test)]
            faults: writer::Faults::default(),
            _lock: lock,
        })
    }

    /// What [`Self::open`] found.
    #[must_use]
    pub fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// Figures as of now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            bytes: self.bytes,
            capacity: self.options.max_bytes,
            segments: self.segments.len(),
            oldest_ts_ns: self.oldest(),
            ..self.stats
        }
    }

    fn oldest(&self) -> Option<u64> {
        let mut readers = self.readers.iter().flatten().peekable();
        if readers.peek().is_none() {
            return self.segments.front().map(|s| s.first_ts_ns);
        }
        readers.filter_map(|r| r.oldest(&self.segments)).min()
    }

    /// Where in [`Self::segments`] the file of this number is, or the next after it.
    fn index_of(segments: &VecDeque<Segment>, number: u64) -> usize {
        segments.partition_point(|s| s.number < number)
    }

    fn segment_path(dir: &Path, number: u64) -> PathBuf {
        dir.join(format!("seg-{number:016x}.log"))
    }

    /// Removes the file of a segment. One that is gone already is as good.
    fn unlink(path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }
}
