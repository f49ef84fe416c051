//! One sink on the thread `pv-ship`: its backlog, what is under way, and what its answers mean for the books.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::counters::{Loss, Outcome, SinkCounters};
use super::delivery::{Delivery, Request, RequestId, Settled};
use super::parcel::{Form, Parcel};
use super::send::Sender;
use super::spool::Position;
use super::verdict::{Reason, Verdict};

/// While a sink fails, its log says so at most this often.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// A parcel that waits for a sink.
#[derive(Debug)]
pub(super) struct Entry {
    /// Unique among the entries.
    pub id: u64,
    /// What is to be sent.
    pub parcel: Rc<Parcel>,
}

/// One sink.
pub(super) struct Sink {
    pub name: Rc<str>,
    pub lane: usize,
    pub form: Form,
    pub delivery: Delivery<Rc<Entry>>,
    pub sender: Rc<Sender>,
    pub timeout: Duration,
    /// What it holds that is on disk too, in the order there: entry, where it ends, done with it.
    pub on_disk: VecDeque<(u64, Position, bool)>,
    /// Rung when there may be something to do.
    pub wake: Rc<Notify>,
    /// When it last took something, or when its queue began.
    pub progress: Instant,
    /// Records lost that no record has told of yet, by [`Loss`].
    pub unsaid: [u64; Loss::ALL.len()],
    /// Of the records lost on the way to the shipper, those that are in `unsaid`.
    heard_of: u64,
    failing_since: Option<Instant>,
    said: Option<Instant>,
    /// The log has it that it fails.
    said_so: bool,
}

/// A request that was answered.
pub(super) struct Answer {
    pub id: RequestId,
    pub verdict: Verdict,
    pub took: Duration,
    pub wire_bytes: usize,
    pub raw_bytes: usize,
}

impl Sink {
    pub fn new(
        name: &str,
        (lane, form): (usize, Form),
        delivery: Delivery<Rc<Entry>>,
        sender: Sender,
        timeout: Duration,
    ) -> Self {
        Self {
            name: Rc::from(name),
            lane,
            form,
            delivery,
            sender: Rc::new(sender),
            timeout,
            on_disk: VecDeque::new(),
            wake: Rc::default(),
            progress: Instant::now(),
            unsaid: [0; Loss::ALL.len()],
            heard_of: 0,
            failing_since: None,
            said: None,
            said_so: false,
        }
    }

    /// Counts records that the sink will never get.
    pub fn lose(&mut self, counters: &SinkCounters, loss: Loss, records: u64) {
        counters.dropped(loss).add(records);
        self.unsaid[loss as usize] += records;
    }

    /// Hears of the records that were lost, and counted, on the way to the shipper.
    pub fn hear_of_losses(&mut self, counters: &SinkCounters) {
        let lost = counters.lost_before.get();
        self.unsaid[Loss::QueueFull as usize] += lost - self.heard_of;
        self.heard_of = lost;
    }

    /// Takes an answer in, and the books with it. The entries it returns are done with.
    pub fn answered(&mut self, counters: &SinkCounters, answer: Answer) -> Vec<Rc<Entry>> {
        let now = Instant::now();
        counters.observe(answer.took, answer.wire_bytes);
        counters.batches(outcome(&answer.verdict)).add(1);
        if let Verdict::Delivered { .. } = answer.verdict {
            self.progress = now;
            counters.up.set(1);
            counters.last_success_ns.set(crate::logs::stamp::now_ns());
            counters.sent_bytes.add(answer.wire_bytes as u64);
            counters.uncompressed_bytes.add(answer.raw_bytes as u64);
            self.recovered(now);
        }
        if let Verdict::Retry(failure) = &answer.verdict {
            counters.up.set(0);
            self.fails(now, failure.reason, &failure.message);
        }
        let settled = self.delivery.answer(now, answer.id, answer.verdict);
        let Settled {
            delivered,
            rejected,
            retried,
            released,
            quarantined,
        } = settled;
        counters.sent.add(delivered);
        if let Some(reason) = retried {
            counters.retries(reason).add(1);
        }
        if rejected > 0 {
            self.lose(counters, Loss::Rejected, rejected);
            let why = quarantined.first().map_or("", |(_, _, why)| why.as_str());
            if self.may_say(now) {
                tracing::warn!(
                    sink = &*self.name,
                    records = rejected,
                    why,
                    "the receiver refused records for good"
                );
            }
        }
        for entry in &released {
            if let Some(place) = self.on_disk.iter_mut().find(|(id, ..)| *id == entry.id) {
                place.2 = true;
            }
        }
        released
    }

    fn fails(&mut self, now: Instant, reason: Reason, message: &str) {
        let since = *self.failing_since.get_or_insert(now);
        if self.may_say(now) {
            self.said_so = true;
            let seconds = now.duration_since(since).as_secs();
            tracing::warn!(
                sink = &*self.name,
                reason = reason.as_str(),
                seconds,
                queued = self.delivery.queued_records(),
                "a sink takes nothing: {message}"
            );
        }
    }

    fn recovered(&mut self, now: Instant) {
        let Some(since) = self.failing_since.take() else {
            return;
        };
        // Who flaps is not reported each time.
        if std::mem::take(&mut self.said_so) {
            let seconds = now.duration_since(since).as_secs();
            tracing::info!(sink = &*self.name, seconds, "the sink takes records again");
        }
    }

    fn may_say(&mut self, now: Instant) -> bool {
        let due = self
            .said
            .is_none_or(|at| now.duration_since(at) >= SAY_EVERY);
        if due {
            self.said = Some(now);
        }
        due
    }

    /// Brings its gauges up to date.
    pub fn publish(&self, counters: &SinkCounters, spooled: u64, now: Instant) {
        counters.queue_events.set(self.delivery.queued_records());
        counters
            .queue_bytes
            .set(self.delivery.queued_bytes() as u64);
        counters.spooled_events.set(spooled);
        counters
            .oldest_ns
            .set(self.delivery.oldest_ts_ns().unwrap_or(0));
        counters.in_flight.set(self.delivery.in_flight() as u64);
        let backoff = self.delivery.backoff_remaining(now).unwrap_or_default();
        counters
            .backoff_ms
            .set(u64::try_from(backoff.as_millis()).unwrap_or(u64::MAX));
    }
}

fn outcome(verdict: &Verdict) -> Outcome {
    match verdict {
        Verdict::Delivered { .. } => Outcome::Ok,
        Verdict::TooLarge | Verdict::Malformed { .. } => Outcome::Rejected,
        Verdict::Retry(failure) if failure.reason == Reason::Timeout => Outcome::Timeout,
        Verdict::Retry(_) => Outcome::Retryable,
    }
}

/// How large a request is.
pub(super) fn raw_bytes(request: &Request<Rc<Entry>>) -> usize {
    let parts = request.parts.iter();
    parts
        .map(|part| match &part.range {
            None => part.handle.parcel.raw_len as usize,
            // In proportion: nobody needs it exactly.
            Some(range) => {
                let parcel = &part.handle.parcel;
                let share = u64::from(range.end.saturating_sub(range.start));
                let all = u64::from(parcel.records.max(1));
                usize::try_from(u64::from(parcel.raw_len) * share / all).unwrap_or(usize::MAX)
            }
        })
        .sum()
}
