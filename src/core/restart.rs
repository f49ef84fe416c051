//! Restart delays and limits: doubling with jitter, reset by stability, bounded in a window. All on monotonic time.

use std::collections::VecDeque;
use std::time::Duration;

use super::event::Tick;
use crate::config::model::Restart;

/// The most restarts remembered for the window when the user sets a larger limit.
const MAX_REMEMBERED: usize = 4096;

/// The least delay from the second failure in a row on, whatever the user sets: without a delay, a service that cannot
/// start would take a whole processor.
const LEAST_DELAY: Duration = Duration::from_millis(100);

/// A service's record of restarts.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    /// Failures since it was last stable.
    failures: u32,
    /// When it was restarted within the window, oldest first; at most `maxRestarts` entries.
    recent: VecDeque<Tick>,
}

impl Record {
    /// Failures since the service was last stable.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Forgets everything: somebody started the service by hand.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The service ran this long before it ended: long enough to start counting anew?
    pub(super) fn ran(&mut self, ran: Duration, rules: &Restart) {
        if ran >= rules.reset_after.0 {
            self.failures = 0;
        }
    }

    /// The delay before the next start, or None when the limit is reached. `spread` is random in -1.0..=1.0.
    pub(super) fn next(&mut self, now: Tick, rules: &Restart, spread: f64) -> Option<Duration> {
        while self
            .recent
            .front()
            .is_some_and(|at| now.since(*at) > rules.window.0)
        {
            self.recent.pop_front();
        }
        let limit = usize::try_from(rules.max_restarts).unwrap_or(usize::MAX);
        if limit > 0 && self.recent.len() >= limit {
            return None;
        }
        if limit > 0 {
            if self.recent.len() >= MAX_REMEMBERED {
                self.recent.pop_front();
            }
            self.recent.push_back(now);
        }
        let delay = delay(rules, self.failures, spread);
        self.failures = self.failures.saturating_add(1);
        Some(delay)
    }
}

/// `initialDelay` doubled so many times, at most `maxDelay`, spread by `jitter`.
fn delay(rules: &Restart, failures: u32, spread: f64) -> Duration {
    let doubled = rules.initial_delay.0.as_secs_f64() * 2f64.powi(failures.min(64) as i32);
    let capped = doubled.min(rules.max_delay.0.as_secs_f64());
    let spread = 1.0 + rules.jitter.clamp(0.0, 1.0) * spread.clamp(-1.0, 1.0);
    let delay = Duration::try_from_secs_f64(capped * spread).unwrap_or(rules.max_delay.0);
    let delay = delay.min(rules.max_delay.0);
    let least = if failures == 0 {
        Duration::ZERO
    } else {
        LEAST_DELAY
    };
    delay.max(least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::HumanDuration;

    fn rules() -> Restart {
        Restart {
            jitter: 0.0,
            max_restarts: 0,
            ..Restart::default()
        }
    }

    #[test]
    fn delay_doubles_up_to_the_cap() {
        let mut record = Record::default();
        let millis: Vec<u128> = (0..9)
            .map(|_| record.next(Tick(0), &rules(), 0.0).unwrap().as_millis())
            .collect();
        assert_eq!(
            millis,
            [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]
        );
    }

    #[test]
    fn delay_survives_ten_thousand_failures() {
        assert_eq!(delay(&rules(), 10_000, 1.0), Duration::from_secs(30));
    }

    #[test]
    fn without_a_delay_only_the_first_restart_is_at_once() {
        let rules = Restart {
            initial_delay: HumanDuration::from_secs(0),
            ..rules()
        };
        assert_eq!(delay(&rules, 0, 0.0), Duration::ZERO);
        assert_eq!(delay(&rules, 1, 0.0), LEAST_DELAY);
    }

    #[test]
    fn jitter_spreads_both_ways() {
        let rules = Restart {
            jitter: 0.1,
            ..rules()
        };
        assert_eq!(delay(&rules, 0, 1.0), Duration::from_millis(550));
        assert_eq!(delay(&rules, 0, -1.0), Duration::from_millis(450));
    }

    #[test]
    fn stable_running_resets_the_delay() {
        let mut record = Record::default();
        record.next(Tick(0), &rules(), 0.0);
        record.next(Tick(0), &rules(), 0.0);
        record.ran(Duration::from_secs(9), &rules());
        assert_eq!(record.failures(), 2);
        record.ran(Duration::from_secs(10), &rules());
        assert_eq!(
            record.next(Tick(0), &rules(), 0.0),
            Some(Duration::from_millis(500))
        );
    }

    #[test]
    fn limit_holds_within_the_window_only() {
        let rules = Restart {
            max_restarts: 2,
            window: HumanDuration::from_secs(60),
            ..rules()
        };
        let mut record = Record::default();
        let at = |s: u64| Tick(s * 1_000_000_000);
        assert!(record.next(at(0), &rules, 0.0).is_some());
        assert!(record.next(at(10), &rules, 0.0).is_some());
        assert!(record.next(at(20), &rules, 0.0).is_none());
        assert!(record.next(at(61), &rules, 0.0).is_some());
    }
}
