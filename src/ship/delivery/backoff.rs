//! How long a sink is left alone after a failure: exponential, with full jitter, so that a fleet does not come back at once.
//!
//! See "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

use std::time::Duration;

/// `Retry-After` and `RetryInfo` are honoured up to this long.
pub const MAX_ASKED: Duration = Duration::from_secs(60);

/// The bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Before the first repetition at most.
    pub initial: Duration,
    /// Before any at most.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(250),
            max: Duration::from_secs(15),
        }
    }
}

impl Backoff {
    /// After the `failures`th failure in a row (from 1): between nothing and the exponential bound, but never less than a
    /// twentieth of it, and not less than the receiver asked for, plus up to a tenth of that.
    pub fn delay(
        &self,
        failures: u32,
        asked: Option<Duration>,
        random: &mut fastrand::Rng,
    ) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        let bound = self.initial.saturating_mul(1 << doublings).min(self.max);
        let delay = bound.mul_f64(random.f64().max(0.05));
        let asked = asked.map(|asked| asked.min(MAX_ASKED).mul_f64(1.0 + random.f64() / 10.0));
        delay.max(asked.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_stay_within_their_bounds() {
        let mut random = fastrand::Rng::with_seed(1);
        let backoff = Backoff::default();
        for failures in 1..100 {
            for _ in 0..50 {
                let delay = backoff.delay(failures, None, &mut random);
                assert!(delay > Duration::ZERO && delay <= backoff.max);
                assert!(failures > 1 || delay <= backoff.initial);
            }
        }
        let asked = Some(Duration::from_secs(3600));
        let delay = backoff.delay(1, asked, &mut random);
        assert!(delay >= MAX_ASKED && delay <= MAX_ASKED.mul_f64(1.1));
    }
}
