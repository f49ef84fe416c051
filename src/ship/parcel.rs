//! A parcel: records of one format, encoded once and compressed once, shared by all sinks of its lane.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;

use crate::logs::ServiceId;

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Encoding {
    /// One JSON object a line. Parcels may be joined by concatenation.
    Ndjson,
    /// OTLP's `ExportLogsServiceRequest`. Parcels may be joined by concatenation, as any protobuf message.
    Otlp,
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
}

/// The one byte budget of the whole log plane.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// `limit` in bytes.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        let used = AtomicUsize::new(0);
        Arc::new(Self { limit, used })
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

    /// Takes `bytes`, whether there is room or not: the caller makes room afterwards.
    #[must_use]
    pub fn take(self: &Arc<Self>, bytes: usize) -> Reservation {
        self.used.fetch_add(bytes, Relaxed);
        Reservation {
            budget: Some(Arc::clone(self)),
            bytes,
        }
    }
}

/// Bytes taken from a [`Budget`], given back on drop.
#[derive(Debug, Default)]
pub struct Reservation {
    budget: Option<Arc<Budget>>,
    bytes: usize,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.used.fetch_sub(self.bytes, Relaxed);
        }
    }
}
