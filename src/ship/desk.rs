//! The dispatcher's desk: every parcel comes here once, and goes from here to each sink of its lane, through memory or
//! through the spool.
//!
//! A sink's backlog is in order: first what it holds in memory, then what it has not read of the spool. A parcel stays in
//! memory for a sink that has nothing unread on disk, as long as less than half of the memory is in use; else it is
//! written to the spool, from where the sink reads it when it gets there. Without a spool (or with a broken one) memory
//! takes all, and when it is full the oldest evictable parcel of the sink that holds most goes, and is counted.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::counters::{Loss, ShipCounters};
use super::delivery::{Item, Step};
use super::flow::{Flow, PATIENCE};
use super::pack::PARCEL_OVERHEAD;
use super::parcel::{Class, Parcel};
use super::sink::{Answer, Entry, Sink};
use super::spool::Position;
use super::store::Store;

/// A sink reads ahead from the spool until it holds so many compressed bytes.
const READ_AHEAD: usize = 512 * 1024;

/// What has waited longer than this is not sent any more: receivers refuse what is too old (Loki: one week).
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// A parcel in memory alone, with the sinks that still want records of it.
type Homeless = (Rc<Parcel>, Vec<(usize, u32)>);

/// The state of the thread `pv-ship`.
pub(super) struct Desk {
    pub sinks: Vec<Sink>,
    pub store: Option<Store>,
    pub flow: Arc<Flow>,
    pub counters: Arc<ShipCounters>,
    /// Rung when the end may have come nearer.
    pub changed: Rc<Notify>,
    /// The end has begun.
    pub draining: bool,
    /// All that was taken in before the end has come through the packer.
    marked: bool,
    next_entry: u64,
}

impl Desk {
    pub fn new(
        sinks: Vec<Sink>,
        store: Option<Store>,
        flow: Arc<Flow>,
        counters: Arc<ShipCounters>,
    ) -> Self {
        Self {
            sinks,
            store,
            flow,
            counters,
            changed: Rc::default(),
            draining: false,
            marked: false,
            next_entry: 0,
        }
    }

    /// Takes a parcel in for all sinks of the lane.
    pub fn accept(&mut self, lane: usize, parcel: Parcel) {
        let parcel = Rc::new(parcel);
        let records = u64::from(parcel.records);
        let takers: Vec<usize> = (0..self.sinks.len())
            .filter(|at| self.sinks[*at].lane == lane)
            .collect();
        let to_disk = self.wants_disk(&takers);
        let stored = match &mut self.store {
            Some(store) if to_disk => store.append(&parcel),
            _ => None,
        };
        let room = self.flow.budget.used() <= self.flow.budget.limit() / 2;
        for at in takers {
            self.counters.sinks[at].counters.taken.add(records);
            match (stored, &mut self.store) {
                (Some(end), Some(store)) => {
                    if room && store.skip(at, end) {
                        self.push(at, Rc::clone(&parcel), Some(end));
                    }
                }
                _ => self.push(at, Rc::clone(&parcel), None),
            }
            self.sinks[at].wake.notify_one();
        }
        drop(parcel);
        self.count_spool_losses();
        self.make_room();
        self.publish();
    }

    fn wants_disk(&self, takers: &[usize]) -> bool {
        let Some(store) = &self.store else {
            return false;
        };
        store.always
            || takers.iter().any(|at| self.unread(*at) > 0)
            || self.flow.budget.used() > self.flow.budget.limit() / 2
            || takers.iter().any(|at| self.sinks[*at].delivery.failing())
    }

    fn unread(&self, at: usize) -> u64 {
        self.store.as_ref().map_or(0, |store| store.unread(at))
    }

    fn push(&mut self, at: usize, parcel: Rc<Parcel>, end: Option<Position>) {
        let id = self.next_entry;
        self.next_entry += 1;
        // What is on disk can be let go of only by reading it again: it is not the first to go.
        let class = if end.is_some() {
            Class::Held
        } else {
            parcel.class
        };
        let item = Item {
            records: parcel.records,
            bytes: parcel.bytes.len() + PARCEL_OVERHEAD,
            raw: parcel.raw_len as usize,
            class,
            first_ts_ns: parcel.first_ts_ns,
            handle: Rc::new(Entry { id, parcel }),
        };
        let sink = &mut self.sinks[at];
        if sink.delivery.idle() {
            sink.progress = Instant::now();
        }
        sink.delivery.push(item);
        if let Some(end) = end {
            sink.on_disk.push_back((id, end, false));
        }
    }

    /// What the sink is to do now.
    pub fn step(&mut self, at: usize) -> Step<Rc<Entry>> {
        self.read_ahead(at);
        let now = Instant::now();
        let step = self.sinks[at].delivery.next(now);
        self.publish();
        step
    }

    /// Reads from the spool what the sink can send next.
    fn read_ahead(&mut self, at: usize) {
        let now_ns = crate::logs::stamp::now_ns();
        loop {
            let budget = &self.flow.budget;
            let queued = self.sinks[at].delivery.queued_bytes();
            if queued >= READ_AHEAD || (queued > 0 && budget.used() >= budget.limit()) {
                return;
            }
            let Some(store) = &mut self.store else { return };
            let stored = store.next(at);
            self.count_spool_losses();
            let Some(stored) = stored else { return };
            let meta = stored.meta;
            let parcel = Parcel {
                seq: meta.seq,
                source: meta.source,
                form: meta.form,
                class: Class::Held,
                records: meta.records,
                raw_len: meta.raw_len,
                first_ts_ns: meta.first_ts_ns,
                held: self
                    .flow
                    .budget
                    .take(stored.payload.len() + PARCEL_OVERHEAD, Class::Held),
                bytes: stored.payload,
                per_service: Box::default(),
                mourned: AtomicBool::new(false),
            };
            let age = Duration::from_nanos(now_ns.saturating_sub(meta.first_ts_ns));
            if age > MAX_AGE {
                self.sinks[at].lose(
                    &self.counters.sinks[at].counters,
                    Loss::TooOld,
                    u64::from(meta.records),
                );
                self.done_on_disk_to(at, stored.end);
                continue;
            }
            self.push(at, Rc::new(parcel), Some(stored.end));
        }
    }

    /// A record that was never held: its place on disk is done with as soon as those before it are.
    fn done_on_disk_to(&mut self, at: usize, end: Position) {
        let id = self.next_entry;
        self.next_entry += 1;
        self.sinks[at].on_disk.push_back((id, end, true));
        self.acknowledge(at);
    }

    /// Tells the spool how far the sink is done, without a gap.
    pub fn acknowledge(&mut self, at: usize) {
        let mut done = None;
        let on_disk = &mut self.sinks[at].on_disk;
        while on_disk.front().is_some_and(|(_, _, done)| *done) {
            done = on_disk.pop_front().map(|(_, end, _)| end);
        }
        if let (Some(end), Some(store)) = (done, &mut self.store) {
            store.acknowledge(at, end);
        }
    }

    fn count_spool_losses(&mut self) {
        let Some(store) = &mut self.store else { return };
        for (at, sink) in self.sinks.iter_mut().enumerate() {
            let lost = store.losses(at);
            if lost > 0 {
                sink.lose(&self.counters.sinks[at].counters, Loss::SpoolFull, lost);
            }
        }
    }

    /// Evicts until memory is within its bound again. With a spool nothing goes: what is too much is on its way to disk.
    fn make_room(&mut self) {
        if self.store.as_ref().is_some_and(Store::works) {
            return;
        }
        while self.flow.budget.used() > self.flow.budget.limit() {
            let mut by_size: Vec<usize> = (0..self.sinks.len()).collect();
            // Those that fail first: a healthy sink does not pay for them.
            by_size.sort_by_key(|at| {
                let delivery = &self.sinks[*at].delivery;
                std::cmp::Reverse((delivery.failing(), delivery.queued_bytes()))
            });
            let evicted = by_size.into_iter().find_map(|at| {
                let evicted = self.sinks[at].delivery.evict_oldest()?;
                Some((at, evicted))
            });
            let Some((at, (entry, records))) = evicted else {
                return;
            };
            self.sinks[at].lose(
                &self.counters.sinks[at].counters,
                Loss::QueueFull,
                u64::from(records),
            );
            self.mourn(&entry.parcel);
        }
    }

    /// Counts a parcel's records as lost to their services, once however many sinks lose it.
    pub fn mourn(&self, parcel: &Parcel) {
        if parcel.mourned.swap(true, Relaxed) {
            return;
        }
        for (service, records) in &parcel.per_service {
            if let Some(counters) = self.counters.services.get(service.0 as usize) {
                counters.lost.add(u64::from(*records));
            }
        }
    }

    /// Takes a parcel in for one sink alone.
    pub fn give(&mut self, at: usize, parcel: Parcel) {
        let counters = &self.counters.sinks[at].counters;
        counters.taken.add(u64::from(parcel.records));
        self.push(at, Rc::new(parcel), None);
    }

    /// Takes an answer in.
    pub fn answered(&mut self, at: usize, answer: Answer) {
        let counters = &self.counters.sinks[at].counters;
        drop(self.sinks[at].answered(counters, answer));
        self.acknowledge(at);
        self.publish();
        self.changed.notify_waiters();
    }

    /// The end has begun: every sink gets a chance at once, whatever it was waiting for.
    pub fn begin_drain(&mut self, deadline: Instant) {
        let now = Instant::now();
        self.draining = true;
        self.flow.drain();
        for sink in &mut self.sinks {
            sink.delivery.drain(now, deadline);
            sink.wake.notify_one();
        }
    }

    /// All that was taken in before the end is here.
    pub fn mark(&mut self) {
        self.marked = true;
        self.changed.notify_waiters();
    }

    /// Nothing is left to come, nor to send, nor to say.
    pub fn is_done(&self) -> bool {
        let busy = |sink: &Sink| !sink.delivery.idle() || sink.unsaid.iter().any(|lost| *lost > 0);
        self.marked
            && !self.sinks.iter().any(busy)
            && (0..self.sinks.len()).all(|at| self.unread(at) == 0)
    }

    /// Brings the gauges and the flow up to date.
    pub fn publish(&mut self) {
        let now = Instant::now();
        let (mut queued, mut failing, mut patience) = (0, 0, None);
        for (at, sink) in self.sinks.iter().enumerate() {
            let unread = self.store.as_ref().map_or(0, |store| store.unread(at));
            sink.publish(&self.counters.sinks[at].counters, unread, now);
            if sink.delivery.failing() {
                failing += sink.delivery.queued_bytes();
            } else if !sink.delivery.idle() {
                queued = queued.max(sink.delivery.queued_bytes());
                let until = sink.progress + PATIENCE;
                patience = Some(patience.map_or(until, |earlier: Instant| earlier.min(until)));
            }
        }
        self.flow.set_pressure(queued, failing, patience);
        self.flow.ring();
        if let (Some(store), Some(counters)) = (&self.store, &self.counters.spool) {
            store.publish(counters);
        }
    }

    /// The end: what no sink has taken goes to the spool, or is counted.
    pub fn finish(&mut self) -> Leftover {
        let mut left = Leftover::default();
        let mut homeless: BTreeMap<u64, Homeless> = BTreeMap::new();
        for at in 0..self.sinks.len() {
            for (entry, records) in self.sinks[at].delivery.take_all() {
                if self.sinks[at]
                    .on_disk
                    .iter()
                    .any(|(id, ..)| *id == entry.id)
                {
                    left.spooled += u64::from(records);
                    continue;
                }
                let parcel = Rc::clone(&entry.parcel);
                let (_, sinks) = homeless
                    .entry(parcel.seq)
                    .or_insert_with(|| (parcel, Vec::new()));
                sinks.push((at, records));
            }
        }
        for (parcel, sinks) in homeless.into_values() {
            let stored = self.store.as_mut().and_then(|store| store.append(&parcel));
            match stored {
                Some(end) => self.spare_others(&parcel, &sinks, end),
                None => {
                    for (at, records) in sinks {
                        let records = u64::from(records);
                        left.lost += records;
                        let counters = &self.counters.sinks[at].counters;
                        self.sinks[at].lose(counters, Loss::Shutdown, records);
                    }
                    self.mourn(&parcel);
                }
            }
        }
        self.count_spool_losses();
        left.spooled += (0..self.sinks.len()).map(|at| self.unread(at)).sum::<u64>();
        if let Some(store) = &mut self.store {
            store.save(true);
        }
        self.publish();
        left
    }

    /// A parcel was written for some sinks; the others of its form have had it.
    fn spare_others(&mut self, parcel: &Parcel, sinks: &[(usize, u32)], end: Position) {
        for at in 0..self.sinks.len() {
            let wants = sinks.iter().any(|(sink, _)| *sink == at);
            if wants || self.sinks[at].form != parcel.form {
                continue;
            }
            if self.store.as_mut().is_some_and(|store| store.skip(at, end)) {
                self.done_on_disk_to(at, end);
            } else {
                // It comes to it a second time, behind what it has not read yet.
                let counters = &self.counters.sinks[at].counters;
                counters.taken.add(u64::from(parcel.records));
            }
        }
    }
}

/// What was not sent before the end, in records over all sinks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leftover {
    /// Kept in the spool for the next start.
    pub spooled: u64,
    /// Lost, and counted.
    pub lost: u64,
}
