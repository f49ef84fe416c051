//! An arena: encoded records that wait to become a parcel, in one buffer that is used again and again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::otlp::resource::Resources;
use super::parcel::{Class, Reservation};
use crate::logs::ServiceId;

/// Bytes after which an arena is full. One record may pass it; so an arena may be larger for a while.
pub const ARENA_BYTES: usize = 256 * 1024;

/// Room beyond that, so that the record that fills an arena seldom makes it grow.
const SLACK: usize = 64 * 1024;

/// Empty arenas that are kept for use.
const SHELF: usize = 6;

/// Records of one service that stand together in an arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Whose.
    pub service: ServiceId,
    /// Bytes.
    pub len: usize,
    /// Records.
    pub records: u32,
}

/// Encoded records, of any services.
#[derive(Debug)]
pub struct Arena {
    /// The records, as the encoder wrote them.
    pub bytes: Vec<u8>,
    /// Whose they are, in order.
    pub runs: Vec<Run>,
    /// How many.
    pub records: u32,
    /// When the first was read: nanoseconds since the Unix epoch.
    pub first_ts_ns: u64,
    /// When it was put in.
    pub opened: Instant,
}

impl Default for Arena {
    /// Without any room yet.
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            runs: Vec::new(),
            records: 0,
            first_ts_ns: 0,
            opened: Instant::now(),
        }
    }
}

impl Arena {
    fn with_room() -> Self {
        Self {
            bytes: Vec::with_capacity(ARENA_BYTES + SLACK),
            ..Self::default()
        }
    }

    /// Notes that a record of `service` was written from `before` to the end.
    pub fn wrote(&mut self, service: ServiceId, before: usize, ts_ns: u64) {
        let len = self.bytes.len() - before;
        if self.records == 0 {
            self.first_ts_ns = ts_ns;
        }
        self.records += 1;
        match self.runs.last_mut() {
            Some(run) if run.service == service => {
                run.len += len;
                run.records += 1;
            }
            _ => self.runs.push(Run {
                service,
                len,
                records: 1,
            }),
        }
    }

    /// Records by service, each service once.
    #[must_use]
    pub fn per_service(&self) -> Box<[(ServiceId, u32)]> {
        let mut found: Vec<(ServiceId, u32)> = Vec::new();
        for run in &self.runs {
            match found
                .iter_mut()
                .find(|(service, _)| *service == run.service)
            {
                Some((_, records)) => *records += run.records,
                None => found.push((run.service, run.records)),
            }
        }
        found.into()
    }
}

/// An arena on its way to the packer.
#[derive(Debug)]
pub struct Load {
    /// Which lane's encoding it has.
    pub lane: usize,
    /// Whether it may be given up later.
    pub class: Class,
    /// The records.
    pub arena: Arena,
    /// Its share of the memory budget, until it is a parcel.
    pub held: Reservation,
    /// What surrounds them, if the encoding has such a thing.
    pub resources: Option<Arc<Resources>>,
}

/// The empty arenas.
#[derive(Debug, Default)]
pub struct Shelf(Mutex<Vec<Arena>>);

impl Shelf {
    /// An empty arena.
    #[must_use]
    pub fn take(&self) -> Arena {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut arena = kept.unwrap_or_else(Arena::with_room);
        arena.opened = Instant::now();
        arena
    }

    /// For use again, unless it has grown or there are enough.
    pub fn give(&self, mut arena: Arena) {
        if arena.bytes.capacity() > ARENA_BYTES + SLACK {
            return;
        }
        arena.bytes.clear();
        arena.runs.clear();
        arena.records = 0;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < SHELF {
            kept.push(arena);
        }
    }

    /// Gives the memory back: nothing was written for a while.
    pub fn clear(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
