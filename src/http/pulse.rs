//! Whether the main loop turns, without a timer: the endpoint asks, the loop answers, and what counts is how long
//! an ask has gone unanswered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// A loop that has not answered for this long is dead. Well above any turn that it takes (they are measured in
/// milliseconds), well below the kubelet's three failures of ten seconds.
pub const LIMIT: Duration = Duration::from_secs(10);

/// The sign of life of the main loop.
#[derive(Debug)]
pub struct Pulse {
    origin: Instant,
    /// Nanoseconds after `origin` of the oldest unanswered ask, plus one; 0 when there is none.
    asked_at: AtomicU64,
    wake: Notify,
}

impl Default for Pulse {
    fn default() -> Self {
        Self::new()
    }
}

impl Pulse {
    /// A loop that nobody has asked yet.
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
            asked_at: AtomicU64::new(0),
            wake: Notify::new(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos())
            .unwrap_or(u64::MAX - 1)
            .saturating_add(1)
    }

    /// Asks the loop for a sign of life, and tells whether it still gives them.
    pub fn ask(&self) -> bool {
        self.ask_at(self.now())
    }

    fn ask_at(&self, now: u64) -> bool {
        let free = self
            .asked_at
            .compare_exchange(0, now, Ordering::AcqRel, Ordering::Acquire);
        self.wake.notify_one();
        match free {
            Ok(_) => true,
            Err(since) => u128::from(now.saturating_sub(since)) < LIMIT.as_nanos(),
        }
    }

    /// Waits until somebody asks.
    pub async fn asked(&self) {
        self.wake.notified().await;
    }

    /// The loop turns.
    pub fn answer(&self) {
        self.asked_at.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_loop_that_answers_is_alive_for_ever() {
        let pulse = Pulse::new();
        for second in 1..1000 {
            assert!(pulse.ask_at(second * SECOND));
            pulse.answer();
        }
    }

    #[test]
    fn a_loop_that_does_not_is_dead_after_the_limit() {
        let pulse = Pulse::new();
        assert!(pulse.ask_at(SECOND));
        assert!(pulse.ask_at(10 * SECOND));
        assert!(!pulse.ask_at(12 * SECOND));
        pulse.answer();
        assert!(pulse.ask_at(13 * SECOND));
    }

    #[test]
    fn nobody_asked_means_nothing() {
        let pulse = Pulse::new();
        assert!(pulse.ask_at(1_000_000 * SECOND));
    }
}
