//! The spool as the desk uses it: one reader for each sink, and a pause after a failed write.

use std::time::{Duration, Instant};

use super::counters::SpoolCounters;
use super::parcel::{Form, Parcel};
use super::spool::{Meta, Position, ReaderId, Spool, Stored};

/// After a write has failed (a full disk), memory alone serves for so long.
const PAUSE: Duration = Duration::from_secs(30);

/// The spool and its readers.
pub(super) struct Store {
    spool: Spool,
    readers: Vec<ReaderId>,
    /// Every parcel goes to disk first.
    pub always: bool,
    own_source: u64,
    paused_until: Option<Instant>,
    replayed: u64,
}

impl Store {
    /// `sinks`: names and forms, in the sinks' order.
    pub fn new(mut spool: Spool, sinks: &[(&str, Form)], always: bool, own_source: u64) -> Self {
        let readers = sinks
            .iter()
            .map(|(name, form)| spool.subscribe(name, *form))
            .collect();
        Self {
            spool,
            readers,
            always,
            own_source,
            paused_until: None,
            replayed: 0,
        }
    }

    /// Whether the disk took what was last written.
    pub fn works(&self) -> bool {
        self.paused_until.is_none()
    }

    /// Writes the parcel; nothing when the disk does not take it.
    pub fn append(&mut self, parcel: &Parcel) -> Option<Position> {
        if self
            .paused_until
            .is_some_and(|until| Instant::now() < until)
        {
            return None;
        }
        let meta = Meta {
            seq: parcel.seq,
            source: parcel.source,
            form: parcel.form,
            records: parcel.records,
            raw_len: parcel.raw_len,
            first_ts_ns: parcel.first_ts_ns,
        };
        match self.spool.append(&meta, &parcel.bytes) {
            Ok(position) => {
                if self.paused_until.take().is_some() {
                    tracing::info!("the spool takes records again");
                }
                self.save(false);
                Some(position)
            }
            Err(error) => {
                if self.paused_until.is_none() {
                    tracing::warn!(%error, "the spool takes nothing: memory serves alone");
                }
                self.paused_until = Some(Instant::now() + PAUSE);
                None
            }
        }
    }

    /// The next record that the sink has not read.
    pub fn next(&mut self, at: usize) -> Option<Stored> {
        let stored = self.spool.next(self.readers[at])?;
        if stored.meta.source != self.own_source {
            self.replayed += u64::from(stored.meta.records);
        }
        Some(stored)
    }

    /// Records on disk that the sink has not read.
    pub fn unread(&self, at: usize) -> u64 {
        self.spool.unread(self.readers[at]).records
    }

    /// The sink takes what was just appended from memory. It does not if it has others to read first.
    #[must_use]
    pub fn skip(&mut self, at: usize, end: Position) -> bool {
        self.spool.skip_appended(self.readers[at], end)
    }

    /// The sink is done with all before `end`.
    pub fn acknowledge(&mut self, at: usize, end: Position) {
        self.spool.ack(self.readers[at], end);
        self.save(false);
    }

    /// Records that the sink lost on disk since this was last asked.
    pub fn losses(&mut self, at: usize) -> u64 {
        let lost = self.spool.take_losses(self.readers[at]);
        lost.cap + lost.corrupt
    }

    /// Writes the cursors down, at most once a second unless forced.
    pub fn save(&mut self, force: bool) {
        self.spool.save(force, Instant::now());
    }

    /// Brings the gauges up to date.
    pub fn publish(&self, counters: &SpoolCounters) {
        let stats = self.spool.stats();
        counters.bytes.set(stats.bytes);
        counters.capacity.set(stats.capacity);
        counters.segments.set(stats.segments as u64);
        counters.oldest_ns.set(stats.oldest_ts_ns.unwrap_or(0));
        counters.write_errors.set(stats.write_errors);
        counters.corrupt.set(stats.corrupt_records);
        if stats.unclaimed_records > counters.unclaimed.get() {
            tracing::warn!(
                records = stats.unclaimed_records,
                "removed from the spool unsent: no sink takes them as they were written (its type or compression has changed)"
            );
        }
        counters.unclaimed.set(stats.unclaimed_records);
        counters.replayed.set(self.replayed);
    }
}
