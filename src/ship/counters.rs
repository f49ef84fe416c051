//! What is counted for each sink and for the spool: plain atomics that a scrape reads without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::parcel::Budget;
use super::verdict::Reason;

/// One number, written by the thread `pv-ship` and read at scrape.
#[derive(Debug, Default)]
pub struct Cell(AtomicU64);

impl Cell {
    /// The value now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    pub(super) fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }
}

/// Why a sink did not get records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Loss {
    /// Memory was full.
    QueueFull,
    /// They waited in the spool for longer than the receiver takes.
    TooOld,
    /// The receiver refused them for good.
    Rejected,
    /// The spool was full, or what it held was damaged.
    SpoolFull,
    /// The end came first.
    Shutdown,
}

impl Loss {
    /// All, in the order of the metric's labels.
    pub const ALL: [Loss; 5] = [
        Loss::QueueFull,
        Loss::TooOld,
        Loss::Rejected,
        Loss::SpoolFull,
        Loss::Shutdown,
    ];

    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Loss::QueueFull => "queue_full",
            Loss::TooOld => "too_old",
            Loss::Rejected => "rejected",
            Loss::SpoolFull => "spool_full",
            Loss::Shutdown => "shutdown",
        }
    }
}

/// What a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Taken.
    Ok,
    /// To be sent again.
    Retryable,
    /// Refused for good, or split.
    Rejected,
    /// No answer in time.
    Timeout,
}

impl Outcome {
    /// All, in the order of the metric's labels.
    pub const ALL: [Outcome; 4] = [
        Outcome::Ok,
        Outcome::Retryable,
        Outcome::Rejected,
        Outcome::Timeout,
    ];

    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Retryable => "retryable",
            Outcome::Rejected => "rejected",
            Outcome::Timeout => "timeout",
        }
    }
}

/// Upper bounds of the send duration's buckets, in seconds.
pub const DURATION_BOUNDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Upper bounds of a request's size on the wire, in bytes.
pub const SIZE_BOUNDS: [f64; 8] = [
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    524_288.0,
    1_048_576.0,
    4_194_304.0,
];

/// Counts by upper bound, and the sum.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    /// Observations in each bucket alone; the last is beyond all bounds.
    pub counts: [Cell; N],
    /// The overflow bucket.
    pub beyond: Cell,
    /// The sum, in millionths.
    pub sum_micros: Cell,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self {
            counts: std::array::from_fn(|_| Cell::default()),
            beyond: Cell::default(),
            sum_micros: Cell::default(),
        }
    }
}

impl<const N: usize> Histogram<N> {
    pub(super) fn observe(&self, bounds: &[f64; N], value: f64) {
        let bucket = bounds
            .iter()
            .zip(&self.counts)
            .find(|(bound, _)| value <= **bound);
        bucket.map_or(&self.beyond, |(_, cell)| cell).add(1);
        self.sum_micros.add((value * 1e6) as u64);
    }
}

/// What is counted for one sink.
#[derive(Debug, Default)]
pub struct SinkCounters {
    /// Records given to it: `taken = sent + dropped + queued + spooled`, at rest.
    pub taken: Cell,
    /// Of the dropped ones, those that never came to the shipper, whose log does not tell of them by itself.
    pub lost_before: Cell,
    /// Records that the receiver has taken.
    pub sent: Cell,
    /// Bytes of them on the wire, after compression.
    pub sent_bytes: Cell,
    /// The same before compression.
    pub uncompressed_bytes: Cell,
    /// 1 while the last answer was good.
    pub up: Cell,
    /// Records that wait in memory, those under way included.
    pub queue_events: Cell,
    /// Their bytes.
    pub queue_bytes: Cell,
    /// Records that wait in the spool.
    pub spooled_events: Cell,
    /// When the oldest that waits was read: nanoseconds since the Unix epoch; 0 if none waits.
    pub oldest_ns: Cell,
    /// When the receiver last took something: nanoseconds since the Unix epoch; 0 if never.
    pub last_success_ns: Cell,
    /// Requests under way.
    pub in_flight: Cell,
    /// Milliseconds until the next attempt.
    pub backoff_ms: Cell,
    /// Seconds per request.
    pub duration: Histogram<{ DURATION_BOUNDS.len() }>,
    /// Bytes per request on the wire.
    pub size: Histogram<{ SIZE_BOUNDS.len() }>,
    batches: [Cell; Outcome::ALL.len()],
    retries: [Cell; Reason::ALL.len()],
    dropped: [Cell; Loss::ALL.len()],
}

impl SinkCounters {
    /// Requests that came to this.
    #[must_use]
    pub fn batches(&self, outcome: Outcome) -> &Cell {
        &self.batches[outcome as usize]
    }

    /// Requests that have to be sent again for this reason.
    #[must_use]
    pub fn retries(&self, reason: Reason) -> &Cell {
        &self.retries[reason as usize]
    }

    /// Records lost for this reason.
    #[must_use]
    pub fn dropped(&self, loss: Loss) -> &Cell {
        &self.dropped[loss as usize]
    }

    pub(super) fn observe(&self, took: Duration, bytes: usize) {
        self.duration.observe(&DURATION_BOUNDS, took.as_secs_f64());
        self.size.observe(&SIZE_BOUNDS, bytes as f64);
    }
}

/// What becomes of one service's lines on their way to the sinks:
/// `lines = records + merged + filtered + rate_limited + refused`, once no merge is under way.
#[derive(Debug)]
pub struct ServiceCounters {
    /// Its name.
    pub name: Arc<str>,
    /// Records made, and given to every sink.
    pub records: Cell,
    /// Lines that went into the record of a line before.
    pub merged: Cell,
    /// Lines that its filter left out.
    pub filtered: Cell,
    /// Lines over its rate limit.
    pub rate_limited: Cell,
    /// Lines not taken in as memory was full (`whenFull: dropNewest`).
    pub refused: Cell,
    /// Records taken in and later lost to at least one sink.
    pub lost: Cell,
    /// Lines that are no JSON object (`parse: json`).
    pub invalid_json: Cell,
}

impl ServiceCounters {
    /// All at 0.
    #[must_use]
    pub fn new(name: Arc<str>) -> Self {
        Self {
            name,
            records: Cell::default(),
            merged: Cell::default(),
            filtered: Cell::default(),
            rate_limited: Cell::default(),
            refused: Cell::default(),
            lost: Cell::default(),
            invalid_json: Cell::default(),
        }
    }
}

/// A sink, as metrics show it.
#[derive(Debug)]
pub struct SinkInfo {
    /// Its name in the config.
    pub name: String,
    /// The lane whose parcels it takes.
    pub lane: usize,
    /// `http` or `otlp`.
    pub kind: &'static str,
    /// `gzip`, `zstd` or `none`.
    pub compression: &'static str,
    /// What is counted.
    pub counters: SinkCounters,
}

/// What is counted for the spool.
#[derive(Debug, Default)]
pub struct SpoolCounters {
    /// Bytes it holds.
    pub bytes: Cell,
    /// Bytes it may hold.
    pub capacity: Cell,
    /// Files.
    pub segments: Cell,
    /// When its oldest record was read: nanoseconds since the Unix epoch; 0 if it is empty.
    pub oldest_ns: Cell,
    /// Writes that failed.
    pub write_errors: Cell,
    /// Damaged records that were found.
    pub corrupt: Cell,
    /// Records removed unread: no sink takes their form any more.
    pub unclaimed: Cell,
    /// Records of earlier runs that were taken up.
    pub replayed: Cell,
}

/// All that is counted on the way out.
#[derive(Debug)]
pub struct ShipCounters {
    /// The services, by their numbers.
    pub services: Vec<ServiceCounters>,
    /// Records of podvisor's own.
    pub own_records: Cell,
    /// The sinks, in the order of their names.
    pub sinks: Vec<SinkInfo>,
    /// The spool, if there is one.
    pub spool: Option<SpoolCounters>,
    /// The memory that all sinks share.
    pub budget: Arc<Budget>,
}
