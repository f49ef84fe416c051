//! What every scenario is made of: services and their stamps, processes and what they cost, figures and their table.

pub mod place;
pub mod plan;
pub mod process;
pub mod table;

use std::time::Duration;

use nix::poll::{PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of the clock that the services stamp with.
pub fn now() -> u64 {
    let at = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    Duration::from(at).as_nanos() as u64
}

/// Milliseconds between two stamps; below zero if the second came first.
pub fn ms(from: u64, to: u64) -> f64 {
    (to as f64 - from as f64) / 1e6
}

/// Lets time pass: whole milliseconds, since less than one would be none, and whoever spins here keeps a processor
/// from what is measured.
pub fn pass(time: Duration) {
    assert!(time >= Duration::from_millis(1), "{time:?}");
    poll(&mut [], PollTimeout::try_from(time).unwrap()).unwrap();
}

/// Looks every `every` until there is an answer, for `limit` at most.
pub fn wait_for<T>(
    every: Duration,
    limit: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> Option<T> {
    let end = now() + limit.as_nanos() as u64;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if now() > end {
            return None;
        }
        pass(every);
    }
}

/// The share of the machine's processor time that somebody used in the last quarter of a second.
fn busy() -> f64 {
    let read = || {
        let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = text.lines().next().unwrap_or_default().to_owned();
        let ticks: Vec<u64> = line
            .split_whitespace()
            .filter_map(|w| w.parse().ok())
            .take(8)
            .collect();
        let idle = ticks.get(3).unwrap_or(&0) + ticks.get(4).unwrap_or(&0);
        (ticks.iter().sum::<u64>(), idle)
    };
    let (all, idle) = read();
    pass(Duration::from_millis(250));
    let (all, idle) = (read().0 - all, read().1 - idle);
    1.0 - idle as f64 / all.max(1) as f64
}

/// Counts how often a measurement had to begin on a machine that others kept busy.
#[derive(Default)]
pub struct Calm {
    pub begun: usize,
    pub noisy: usize,
}

impl Calm {
    /// Waits for a calm moment, a while.
    pub fn wait(&mut self) {
        let limit: u64 = std::env::var("BENCH_CALM_SECONDS")
            .ok()
            .and_then(|v| v.parse().ok())
            .unwrap_or(10);
        let end = now() + limit * 1_000_000_000;
        self.begun += 1;
        while busy() > 0.1 {
            if now() > end {
                self.noisy += 1;
                return;
            }
        }
    }
}
