//! What an answer does: the table of the module's head, row by row.

use std::time::{Duration, Instant};

use super::batch::Batch;
use super::types::Settled;
use super::{ASIDE, Delivery, JOINED, SMALL_FOR, SMALLEST, SPLITS, SUSPECTS};
use crate::ship::verdict::Failure;

/// Joined requests refused, whose parcels all passed alone, after which parcels are joined no more.
const JOINS_REFUSED: u32 = 2;

impl<T: Clone> Delivery<T> {
    pub(super) fn delivered(&mut self, batch: Batch, rejected: u64, settled: &mut Settled<T>) {
        if batch.on_trial {
            self.tried(false);
        }
        if batch.pauses == self.pauses {
            self.recovered();
        }
        let records = batch.records();
        let rejected = rejected.min(records);
        settled.rejected += rejected;
        settled.delivered += records - rejected;
        self.settle(&batch, settled);
    }

    /// A request that was sent after the last failure has passed: the receiver works.
    fn recovered(&mut self) {
        self.failures = 0;
        self.paused_until = None;
        self.window = (self.window + 1).min(self.limits.concurrency.max(1));
        self.parcels = (self.parcels * 2).min(JOINED);
        for mut aside in std::mem::take(&mut self.aside) {
            aside.last_chance = true;
            self.put_again(aside);
        }
    }

    pub(super) fn too_large(&mut self, now: Instant, batch: Batch, settled: &mut Settled<T>) {
        let raw: usize = batch
            .pieces
            .iter()
            .filter_map(|piece| self.open.get(&piece.key))
            .map(|open| open.item.raw)
            .sum();
        if batch.pieces.len() > 1 {
            self.small = Some(((raw / 2).max(SMALLEST), now + SMALL_FOR));
        }
        if batch.on_trial {
            self.tried(true);
        }
        self.split(batch, "too large for the receiver", settled);
    }

    pub(super) fn malformed(&mut self, batch: Batch, message: &str, settled: &mut Settled<T>) {
        if batch.on_trial {
            self.tried(true);
        }
        if batch.pieces.len() > 1 && self.trial.is_none() {
            self.trial = Some((batch.pieces.len(), false));
            for mut alone in batch.split() {
                alone.on_trial = true;
                self.put_again(alone);
            }
            return;
        }
        self.split(batch, message, settled);
    }

    /// One of a refused joined request has its own verdict. If none of them is bad, joining is.
    fn tried(&mut self, refused: bool) {
        let Some((left, bad)) = &mut self.trial else {
            return;
        };
        *left = left.saturating_sub(1);
        *bad |= refused;
        if *left > 0 {
            return;
        }
        self.joins_refused = if *bad { 0 } else { self.joins_refused + 1 };
        self.trial = None;
        if self.joins_refused >= JOINS_REFUSED {
            self.limits.join = false;
        }
    }

    /// The verdicts of a refused joined request will not be complete: nothing is to be learned from it.
    pub(super) fn end_trial(&mut self) {
        self.trial = None;
        let flying = self.flying.iter_mut().map(|(_, batch)| batch);
        for batch in flying.chain(&mut self.again).chain(&mut self.aside) {
            batch.on_trial = false;
        }
    }

    fn split(&mut self, batch: Batch, why: &str, settled: &mut Settled<T>) {
        let spent = batch.pieces.iter().any(|piece| {
            let open = self.open.get(&piece.key);
            open.is_some_and(|open| open.splits >= SPLITS)
        });
        let smaller = if spent { Vec::new() } else { batch.split() };
        if smaller.is_empty() {
            return self.reject(&batch, why, settled);
        }
        for batch in smaller {
            if let [piece] = batch.pieces.as_slice()
                && !piece.whole
                && let Some(open) = self.open.get_mut(&piece.key)
            {
                open.splits += 1;
            }
            self.put_again(batch);
        }
    }

    pub(super) fn failed(
        &mut self,
        now: Instant,
        mut batch: Batch,
        failure: &Failure,
        settled: &mut Settled<T>,
    ) {
        if batch.last_chance && failure.suspect {
            if batch.on_trial {
                self.tried(true);
            }
            if batch.pieces.len() < 2 {
                return self.reject(&batch, &failure.message, settled);
            }
            // One of them is to blame: each has to answer for itself, soon.
            for mut alone in batch.split() {
                alone.suspects = SUSPECTS - 1;
                self.put_again(alone);
            }
            settled.retried = Some(failure.reason);
            return self.pause(now, failure.after);
        }
        settled.retried = Some(failure.reason);
        if failure.stale && !batch.stale_used {
            batch.stale_used = true;
            return self.put_again(batch);
        }
        batch.stale_used = false;
        batch.last_chance = false;
        batch.suspects = if failure.suspect {
            batch.suspects + 1
        } else {
            0
        };
        self.pause(now, failure.after);
        let others = !self.fresh.is_empty() || !self.again.is_empty();
        let enough = batch.suspects >= SUSPECTS && others;
        let one_more = failure.suspect && !self.aside.is_empty() && self.room_aside(&batch);
        if (enough && self.aside.is_empty()) || one_more {
            self.aside.push(batch);
            return;
        }
        if !self.aside.is_empty() {
            // The others fail as well: an outage, and none of them is to blame.
            batch.suspects = 0;
            for mut aside in std::mem::take(&mut self.aside) {
                aside.suspects = 0;
                self.put_again(aside);
            }
        }
        self.put_again(batch);
    }

    /// Pieces of one parcel count as one.
    fn room_aside(&self, batch: &Batch) -> bool {
        let mut keys: Vec<u64> = self.aside.iter().map(|aside| aside.place().0).collect();
        keys.push(batch.place().0);
        keys.sort_unstable();
        keys.dedup();
        keys.len() <= ASIDE
    }

    fn pause(&mut self, now: Instant, asked: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        self.pauses += 1;
        self.window = 1;
        self.parcels = 1;
        let mut delay = self
            .limits
            .backoff
            .delay(self.failures, asked, &mut self.random);
        if let Some(deadline) = self.deadline {
            // There is no later: several attempts must fit.
            delay = delay.min(deadline.saturating_duration_since(now) / 4);
        }
        let until = now + delay.max(Duration::from_millis(1));
        self.paused_until = self.paused_until.max(Some(until));
    }

    /// Puts a batch where its records stand in the order.
    fn put_again(&mut self, batch: Batch) {
        let place = batch.place();
        let at = self.again.partition_point(|other| other.place() < place);
        self.again.insert(at, batch);
    }

    fn reject(&mut self, batch: &Batch, why: &str, settled: &mut Settled<T>) {
        settled.rejected += batch.records();
        for piece in &batch.pieces {
            if let Some(open) = self.open.get(&piece.key) {
                let handle = open.item.handle.clone();
                settled
                    .quarantined
                    .push((handle, piece.range.start, why.to_owned()));
            }
        }
        self.settle(batch, settled);
    }

    fn settle(&mut self, batch: &Batch, settled: &mut Settled<T>) {
        for piece in &batch.pieces {
            let Some(open) = self.open.get_mut(&piece.key) else {
                continue;
            };
            open.left = open.left.saturating_sub(piece.records());
            self.queued_records -= u64::from(piece.records());
            if open.left == 0
                && let Some(open) = self.open.remove(&piece.key)
            {
                self.queued_bytes -= open.item.bytes;
                settled.released.push(open.item.handle);
            }
        }
    }
}
