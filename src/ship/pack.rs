//! The thread `pv-pack`: compresses full arenas into parcels. It computes, and waits for nobody
//! but, for a moment, the shipper.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::arena::{Load, Shelf};
use super::compress::Packer;
use super::counters::{Loss, ShipCounters};
use super::encoder::Framer;
use super::flow::Flow;
use super::parcel::{Form, Parcel};

/// Arenas that may wait for the packer: together with those being filled the memory before compression.
pub const JOBS: usize = 4;

/// With nothing to do for so long, its memory is given back.
const IDLE: Duration = Duration::from_secs(2);

/// The shipper is waited for at most this long, if it is behind.
const PATIENCE: Duration = Duration::from_millis(250);

/// Bytes of stack.
const STACK: usize = 256 * 1024;

/// What the packer is asked.
pub enum Job {
    /// To compress.
    Load(Load),
    /// To pass on that all before this has been given to it.
    Mark,
}

/// What comes out.
pub enum Packed {
    /// A parcel of this lane.
    Parcel(usize, Parcel),
    /// See [`Job::Mark`].
    Mark,
}

/// What the packer needs for one lane.
pub struct Press {
    /// What comes out.
    pub form: Form,
    /// Makes a request of an arena.
    pub framer: Framer,
    /// Compresses.
    pub packer: Packer,
}

struct Bench {
    presses: Vec<Press>,
    shelf: Arc<Shelf>,
    flow: Arc<Flow>,
    counters: Arc<ShipCounters>,
    out: mpsc::Sender<Packed>,
    next_seq: u64,
    source: u64,
    /// Scratch: the compressed request.
    packed: Vec<u8>,
}

/// Starts the thread.
///
/// # Errors
/// When it can't be created.
pub fn start(
    presses: Vec<Press>,
    shelf: Arc<Shelf>,
    flow: Arc<Flow>,
    counters: Arc<ShipCounters>,
    out: mpsc::Sender<Packed>,
    source: u64,
) -> std::io::Result<SyncSender<Job>> {
    let (jobs, todo) = sync_channel(JOBS);
    let bench = Bench {
        presses,
        shelf,
        flow,
        counters,
        out,
        next_seq: 0,
        source,
        packed: Vec::new(),
    };
    std::thread::Builder::new()
        .name("pv-pack".into())
        .stack_size(STACK)
        .spawn(move || bench.work(&todo))?;
    Ok(jobs)
}

impl Bench {
    fn work(mut self, todo: &Receiver<Job>) {
        let mut busy = false;
        loop {
            let job = if busy {
                todo.recv_timeout(IDLE)
            } else {
                todo.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match job {
                Ok(Job::Load(load)) => {
                    busy = true;
                    self.pack(load);
                }
                Ok(Job::Mark) => {
                    // It must arrive, and nothing else does now.
                    if self.out.blocking_send(Packed::Mark).is_err() {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    busy = false;
                    self.packed = Vec::new();
                    self.presses
                        .iter_mut()
                        .for_each(|press| press.framer.shrink());
                    self.shelf.clear();
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn pack(&mut self, load: Load) {
        let lane = load.lane;
        let records = load.arena.records;
        let compressed = catch_unwind(AssertUnwindSafe(|| self.compress(&load)));
        let Load {
            class, arena, held, ..
        } = load;
        drop(held);
        let Ok(Some((form, raw_len))) = compressed else {
            // A bug, and not one that may stop the others.
            tracing::error!(lane, records, "a parcel could not be packed");
            self.lose(lane, records);
            return;
        };
        // The shipper makes room as it takes parcels in. Should it hang (a spool on a dead disk), memory still ends here.
        let budget = &self.flow.budget;
        let most = budget.limit() + budget.limit() / 4;
        let behind = self.out.capacity() < self.out.max_capacity();
        let room = !behind || budget.used() <= most || budget.wait_for(most, PATIENCE);
        if !room {
            self.lose(lane, records);
            self.shelf.give(arena);
            return;
        }
        let bytes = Bytes::copy_from_slice(&self.packed);
        let parcel = Parcel {
            seq: self.next_seq,
            source: self.source,
            form,
            class,
            records,
            raw_len: u32::try_from(raw_len).unwrap_or(u32::MAX),
            first_ts_ns: arena.first_ts_ns,
            held: budget.take(bytes.len() + PARCEL_OVERHEAD, class),
            bytes,
            per_service: arena.per_service(),
            mourned: AtomicBool::new(false),
        };
        self.next_seq += 1;
        self.shelf.give(arena);
        if self.out.try_send(Packed::Parcel(lane, parcel)).is_err() {
            self.lose(lane, records);
        }
    }

    fn compress(&mut self, load: &Load) -> Option<(Form, usize)> {
        let press = self.presses.get_mut(load.lane)?;
        self.packed.clear();
        let raw = press.framer.frame(&load.arena, load.resources.as_deref());
        press.packer.pack(raw, &mut self.packed).ok()?;
        Some((press.form, raw.len()))
    }

    fn lose(&self, lane: usize, records: u32) {
        for sink in self.counters.sinks.iter().filter(|sink| sink.lane == lane) {
            sink.counters.taken.add(u64::from(records));
            sink.counters
                .dropped(Loss::QueueFull)
                .add(u64::from(records));
            sink.counters.lost_before.add(u64::from(records));
        }
    }
}

/// What a parcel takes beside its bytes, roughly: so that many tiny ones are bounded too.
pub const PARCEL_OVERHEAD: usize = 256;
