//! How many lines a second a service may send: a token bucket.

use std::time::Instant;

/// The bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Lines a second in the long run.
    pub per_second: u32,
    /// Lines at once after a silence. At least 1.
    pub burst: u32,
}

/// What a service may still send.
#[derive(Debug, Clone)]
pub struct Bucket {
    limit: Limit,
    lines: f64,
    filled: Option<Instant>,
}

impl Bucket {
    /// Full.
    #[must_use]
    pub fn new(limit: Limit) -> Self {
        let limit = Limit {
            burst: limit.burst.max(1),
            ..limit
        };
        Bucket {
            limit,
            lines: f64::from(limit.burst),
            filled: None,
        }
    }

    /// Lets time pass. Called once for many lines.
    pub fn fill(&mut self, now: Instant) {
        if let Some(before) = self.filled {
            let elapsed = now.saturating_duration_since(before).as_secs_f64();
            let lines = self.lines + elapsed * f64::from(self.limit.per_second);
            self.lines = lines.min(f64::from(self.limit.burst));
        }
        self.filled = self.filled.max(Some(now));
    }

    /// Whether a record of so many lines may pass; if so, it has. One of more lines than the burst passes when the bucket
    /// is full, for else it never would.
    pub fn take(&mut self, lines: u32) -> bool {
        let cost = f64::from(lines.min(self.limit.burst));
        let passes = self.lines >= cost;
        if passes {
            self.lines -= cost;
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let start = Instant::now();
        let (per_second, burst) = (10, 5);
        let mut bucket = Bucket::new(Limit { per_second, burst });
        bucket.fill(start);
        assert_eq!((0..20).filter(|_| bucket.take(1)).count(), 5);
        bucket.fill(start + Duration::from_millis(250));
        assert_eq!((0..20).filter(|_| bucket.take(1)).count(), 2);
        bucket.fill(start + Duration::from_secs(60));
        assert_eq!((0..20).filter(|_| bucket.take(1)).count(), 5);
    }

    #[test]
    fn time_never_runs_backwards() {
        let start = Instant::now() + Duration::from_secs(10);
        let mut bucket = Bucket::new(Limit {
            per_second: 1,
            burst: 1,
        });
        bucket.fill(start);
        assert!(bucket.take(1));
        bucket.fill(start - Duration::from_secs(5));
        bucket.fill(start);
        assert!(!bucket.take(1));
    }

    #[test]
    fn a_record_larger_than_the_burst_passes_alone() {
        let mut bucket = Bucket::new(Limit {
            per_second: 1,
            burst: 3,
        });
        assert!(bucket.take(100));
        assert!(!bucket.take(1));
    }
}
