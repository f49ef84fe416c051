//! Flow control: what the two ends of the path tell each other, in a few atomics.
//!
//! The log thread never waits for a sink. It leaves a service's pipes unread only in two cases, and only that
//! service's: its user asked for it (`whenFull: block`) and what may not be given up fills the memory; or the service
//! writes faster than anything could carry away (its pipe was found full), a healthy sink has a long queue, and every
//! healthy sink is taking its own: then the flood goes at their pace, as it would through any pipe, and loses nothing. A
//! sink that fails, or that has taken nothing for [`PATIENCE`], is not waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::parcel::Budget;
use crate::logs::Hold;

/// A sink that has taken nothing for so long is no reason to slow a flood.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// A flood waits when a healthy sink holds this part of the budget (in percent).
const LONG_QUEUE: usize = 40;

/// `block` waits when what may not be given up holds this part of the budget (in percent).
const HELD: usize = 60;

/// Shared by the log thread, the packer and the shipper.
#[derive(Debug)]
pub struct Flow {
    /// The memory of the log plane.
    pub budget: Arc<Budget>,
    bell: Arc<Notify>,
    base: Instant,
    /// The longest queue of a healthy sink, in bytes.
    queued: AtomicUsize,
    /// What only failing sinks hold back, in bytes: it goes when there is need.
    failing: AtomicUsize,
    /// Until when floods wait for the sinks: milliseconds since `base`.
    patient_until: AtomicU64,
    /// The end has begun: batches close sooner.
    draining: AtomicBool,
}

impl Flow {
    /// With nothing in use.
    #[must_use]
    pub fn new(budget: Arc<Budget>) -> Arc<Self> {
        Arc::new(Self {
            budget,
            bell: Arc::default(),
            base: Instant::now(),
            queued: AtomicUsize::new(0),
            failing: AtomicUsize::new(0),
            patient_until: AtomicU64::new(0),
            draining: AtomicBool::new(false),
        })
    }

    /// No more memory: something has to go.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.budget.used() >= self.budget.limit()
    }

    fn share(&self, percent: usize) -> usize {
        self.budget.limit() / 100 * percent
    }

    /// Whether a service that asked to be blocked has to wait.
    #[must_use]
    pub fn hold_blocking(&self) -> Option<Hold> {
        let full = self.budget.held() >= self.share(HELD);
        full.then(|| self.hold(None))
    }

    /// Whether a service that floods has to wait.
    #[must_use]
    pub fn hold_flood(&self) -> Option<Hold> {
        // What is between the packer and the sinks' queues counts too.
        let on_its_way = self
            .budget
            .used()
            .saturating_sub(self.failing.load(Relaxed));
        let queued = on_its_way.max(self.queued.load(Relaxed));
        if queued < self.share(LONG_QUEUE) {
            return None;
        }
        let until = self.base + Duration::from_millis(self.patient_until.load(Relaxed));
        (until > Instant::now()).then(|| self.hold(Some(until)))
    }

    fn hold(&self, until: Option<Instant>) -> Hold {
        let bell = Arc::clone(&self.bell);
        Hold { bell, until }
    }

    /// The longest queue of a healthy sink and all queues of failing ones, in bytes; and the time at which the first of
    /// the healthy with work will have taken nothing for [`PATIENCE`].
    pub fn set_pressure(&self, queued: usize, failing: usize, until: Option<Instant>) {
        let until = until.map_or(0, |at| {
            u64::try_from(at.saturating_duration_since(self.base).as_millis()).unwrap_or(u64::MAX)
        });
        self.queued.store(queued, Relaxed);
        self.failing.store(failing, Relaxed);
        self.patient_until.store(until, Relaxed);
    }

    /// Something has changed for those who wait.
    pub fn ring(&self) {
        self.bell.notify_waiters();
    }

    /// The end has begun.
    pub fn drain(&self) {
        self.draining.store(true, Relaxed);
        self.ring();
    }

    /// Whether the end has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }
}
