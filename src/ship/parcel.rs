//! A parcel: records of one format, encoded once and compressed once, shared by all sinks of its lane.

use std::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::logs::ServiceId;

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Encoding {
    /// One JSON object a line. Parcels may be joined by concatenation.
    Ndjson,
    /// OTLP's `ExportLogsServiceRequest`. Parcels may be joined by concatenation, as any protobuf message.
    Otlp,
    /// The same, with JSON lines as maps rather than text (`body: map`).
    OtlpMap,
}

/// How a parcel is compressed. What was compressed apart may be joined by concatenation (RFC 1952, RFC 8878), where the
/// receiver takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Codec {
    /// Not at all.
    Identity,
    /// One gzip member.
    Gzip,
    /// One zstd frame.
    Zstd,
}

/// What a sink can send as it is: it takes the parcels of one form only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Form {
    /// How records are written.
    pub encoding: Encoding,
    /// How the whole is compressed.
    pub codec: Codec,
}

/// Whether a parcel may be given up when memory is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// The oldest of these go first (`whenFull: dropOldest`).
    Evictable,
    /// Never given up once taken in (`whenFull: dropNewest` and `block`).
    Held,
}

/// Records, encoded and compressed.
#[derive(Debug)]
pub struct Parcel {
    /// Number in this run of podvisor, gap-free over all lanes, from 0.
    pub seq: u64,
    /// The run that made it: random per start. Another one's after a replay from the spool.
    pub source: u64,
    /// What is inside.
    pub form: Form,
    /// Whether it may be given up.
    pub class: Class,
    /// Records in it.
    pub records: u32,
    /// Bytes before compression.
    pub raw_len: u32,
    /// When its first record was read: nanoseconds since the Unix epoch.
    pub first_ts_ns: u64,
    /// What is sent.
    pub bytes: Bytes,
    /// Whose records they are, for the books; empty after a replay.
    pub per_service: Box<[(ServiceId, u32)]>,
    /// Its share of the memory budget, given back when the last sink lets go of the parcel.
    pub held: Reservation,
    /// A sink has lost some of it, which was said of its services.
    pub mourned: AtomicBool,
}

/// The one byte budget of the whole log plane.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
    held: AtomicUsize,
    /// Somebody waits for less to be in use.
    awaited: AtomicBool,
    waiting: Mutex<()>,
    less: Condvar,
}

impl Budget {
    /// `limit` in bytes.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            awaited: AtomicBool::new(false),
            waiting: Mutex::new(()),
            less: Condvar::new(),
        })
    }

    /// Bytes.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes in use. May pass the limit by what was under way when it was reached.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// Those of them that may not be given up.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.load(Relaxed)
    }

    /// Waits until at most `bytes` are in use, or for `patience`. Says whether they are.
    #[must_use]
    pub fn wait_for(&self, bytes: usize, patience: Duration) -> bool {
        if self.used() <= bytes {
            return true;
        }
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.awaited.store(true, SeqCst);
        let more = |_: &mut ()| self.used.load(SeqCst) > bytes;
        let waited = self.less.wait_timeout_while(waiting, patience, more);
        self.awaited.store(false, SeqCst);
        waited.is_ok_and(|(_, late)| !late.timed_out())
    }

    fn give_back(&self, bytes: usize, held: usize) {
        self.used.fetch_sub(bytes, SeqCst);
        self.held.fetch_sub(held, Relaxed);
        if self.awaited.load(SeqCst) {
            // Taken, so that the other is not between looking and waiting.
            drop(self.waiting.lock());
            self.less.notify_all();
        }
    }

    /// Takes `bytes`, whether there is room or not: the caller makes room afterwards.
    #[must_use]
    pub fn take(self: &Arc<Self>, bytes: usize, class: Class) -> Reservation {
        let held = if class == Class::Held { bytes } else { 0 };
        self.used.fetch_add(bytes, Relaxed);
        self.held.fetch_add(held, Relaxed);
        let budget = Some(Arc::clone(self));
        Reservation {
            budget,
            bytes,
            held,
        }
    }
}

/// Bytes taken from a [`Budget`], given back on drop.
#[derive(Debug, Default)]
pub struct Reservation {
    budget: Option<Arc<Budget>>,
    bytes: usize,
    held: usize,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.give_back(self.bytes, self.held);
        }
    }
}
