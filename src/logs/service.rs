//! What the log plane keeps of one configured service, across all its incarnations.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::counters::ServiceCounters;
use super::lines::DEFAULT_MAX_LINE;
use super::record::ServiceId;
use super::ring::{DEFAULT_RING_BYTES, DEFAULT_RING_LINES, Ring};

/// A service as the config has it.
#[derive(Debug, Clone)]
pub struct ServiceSpec {
    /// The supervisor's number for it.
    pub id: ServiceId,
    /// Its name.
    pub name: Arc<str>,
    /// Its options.
    pub options: ServiceOptions,
}

/// The part of a service's `logs:` that concerns reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceOptions {
    /// Bytes of one record; longer lines are split. Default 256 KiB.
    pub max_line: usize,
    /// Lines kept in the ring. Default 1000.
    pub ring_lines: usize,
    /// Bytes of text kept in the ring. Default 256 KiB; see [`super::ring::fair_ring_bytes`].
    pub ring_bytes: usize,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        ServiceOptions {
            max_line: DEFAULT_MAX_LINE,
            ring_lines: DEFAULT_RING_LINES,
            ring_bytes: DEFAULT_RING_BYTES,
        }
    }
}

/// One service's counters and ring, shared by the reader and those who ask.
#[derive(Debug)]
pub struct ServiceLog {
    id: ServiceId,
    name: Arc<str>,
    counters: Arc<ServiceCounters>,
    max_line: AtomicUsize,
    ring: Mutex<Ring>,
}

impl ServiceLog {
    pub(super) fn new(spec: &ServiceSpec) -> Self {
        ServiceLog {
            id: spec.id,
            name: Arc::clone(&spec.name),
            counters: Arc::default(),
            max_line: AtomicUsize::new(spec.options.max_line),
            ring: Mutex::new(Ring::new(spec.options.ring_lines, spec.options.ring_bytes)),
        }
    }

    /// The supervisor's number.
    #[must_use]
    pub fn id(&self) -> ServiceId {
        self.id
    }

    /// The service's name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What is counted for it.
    #[must_use]
    pub fn counters(&self) -> &Arc<ServiceCounters> {
        &self.counters
    }

    pub(super) fn max_line(&self) -> usize {
        self.max_line.load(Relaxed)
    }

    pub(super) fn set_options(&self, options: &ServiceOptions) {
        self.max_line.store(options.max_line, Relaxed);
        self.ring()
            .set_bounds(options.ring_lines, options.ring_bytes);
    }

    /// Held only to copy one chunk in (≤ 64 KiB) or the asked lines out (≤ the ring's bound). A
    /// panic inside leaves at worst a wrong line behind, so a poisoned ring is read on.
    pub(super) fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
