//! The only place that reads a clock: monotonic time for decisions, wall time for stamps.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::core::Tick;

/// How far wall time may drift from where monotonic time says it is before stamps follow a stepped clock.
const STEP: f64 = 1.0;

/// Monotonic time since podvisor's start, and where that lies on the wall clock.
#[derive(Debug, Clone)]
pub struct Clock {
    origin: Instant,
    /// Unix seconds at `origin`.
    wall_origin: f64,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
            wall_origin: wall_now(),
        }
    }

    /// Now.
    pub fn now(&self) -> Tick {
        Tick(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// The same moment, for tokio's timers.
    pub fn instant(&self, tick: Tick) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.origin + Duration::from_nanos(tick.0))
    }

    /// The moment in Unix seconds. Follows a stepped wall clock, but does not jitter with each reading.
    pub fn wall(&mut self, tick: Tick) -> f64 {
        let origin = wall_now() - self.origin.elapsed().as_secs_f64();
        if (origin - self.wall_origin).abs() > STEP {
            self.wall_origin = origin;
        }
        self.wall_origin + tick.0 as f64 / 1e9
    }
}

/// Unix seconds now.
pub fn wall_now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
