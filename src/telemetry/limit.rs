//! A token bucket: so many messages at once, then so many a second, the rest counted.

use std::time::Instant;

/// How much may be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Messages at once.
    pub burst: u32,
    /// Messages a second after that.
    pub per_second: u32,
}

/// The state of one limit. Time is an argument.
#[derive(Debug)]
pub struct Bucket {
    rate: Rate,
    tokens: f64,
    filled: Instant,
    suppressed: u64,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(rate: Rate, now: Instant) -> Self {
        Bucket {
            rate,
            tokens: f64::from(rate.burst),
            filled: now,
            suppressed: 0,
        }
    }

    /// Changes the rate and fills the bucket.
    pub fn set_rate(&mut self, rate: Rate) {
        self.rate = rate;
        self.tokens = f64::from(rate.burst);
    }

    /// True when one more may be said; otherwise it is counted.
    pub fn take(&mut self, now: Instant) -> bool {
        self.fill(now);
        let pass = self.tokens >= 1.0;
        if pass {
            self.tokens -= 1.0;
        } else {
            self.suppressed += 1;
        }
        pass
    }

    /// How many were held back since the last report, if there is room to say it now.
    pub fn report(&mut self, now: Instant) -> Option<u64> {
        self.fill(now);
        if self.suppressed == 0 || self.tokens < 1.0 {
            return None;
        }
        Some(std::mem::take(&mut self.suppressed))
    }

    /// True when something was held back that no report has named yet.
    #[must_use]
    pub fn owes_report(&self) -> bool {
        self.suppressed > 0
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        let more = passed * f64::from(self.rate.per_second);
        self.tokens = (self.tokens + more).min(f64::from(self.rate.burst));
        self.filled = self.filled.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn burst_then_rate_then_report() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut b = Bucket::new(
            Rate {
                burst: 3,
                per_second: 10,
            },
            start,
        );
        assert_eq!((0..5).filter(|_| b.take(at(0))).count(), 3);
        assert!(b.owes_report());
        assert_eq!(b.report(at(50)), None);
        assert!(!b.take(at(60)));
        assert_eq!(b.report(at(160)), Some(3));
        assert!(b.take(at(160)) && !b.take(at(160)));
        assert_eq!((0..9).filter(|_| b.take(at(60_000))).count(), 3);
        // A clock read that is older than the last is no harm.
        assert!(!b.take(at(0)));
    }

    #[test]
    fn a_new_rate_starts_full() {
        let now = Instant::now();
        let mut b = Bucket::new(
            Rate {
                burst: 1,
                per_second: 1,
            },
            now,
        );
        assert!(b.take(now) && !b.take(now));
        b.set_rate(Rate {
            burst: 2,
            per_second: 1,
        });
        assert!(b.take(now) && b.take(now) && !b.take(now));
    }
}
