//! Counts and figures of the spool.

/// A count of parcels' content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Log records.
    pub records: u64,
    /// Bytes of payload.
    pub bytes: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: Tally) {
        self.records += other.records;
        self.bytes += other.bytes;
    }

    pub(super) fn minus(self, other: Tally) -> Tally {
        Tally {
            records: self.records.saturating_sub(other.records),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

/// Log records that a reader will not get. For every reader: what it was given, what is unread and what is lost add up to
/// what was there when it subscribed and what came since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// Gone with the oldest files, for the spool was full.
    pub cap: u64,
    /// Damaged on the disk.
    pub corrupt: u64,
}

/// What a start found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Files with records.
    pub segments: usize,
    /// Log records that are there.
    pub records: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Damaged places inside files: at least so many parcels are lost, of unknown content.
    pub damaged: u64,
    /// Bytes of them.
    pub damaged_bytes: u64,
    /// Files whose useless end was cut off: torn by a crash, or damaged.
    pub truncated: u64,
    /// Bytes cut off.
    pub truncated_bytes: u64,
    /// Files put aside as `.bad`, or that could not be opened.
    pub bad: u64,
}

/// Figures for the metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of all files but cursors.
    pub bytes: u64,
    /// What they may come to.
    pub capacity: u64,
    /// Files with records.
    pub segments: usize,
    /// Not later than the first log record of the oldest parcel that a reader is not done with, and near it: nanoseconds since
    /// the Unix epoch. None when every reader is done with all.
    pub oldest_ts_ns: Option<u64>,
    /// Appends, cursor writes, removals and fsyncs that failed since the start. A disk that is full is one, the cap is not.
    pub write_errors: u64,
    /// Reads that failed since the start.
    pub read_errors: u64,
    /// Log records that readers missed because of damage. What two readers miss counts twice. Damaged places found at the
    /// start count one each, for their content is unknown.
    pub corrupt_records: u64,
    /// Log records removed unread because no sink takes their form any more.
    pub unclaimed_records: u64,
}
