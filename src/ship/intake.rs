//! Where lines become records and records become parcels: the tap on the log thread.
//!
//! A chunk of lines goes through its service's [`Pipeline`] and each record is encoded, straight from the read buffer,
//! into the open arena of every lane. Nothing is allocated per line. A full or aged arena goes to the packer, which this
//! thread may wait for (it only computes, and is done with one in about a millisecond), while it never waits for a sink.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use super::arena::{Arena, Load, Shelf};
use super::counters::ShipCounters;
use super::encoder::Encoder;
use super::event::{Pipeline, Taken};
use super::flow::Flow;
use super::pack::Job;
use super::parcel::Class;
use super::plan::LanePlan;
use super::record::{Record, Severity};
use crate::config::logs::WhenFull;
use crate::logs::{Chunk, Hold, ServiceId, Stream, Tap};

/// The service that podvisor's own records are of.
pub const OWN: ServiceId = ServiceId(u32::MAX);
/// Its name.
pub const OWN_NAME: &str = "podvisor";

/// A read that brought so much says that its writer is ahead of us.
const FLOOD_BYTES: usize = 32 * 1024;
/// For so long after such a read a service counts as flooding.
const FLOOD_FOR: Duration = Duration::from_millis(100);
/// A parcel's age at the start and at the end, when somebody is waiting to see something.
const SOON: Duration = Duration::from_millis(200);
/// What was lost is said at most this often.
const MOURN_EVERY: Duration = Duration::from_secs(5);

/// What the intake must know of a service.
pub struct Service {
    /// Its name.
    pub name: Arc<str>,
    /// What goes with each of its records.
    pub labels: BTreeMap<String, String>,
    /// The name of its program.
    pub executable: Option<String>,
    /// Its lines to records.
    pub pipeline: Pipeline,
    /// What happens when memory is full.
    pub when_full: WhenFull,
}

struct Slot {
    service: Service,
    class: Class,
    pid: u32,
    flooded: Option<Instant>,
    unsaid: Unsaid,
}

/// Lines lost that no record has told of yet.
#[derive(Default)]
struct Unsaid {
    rate_limit: u64,
    queue_full: u64,
}

struct Lane {
    plan: LanePlan,
    encoder: Encoder,
    /// By class: the arena that is being filled.
    open: [Option<Arena>; 2],
    /// It has sent something already.
    begun: bool,
}

/// The tap.
pub struct Intake {
    slots: Vec<Slot>,
    lanes: Vec<Lane>,
    out: Outlet,
    counters: Arc<ShipCounters>,
    own_seq: u64,
    mourn_at: Option<Instant>,
}

/// The way to the packer.
struct Outlet {
    packer: SyncSender<Job>,
    shelf: Arc<Shelf>,
    flow: Arc<Flow>,
}

impl Intake {
    /// `services` by their numbers.
    pub fn new(
        services: Vec<Service>,
        lanes: Vec<(LanePlan, Encoder)>,
        packer: SyncSender<Job>,
        shelf: Arc<Shelf>,
        flow: Arc<Flow>,
        counters: Arc<ShipCounters>,
    ) -> Self {
        let mut lanes: Vec<Lane> = lanes
            .into_iter()
            .map(|(plan, encoder)| Lane {
                plan,
                encoder,
                open: [None, None],
                begun: false,
            })
            .collect();
        for lane in &mut lanes {
            for (id, service) in (0..).map(ServiceId).zip(&services) {
                lane.encoder.set_service(id, &service.name, &service.labels);
                let executable = service.executable.as_deref();
                lane.encoder.set_process(id, None, executable);
            }
            lane.encoder.set_service(OWN, OWN_NAME, &BTreeMap::new());
        }
        let slots = services.into_iter().map(Slot::new).collect();
        Self {
            slots,
            lanes,
            out: Outlet {
                packer,
                shelf,
                flow,
            },
            counters,
            own_seq: 0,
            mourn_at: None,
        }
    }

    fn count(&mut self, index: usize, taken: &Taken) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        slot.unsaid.rate_limit += taken.rate_limited;
        if let Some(counters) = self.counters.services.get(index) {
            counters.records.add(taken.records);
            counters.merged.add(taken.merged_lines);
            counters.filtered.add(taken.filtered);
            counters.rate_limited.add(taken.rate_limited);
            counters.invalid_json.add(taken.invalid_json);
        }
        if taken.rate_limited > 0 {
            self.mourn_soon();
        }
    }

    fn refuse(&mut self, index: usize, lines: u64) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.unsaid.queue_full += lines;
        }
        if let Some(counters) = self.counters.services.get(index) {
            counters.refused.add(lines);
        }
        self.mourn_soon();
    }

    fn mourn_soon(&mut self) {
        if self.mourn_at.is_none() {
            self.mourn_at = Some(Instant::now() + MOURN_EVERY);
        }
    }

    /// One record for each service that lost lines here: what is missing is said where it is missing.
    fn mourn(&mut self) {
        self.mourn_at = None;
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            let unsaid = std::mem::take(&mut slot.unsaid);
            for (lines, reason) in [
                (unsaid.rate_limit, "rate_limit"),
                (unsaid.queue_full, "queue_full"),
            ] {
                if lines > 0 {
                    let name = &slot.service.name;
                    let text = format!("{lines} lines of {name} were dropped: {reason}");
                    let record = own_record(&text, self.own_seq);
                    self.own_seq += 1;
                    for lane in &mut self.lanes {
                        lane.put(&record, Class::Evictable, &self.out);
                    }
                    self.counters.own_records.add(1);
                }
            }
        }
    }

    fn seal(&mut self, due: impl Fn(&Lane, &Arena) -> bool) {
        for lane in &mut self.lanes {
            for class in [Class::Evictable, Class::Held] {
                if lane.open[class as usize]
                    .as_ref()
                    .is_some_and(|arena| due(lane, arena))
                {
                    lane.close(class, &self.out);
                }
            }
        }
    }
}

/// A record of podvisor's own.
pub(super) fn own_record(text: &str, seq: u64) -> Record<'_> {
    Record {
        service: OWN,
        stream: Stream::Stderr,
        seq,
        lines: 1,
        ts_ns: crate::logs::stamp::now_ns(),
        time_ns: None,
        message: text.as_bytes(),
        part: 0,
        partial: false,
        severity: Severity::WARN,
        severity_text: b"WARN",
        json: false,
        json_message: None,
        trace_id: None,
        span_id: None,
    }
}

impl Slot {
    fn new(service: Service) -> Self {
        let class = match service.when_full {
            WhenFull::DropOldest => Class::Evictable,
            WhenFull::DropNewest | WhenFull::Block => Class::Held,
        };
        Self {
            service,
            class,
            pid: 0,
            flooded: None,
            unsaid: Unsaid::default(),
        }
    }
}

impl Lane {
    fn put(&mut self, record: &Record<'_>, class: Class, out: &Outlet) {
        let arena = self.open[class as usize].get_or_insert_with(|| out.shelf.take());
        let before = arena.bytes.len();
        self.encoder.encode(record, &mut arena.bytes);
        arena.wrote(record.service, before, record.ts_ns);
        if arena.bytes.len() >= self.plan.max_bytes || arena.records >= self.plan.max_records {
            self.close(class, out);
        }
    }

    fn close(&mut self, class: Class, out: &Outlet) {
        let Some(arena) = self.open[class as usize].take() else {
            return;
        };
        self.begun = true;
        let load = Load {
            lane: self.plan.index,
            class,
            held: out.flow.budget.take(arena.bytes.len(), class),
            arena,
            resources: self.encoder.resources(),
        };
        // It fails only when the packer is gone with the process.
        drop(out.packer.send(Job::Load(load)));
    }

    fn due_at(&self, arena: &Arena, draining: bool) -> Instant {
        let age = if draining || !self.begun {
            self.plan.max_age.min(SOON)
        } else {
            self.plan.max_age
        };
        arena.opened + age
    }
}

impl Tap for Intake {
    fn chunk(&mut self, chunk: &Chunk<'_>) {
        let index = chunk.service.0 as usize;
        let now = Instant::now();
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        if chunk.bytes.len() >= FLOOD_BYTES {
            slot.flooded = Some(now);
        }
        if slot.service.when_full == WhenFull::DropNewest && self.out.flow.is_full() {
            self.refuse(index, chunk.lines.len() as u64);
            return;
        }
        if slot.pid != chunk.pid {
            slot.pid = chunk.pid;
            for lane in &mut self.lanes {
                let executable = slot.service.executable.as_deref();
                lane.encoder
                    .set_process(chunk.service, Some(chunk.pid), executable);
            }
        }
        let (class, lanes, out) = (slot.class, &mut self.lanes, &self.out);
        let taken = slot.service.pipeline.chunk(chunk, now, &mut |record| {
            for lane in lanes.iter_mut() {
                lane.put(record, class, out);
            }
        });
        self.count(index, &taken);
    }

    fn deadline(&self) -> Option<Instant> {
        let draining = self.out.flow.is_draining();
        let arenas = self.lanes.iter().flat_map(|lane| {
            let open = lane.open.iter().flatten();
            open.map(move |arena| lane.due_at(arena, draining))
        });
        let merges = self
            .slots
            .iter()
            .filter_map(|slot| slot.service.pipeline.deadline());
        arenas.chain(merges).chain(self.mourn_at).min()
    }

    fn expire(&mut self, now: Instant) {
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            if slot.service.pipeline.deadline().is_none_or(|at| at > now) {
                continue;
            }
            let (class, lanes, out) = (slot.class, &mut self.lanes, &self.out);
            let taken = slot.service.pipeline.expire(now, &mut |record| {
                for lane in lanes.iter_mut() {
                    lane.put(record, class, out);
                }
            });
            self.count(index, &taken);
        }
        if self.mourn_at.is_some_and(|at| at <= now) {
            self.mourn();
        }
        let draining = self.out.flow.is_draining();
        self.seal(|lane, arena| lane.due_at(arena, draining) <= now);
    }

    fn flush(&mut self) {
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            let (class, lanes, out) = (slot.class, &mut self.lanes, &self.out);
            let taken = slot.service.pipeline.flush(&mut |record| {
                for lane in lanes.iter_mut() {
                    lane.put(record, class, out);
                }
            });
            self.count(index, &taken);
        }
        self.mourn();
        self.seal(|_, _| true);
        drop(self.out.packer.send(Job::Mark));
    }

    fn hold(&self, service: ServiceId) -> Option<Hold> {
        let slot = self.slots.get(service.0 as usize)?;
        if slot.service.when_full == WhenFull::Block {
            return self.out.flow.hold_blocking();
        }
        let flooding = slot.flooded.is_some_and(|at| at.elapsed() < FLOOD_FOR);
        flooding.then(|| self.out.flow.hold_flood()).flatten()
    }
}
