//! What goes into a delivery and what comes out of it.

use std::ops::Range;
use std::time::Instant;

use super::backoff::Backoff;
use crate::ship::parcel::Class;
use crate::ship::verdict::Reason;

/// How much at once, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one request before compression. A parcel that is larger goes alone.
    pub max_raw: usize,
    /// Bytes of one request, compressed: what is under way can't be evicted. A parcel that is larger goes alone.
    pub max_bytes: usize,
    /// Records of one request. A parcel that has more goes alone.
    pub max_records: u32,
    /// Several parcels may be joined in one request.
    pub join: bool,
    /// Requests under way at once. With 1, records arrive strictly in order.
    pub concurrency: usize,
    /// How long it pauses after a failure.
    pub backoff: Backoff,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_raw: 1024 * 1024,
            max_bytes: 1024 * 1024,
            max_records: 4096,
            join: true,
            concurrency: 1,
            backoff: Backoff::default(),
        }
    }
}

/// A parcel as delivery sees it.
#[derive(Debug)]
pub struct Item<T> {
    /// The parcel.
    pub handle: T,
    /// Records in it, at least 1.
    pub records: u32,
    /// Bytes, compressed.
    pub bytes: usize,
    /// Bytes before.
    pub raw: usize,
    /// Whether it may be evicted.
    pub class: Class,
    /// When its first record was read: nanoseconds since the Unix epoch.
    pub first_ts_ns: u64,
}

/// Some or all records of a parcel.
#[derive(Debug, Clone)]
pub struct Part<T> {
    /// The parcel.
    pub handle: T,
    /// Which records; all if none.
    pub range: Option<Range<u32>>,
}

/// Names a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId(pub(super) u64);

/// What is to be sent as one.
#[derive(Debug)]
pub struct Request<T> {
    /// To be given back with the answer.
    pub id: RequestId,
    /// The parts, in order.
    pub parts: Vec<Part<T>>,
    /// How often these parts have been sent, from 1.
    pub attempt: u32,
}

/// What is to be done now.
#[derive(Debug)]
pub enum Step<T> {
    /// Send this, then ask again.
    Send(Request<T>),
    /// Nothing before this time, or before an answer or a parcel comes.
    Wait(Option<Instant>),
}

/// What an answer settled.
#[derive(Debug)]
pub struct Settled<T> {
    /// Records that the receiver has taken.
    pub delivered: u64,
    /// Records given up for good.
    pub rejected: u64,
    /// The request will be sent again, for this reason.
    pub retried: Option<Reason>,
    /// Parcels of which every record is settled.
    pub released: Vec<T>,
    /// A record given up (the first of each range): its parcel, its number there, and why.
    pub quarantined: Vec<(T, u32, String)>,
}
