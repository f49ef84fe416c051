//! Consumers of lines: one that panics, one that waits for company.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::tests::{Collector, LONG, bench_on, pipe};
use super::*;

struct Bomb;

impl Tap for Bomb {
    fn chunk(&mut self, c: &Chunk<'_>) {
        assert!(!c.bytes.starts_with(b"boom"), "boom");
    }
}

#[test]
fn a_panic_costs_nobody_a_pipe() {
    let mut b = bench_on(Format::None, pipe().1, vec![Box::new(Bomb)]);
    let [mut out, _err] = b.attach(1, 1, vec![]);
    out.write_all(b"boom\n").unwrap();
    let event = b.events.blocking_recv().unwrap();
    let message = "boom".to_string();
    assert_eq!(
        event,
        LogEvent::Panicked {
            service: Some(ServiceId(1)),
            message
        }
    );
    out.write_all(b"after\n").unwrap();
    let seen = b.seen.wait(|s| s.len() == 2);
    assert_eq!(seen[1].text, b"after");
    assert_eq!(b.service(1).counters().reader_panics.get(), 1);
}

/// Holds lines until their age is up.
struct Aged(Option<Instant>, Arc<AtomicBool>, Collector);

impl Tap for Aged {
    fn chunk(&mut self, c: &Chunk<'_>) {
        self.0 = Some(Instant::now() + Duration::from_millis(5));
        self.2.chunk(c);
    }
    fn deadline(&self) -> Option<Instant> {
        self.0
    }
    fn expire(&mut self, now: Instant) {
        self.1
            .store(self.0.take().is_some_and(|d| d <= now), Ordering::SeqCst);
        self.2.0.1.notify_all();
    }
}

#[test]
fn a_tap_is_called_at_its_deadline() {
    let (expired, woken) = (Arc::new(AtomicBool::new(false)), Collector::default());
    let tap = Aged(None, Arc::clone(&expired), woken.clone());
    let b = bench_on(Format::None, pipe().1, vec![Box::new(tap)]);
    for _ in 0..2 {
        let [mut out, _err] = b.attach(1, 1, vec![]);
        out.write_all(b"x\n").unwrap();
        // The condition is an atomic beside the lock, so poll it at every wake-up and each 5 ms.
        let end = Instant::now() + LONG;
        while !expired.swap(false, Ordering::SeqCst) {
            assert!(Instant::now() < end, "never expired");
            let guard = woken.0.0.lock().unwrap();
            drop(
                woken
                    .0
                    .1
                    .wait_timeout(guard, Duration::from_millis(5))
                    .unwrap(),
            );
        }
    }
}
