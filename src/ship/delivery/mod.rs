//! The delivery of one sink: pure. Parcels and answers go in, requests come out; time is an argument.
//!
//! | an answer | what follows |
//! |---|---|
//! | delivered | the parcels are let go of; what the receiver refused of them is counted |
//! | retry | the *sink* pauses, backing off; then the same parts go again, so that order is kept |
//! | retry, stale connection | again at once, one time |
//! | retry, suspect | as above; after [`SUSPECTS`] in a row the batch is set aside and the next one is tried. Once one passes, those aside get a last chance, and are given up if they fail again; if [`ASIDE`] fail in a row, it is an outage, and nobody's fault |
//! | too large | parcels apart, then halves; joined requests stay half as large for [`SMALL_FOR`] |
//! | malformed | parcels apart, then halves, down to the one bad record, which is given up; at most [`SPLITS`] pieces of a parcel |
//!
//! After an outage it starts slowly: one request with one parcel, then two, four and so on. Nothing but an outage is
//! retried without end, and what waits then is bounded by who evicts ([`Delivery::evict_oldest`]).

mod answers;
mod backoff;
mod batch;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_world;
mod types;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

pub use backoff::{Backoff, MAX_ASKED};
use batch::{Batch, Piece};
pub use types::{Item, Limits, Part, Request, RequestId, Settled, Step};

use super::parcel::Class;
use super::verdict::Verdict;

/// Suspect failures of one batch in a row after which the next one is tried.
pub const SUSPECTS: u32 = 5;
/// Parcels of which something may be set aside at once. When more in a row fail, it is an outage.
pub const ASIDE: usize = 8;
/// Pieces that one parcel is split into at most, halves and their halves counted. What still fails then is given up in whole ranges.
pub const SPLITS: u32 = 64;
/// Parcels that one request joins at most.
pub const JOINED: usize = 64;
/// For so long a receiver that found a request too large gets smaller ones.
pub const SMALL_FOR: Duration = Duration::from_secs(600);
/// Joined requests are not made smaller than this, in bytes before compression.
pub const SMALLEST: usize = 64 * 1024;
/// A parcel that is not settled.
#[derive(Debug)]
struct Open<T> {
    item: Item<T>,
    /// Records not settled yet.
    left: u32,
    /// Pieces it was split into.
    splits: u32,
}

/// The delivery of one sink.
#[derive(Debug)]
pub struct Delivery<T> {
    limits: Limits,
    random: fastrand::Rng,
    /// All that is not settled, in order.
    open: BTreeMap<u64, Open<T>>,
    next_key: u64,
    /// Parcels that were never sent, in order.
    fresh: VecDeque<u64>,
    /// Batches to be sent (again) before those, in order. At most [`JOINED`] and a few halves.
    again: VecDeque<Batch>,
    /// Batches that may be to blame for their own failures: of at most [`ASIDE`] parcels.
    aside: Vec<Batch>,
    flying: Vec<(RequestId, Batch)>,
    next_request: u64,
    failures: u32,
    /// Pauses so far. What was sent before the last one says nothing about how the receiver is now.
    pauses: u64,
    paused_until: Option<Instant>,
    /// Requests at once and parcels per request, for now.
    window: usize,
    parcels: usize,
    /// Joined requests are kept this small until then.
    small: Option<(usize, Instant)>,
    /// Of a refused joined request: parcels whose own verdict is awaited, and whether one was refused too.
    trial: Option<(usize, bool)>,
    joins_refused: u32,
    deadline: Option<Instant>,
    queued_records: u64,
    queued_bytes: usize,
}

impl<T: Clone> Delivery<T> {
    /// Nothing to send yet. `seed` is for jitter.
    #[must_use]
    pub fn new(limits: Limits, seed: u64) -> Self {
        Self {
            window: limits.concurrency.max(1),
            limits,
            random: fastrand::Rng::with_seed(seed),
            open: BTreeMap::new(),
            next_key: 0,
            fresh: VecDeque::new(),
            again: VecDeque::new(),
            aside: Vec::new(),
            flying: Vec::new(),
            next_request: 0,
            failures: 0,
            pauses: 0,
            paused_until: None,
            parcels: JOINED,
            small: None,
            trial: None,
            joins_refused: 0,
            deadline: None,
            queued_records: 0,
            queued_bytes: 0,
        }
    }

    /// Takes a parcel in, behind all others.
    pub fn push(&mut self, item: Item<T>) {
        let key = self.next_key;
        self.next_key += 1;
        self.queued_records += u64::from(item.records);
        self.queued_bytes += item.bytes;
        let left = item.records;
        let splits = 0;
        self.open.insert(key, Open { item, left, splits });
        self.fresh.push_back(key);
    }

    /// What is to be done now. To be asked until it says wait.
    pub fn next(&mut self, now: Instant) -> Step<T> {
        if self.flying.len() >= self.window {
            return Step::Wait(None);
        }
        if let Some(until) = self.paused_until
            && until > now
        {
            return Step::Wait(Some(until));
        }
        self.paused_until = None;
        let Some(mut batch) = self.next_batch(now) else {
            return Step::Wait(None);
        };
        batch.attempts += 1;
        batch.pauses = self.pauses;
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let mut parts = Vec::with_capacity(batch.pieces.len());
        for piece in &batch.pieces {
            if let Some(open) = self.open.get(&piece.key) {
                let range = (!piece.whole).then(|| piece.range.clone());
                let handle = open.item.handle.clone();
                parts.push(Part { handle, range });
            }
        }
        let attempt = batch.attempts;
        self.flying.push((id, batch));
        Step::Send(Request { id, parts, attempt })
    }

    fn next_batch(&mut self, now: Instant) -> Option<Batch> {
        if let Some(batch) = self.again.pop_front() {
            return Some(batch);
        }
        if let Some(batch) = self.join(now) {
            return Some(batch);
        }
        // Nobody else is there to show whether it is the batch or the receiver.
        (self.flying.is_empty() && !self.aside.is_empty()).then(|| self.aside.remove(0))
    }

    /// A batch of fresh parcels.
    fn join(&mut self, now: Instant) -> Option<Batch> {
        if self.small.is_some_and(|(_, until)| until <= now) {
            self.small = None;
        }
        let max_raw = self.small.map_or(self.limits.max_raw, |(bytes, _)| bytes);
        let most = if self.limits.join { self.parcels } else { 1 };
        let (mut pieces, mut raw, mut bytes, mut records) = (Vec::new(), 0, 0, 0);
        while let Some(key) = self.fresh.front().copied() {
            let Some(open) = self.open.get(&key) else {
                self.fresh.pop_front();
                continue;
            };
            raw += open.item.raw;
            bytes += open.item.bytes;
            records += open.item.records;
            let fits = raw <= max_raw
                && bytes <= self.limits.max_bytes
                && records <= self.limits.max_records;
            if !pieces.is_empty() && (!fits || pieces.len() >= most) {
                break;
            }
            self.fresh.pop_front();
            pieces.push(Piece {
                key,
                range: 0..open.item.records,
                whole: true,
            });
        }
        (!pieces.is_empty()).then(|| Batch::new(pieces))
    }

    /// Takes the answer to a request in.
    pub fn answer(&mut self, now: Instant, id: RequestId, verdict: Verdict) -> Settled<T> {
        let mut settled = Settled {
            delivered: 0,
            rejected: 0,
            retried: None,
            released: Vec::new(),
            quarantined: Vec::new(),
        };
        let Some(at) = self.flying.iter().position(|(flying, _)| *flying == id) else {
            return settled;
        };
        let (_, batch) = self.flying.swap_remove(at);
        match verdict {
            Verdict::Delivered { rejected } => self.delivered(batch, rejected, &mut settled),
            Verdict::TooLarge => self.too_large(now, batch, &mut settled),
            Verdict::Malformed { message } => self.malformed(batch, &message, &mut settled),
            Verdict::Retry(failure) => self.failed(now, batch, &failure, &mut settled),
        }
        settled
    }

    /// Gives the oldest evictable parcel up that is not under way, with the number of its records that were not settled.
    pub fn evict_oldest(&mut self) -> Option<(T, u32)> {
        let flies = |key: u64| self.flying.iter().any(|(_, batch)| batch.holds(key));
        let (key, _) = self
            .open
            .iter()
            .find(|(key, open)| open.item.class == Class::Evictable && !flies(**key))?;
        let key = *key;
        if let Ok(at) = self.fresh.binary_search(&key) {
            self.fresh.remove(at);
        } else {
            for batch in self.again.iter_mut().chain(&mut self.aside) {
                batch.pieces.retain(|piece| piece.key != key);
            }
            self.again.retain(|batch| !batch.pieces.is_empty());
            self.aside.retain(|batch| !batch.pieces.is_empty());
            self.end_trial();
        }
        let open = self.open.remove(&key)?;
        self.queued_records -= u64::from(open.left);
        self.queued_bytes -= open.item.bytes;
        Some((open.item.handle, open.left))
    }

    /// The end has begun: whatever it waited for, it tries at once, and waits only for what fits before the deadline.
    pub fn drain(&mut self, now: Instant, deadline: Instant) {
        self.deadline = Some(deadline);
        self.paused_until = self.paused_until.filter(|until| *until <= now);
    }

    /// Everything that is not settled, in order, also what is under way; with the numbers of records.
    pub fn take_all(&mut self) -> Vec<(T, u32)> {
        self.fresh.clear();
        self.again.clear();
        self.aside.clear();
        self.flying.clear();
        (self.queued_records, self.queued_bytes) = (0, 0);
        let open = std::mem::take(&mut self.open).into_values();
        open.map(|open| (open.item.handle, open.left)).collect()
    }

    /// Records that are not settled.
    #[must_use]
    pub fn queued_records(&self) -> u64 {
        self.queued_records
    }

    /// Bytes of the parcels that are not settled.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Requests under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.flying.len()
    }

    /// How long it still pauses.
    #[must_use]
    pub fn backoff_remaining(&self, now: Instant) -> Option<Duration> {
        let until = self.paused_until?;
        Some(until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// When the oldest record that waits was read: nanoseconds since the Unix epoch.
    #[must_use]
    pub fn oldest_ts_ns(&self) -> Option<u64> {
        self.open
            .first_key_value()
            .map(|(_, open)| open.item.first_ts_ns)
    }

    /// The last answer was a failure.
    #[must_use]
    pub fn failing(&self) -> bool {
        self.failures > 0
    }

    /// Everything is settled.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.open.is_empty()
    }
}
