//! Each rule of the table alone, with a clock of the test's own.

use std::ops::Range;

use super::*;
use crate::ship::verdict::{Failure, Reason};

struct Bench {
    delivery: Delivery<u32>,
    now: Instant,
}

fn item(handle: u32, records: u32) -> Item<u32> {
    Item {
        handle,
        records,
        bytes: 100,
        raw: 1000,
        class: Class::Evictable,
        first_ts_ns: u64::from(handle) + 1,
    }
}

fn retry(reason: Reason) -> Verdict {
    Verdict::Retry(Failure {
        reason,
        after: None,
        suspect: false,
        stale: false,
        message: "no".into(),
    })
}

fn suspect() -> Verdict {
    match retry(Reason::Http5xx) {
        Verdict::Retry(failure) => Verdict::Retry(Failure {
            suspect: true,
            ..failure
        }),
        other => other,
    }
}

fn bad() -> Verdict {
    Verdict::Malformed {
        message: "not JSON".into(),
    }
}

const GOOD: Verdict = Verdict::Delivered { rejected: 0 };

/// A part as it was sent.
type Sent = (u32, Option<Range<u32>>);

impl Bench {
    fn new(parcels: u32, limits: Limits) -> Self {
        let mut delivery = Delivery::new(limits, 7);
        for handle in 0..parcels {
            delivery.push(item(handle, 8));
        }
        let now = Instant::now();
        Self { delivery, now }
    }

    /// The next request, waiting for it as long as it asks to.
    fn request(&mut self) -> Option<Request<u32>> {
        for _ in 0..3 {
            match self.delivery.next(self.now) {
                Step::Send(request) => return Some(request),
                Step::Wait(Some(until)) => {
                    assert!(until > self.now);
                    self.now = until;
                }
                Step::Wait(None) => return None,
            }
        }
        None
    }

    /// The next request's parts, and what its answer settles.
    fn turn(&mut self, verdict: Verdict) -> (Vec<Sent>, Settled<u32>) {
        let request = self.request().unwrap();
        let parts = request.parts.iter();
        let parts = parts
            .map(|part| (part.handle, part.range.clone()))
            .collect();
        (parts, self.delivery.answer(self.now, request.id, verdict))
    }
}

fn alone() -> Limits {
    Limits {
        join: false,
        ..Limits::default()
    }
}

#[test]
fn parcels_are_joined_up_to_the_bounds() {
    let limits = Limits {
        max_raw: 3500,
        ..Limits::default()
    };
    let mut bench = Bench::new(5, limits);
    let (parts, settled) = bench.turn(GOOD);
    assert_eq!(parts, [(0, None), (1, None), (2, None)]);
    assert_eq!((settled.delivered, settled.released.len()), (24, 3));
    assert_eq!(bench.turn(GOOD).0, [(3, None), (4, None)]);
    assert!(bench.delivery.idle());
    assert!(matches!(bench.delivery.next(bench.now), Step::Wait(None)));
    assert_eq!(
        (
            bench.delivery.queued_records(),
            bench.delivery.queued_bytes()
        ),
        (0, 0)
    );
}

#[test]
fn one_request_at_a_time_unless_more_are_allowed() {
    let mut bench = Bench::new(5, alone());
    let first = bench.request().unwrap();
    assert!(bench.request().is_none());
    bench.delivery.answer(bench.now, first.id, GOOD);
    let limits = Limits {
        concurrency: 3,
        ..alone()
    };
    let mut bench = Bench::new(5, limits);
    assert_eq!((0..5).filter(|_| bench.request().is_some()).count(), 3);
    assert_eq!(bench.delivery.in_flight(), 3);
}

#[test]
fn a_failure_pauses_the_sink_and_repeats_the_same_parts() {
    let mut bench = Bench::new(3, Limits::default());
    let began = bench.now;
    let (first, settled) = bench.turn(retry(Reason::Connect));
    assert_eq!(settled.retried, Some(Reason::Connect));
    assert!(bench.delivery.failing());
    let (again, _) = bench.turn(GOOD);
    assert_eq!(first, again);
    assert!(bench.now > began && bench.now - began <= Duration::from_millis(250));
    assert!(!bench.delivery.failing());
}

#[test]
fn retry_after_is_honoured_up_to_a_minute() {
    let mut bench = Bench::new(1, Limits::default());
    let began = bench.now;
    let asked = |seconds| {
        Verdict::Retry(Failure {
            reason: Reason::Http429,
            after: Some(Duration::from_secs(seconds)),
            suspect: false,
            stale: false,
            message: String::new(),
        })
    };
    bench.turn(asked(2));
    bench.turn(asked(7200));
    let waited = bench.now - began;
    assert!(
        waited >= Duration::from_secs(2) && waited < Duration::from_secs(3),
        "{waited:?}"
    );
    bench.turn(GOOD);
    let waited = bench.now - began;
    assert!(
        waited >= Duration::from_secs(62) && waited < Duration::from_secs(70),
        "{waited:?}"
    );
}

#[test]
fn a_stale_connection_is_tried_anew_at_once_but_once() {
    let mut bench = Bench::new(1, Limits::default());
    let stale = Verdict::Retry(Failure {
        reason: Reason::Connect,
        after: None,
        suspect: false,
        stale: true,
        message: String::new(),
    });
    bench.turn(stale.clone());
    assert!(!bench.delivery.failing());
    assert!(matches!(bench.delivery.next(bench.now), Step::Send(_)));
    let mut bench = Bench::new(1, Limits::default());
    bench.turn(stale.clone());
    bench.turn(stale);
    assert!(bench.delivery.failing());
}

#[test]
fn after_an_outage_it_starts_slowly() {
    let limits = Limits {
        max_raw: 4500,
        concurrency: 3,
        ..Limits::default()
    };
    let mut bench = Bench::new(40, limits);
    bench.turn(retry(Reason::Connect));
    // What failed goes again as it was; then two, then as many as ever.
    let sizes: Vec<usize> = (0..4).map(|_| bench.turn(GOOD).0.len()).collect();
    assert_eq!(sizes, [4, 2, 4, 4]);
}

#[test]
fn what_is_too_large_is_halved_and_so_are_those_after_it() {
    let mut bench = Bench::new(4, Limits::default());
    let (parts, _) = bench.turn(Verdict::TooLarge);
    assert_eq!(parts.len(), 4);
    assert!(!bench.delivery.failing());
    assert_eq!(bench.turn(Verdict::TooLarge).0, [(0, None)]);
    assert_eq!(bench.turn(GOOD).0, [(0, Some(0..4))]);
    assert_eq!(bench.turn(GOOD).0, [(0, Some(4..8))]);
    assert_eq!(bench.turn(GOOD).0, [(1, None)]);
    let mut bench = Bench::new(1, alone());
    let mut rejected = 0;
    while bench.delivery.queued_records() > 0 {
        rejected += bench.turn(Verdict::TooLarge).1.rejected;
    }
    assert_eq!(rejected, 8);
}

#[test]
fn one_bad_record_is_found_and_given_up() {
    let mut bench = Bench::new(3, Limits::default());
    let (mut delivered, mut rejected, mut guilty) = (0, 0, Vec::new());
    while let Some(request) = bench.request() {
        let holds = request.parts.iter().any(|part| {
            part.handle == 1 && part.range.as_ref().is_none_or(|range| range.contains(&5))
        });
        let verdict = if holds { bad() } else { GOOD };
        let settled = bench.delivery.answer(bench.now, request.id, verdict);
        delivered += settled.delivered;
        rejected += settled.rejected;
        guilty.extend(settled.quarantined);
    }
    assert_eq!((delivered, rejected), (23, 1));
    assert_eq!(guilty, [(1, 5, "not JSON".to_owned())]);
    assert!(bench.delivery.idle() && !bench.delivery.failing());
}

#[test]
fn a_receiver_that_cannot_take_joined_parcels_gets_them_apart() {
    let mut bench = Bench::new(0, Limits::default());
    let mut joined = 0;
    for round in 0..4 {
        for handle in 0..3 {
            bench.delivery.push(item(round * 3 + handle, 8));
        }
        while let Some(request) = bench.request() {
            joined += usize::from(request.parts.len() > 1);
            let verdict = if request.parts.len() > 1 { bad() } else { GOOD };
            let settled = bench.delivery.answer(bench.now, request.id, verdict);
            assert_eq!(settled.rejected, 0);
        }
    }
    assert_eq!(joined, 2);
}

#[test]
fn a_poison_batch_is_set_aside_and_given_up_when_others_pass() {
    let mut bench = Bench::new(6, alone());
    let (mut delivered, mut rejected) = (0, 0);
    while let Some(request) = bench.request() {
        let verdict = if request.parts[0].handle == 0 {
            suspect()
        } else {
            GOOD
        };
        let settled = bench.delivery.answer(bench.now, request.id, verdict);
        delivered += settled.delivered;
        rejected += settled.rejected;
    }
    assert_eq!((delivered, rejected), (40, 8));
}

#[test]
fn an_outage_that_looks_like_poison_loses_nothing() {
    let mut bench = Bench::new(6, alone());
    for _ in 0..200 {
        assert_eq!(bench.turn(suspect()).1.rejected, 0);
    }
    let mut delivered = 0;
    while !bench.delivery.idle() {
        delivered += bench.turn(GOOD).1.delivered;
    }
    assert_eq!(delivered, 48);
}

#[test]
fn partial_refusals_are_counted_and_not_repeated() {
    let mut bench = Bench::new(1, Limits::default());
    let (_, settled) = bench.turn(Verdict::Delivered { rejected: 3 });
    assert_eq!((settled.delivered, settled.rejected), (5, 3));
    let mut bench = Bench::new(1, Limits::default());
    let (_, settled) = bench.turn(Verdict::Delivered { rejected: 1 << 60 });
    assert_eq!((settled.delivered, settled.rejected), (0, 8));
}

#[test]
fn the_oldest_that_is_not_under_way_is_evicted() {
    let mut bench = Bench::new(3, alone());
    let mut held = item(9, 8);
    held.class = Class::Held;
    bench.delivery.push(held);
    let request = bench.request().unwrap();
    assert_eq!(bench.delivery.evict_oldest(), Some((1, 8)));
    assert_eq!(bench.delivery.evict_oldest(), Some((2, 8)));
    assert_eq!(bench.delivery.evict_oldest(), None);
    bench
        .delivery
        .answer(bench.now, request.id, retry(Reason::Connect));
    assert_eq!(bench.delivery.evict_oldest(), Some((0, 8)));
    assert_eq!(bench.delivery.queued_records(), 8);
    assert_eq!(bench.turn(GOOD).0, [(9, None)]);
}

#[test]
fn the_end_waits_for_nothing() {
    let mut bench = Bench::new(1, Limits::default());
    bench.turn(retry(Reason::Http5xx));
    let deadline = bench.now + Duration::from_secs(2);
    bench.delivery.drain(bench.now, deadline);
    assert!(bench.delivery.backoff_remaining(bench.now).is_none());
    let mut attempts = 0;
    while bench.now < deadline {
        bench.turn(retry(Reason::Http5xx));
        attempts += 1;
        assert!(attempts < 100_000);
        if let Step::Wait(Some(until)) = bench.delivery.next(bench.now) {
            bench.now = until;
        }
    }
    assert!(attempts >= 4);
    assert_eq!(bench.delivery.take_all(), [(0, 8)]);
    assert!(bench.delivery.idle());
}

/// Two requests at once, and the second fails first.
fn two_at_once() -> (Bench, RequestId, RequestId) {
    let limits = Limits {
        concurrency: 2,
        ..alone()
    };
    let mut bench = Bench::new(12, limits);
    let (first, second) = (bench.request().unwrap(), bench.request().unwrap());
    (bench, first.id, second.id)
}

#[test]
fn what_was_sent_before_a_failure_does_not_end_the_pause_that_it_asked_for() {
    let (mut bench, first, second) = two_at_once();
    let asked = Verdict::Retry(Failure {
        reason: Reason::Http429,
        after: Some(Duration::from_secs(40)),
        suspect: false,
        stale: false,
        message: "later".into(),
    });
    bench.delivery.answer(bench.now, second, asked);
    let settled = bench.delivery.answer(bench.now, first, GOOD);
    assert_eq!(settled.delivered, 8);
    assert!(bench.delivery.failing());
    let left = bench.delivery.backoff_remaining(bench.now).unwrap();
    assert!(left >= Duration::from_secs(40), "{left:?}");
}

#[test]
fn an_outage_between_halves_costs_none_of_them() {
    let mut bench = Bench::new(0, alone());
    bench.delivery.push(item(0, 512));
    let poison = 77;
    let (mut delivered, mut rejected) = (0, 0);
    while let Some(request) = bench.request() {
        // Every request fails five times for a reason of the network's, then gets its own answer.
        let verdict = match (request.attempt % 6, &request.parts[0].range) {
            (1..=5, _) => retry(Reason::Connect),
            (_, None) => bad(),
            (_, Some(range)) if range.contains(&poison) => bad(),
            _ => GOOD,
        };
        let settled = bench.delivery.answer(bench.now, request.id, verdict);
        delivered += settled.delivered;
        rejected += settled.rejected;
    }
    assert_eq!((delivered, rejected), (511, 1));
}

#[test]
fn a_trial_ends_when_one_of_its_parcels_is_too_large_too() {
    let mut bench = Bench::new(2, Limits::default());
    assert_eq!(bench.turn(bad()).0.len(), 2);
    assert_eq!(bench.turn(Verdict::TooLarge).0, [(0, None)]);
    while bench.request().is_some_and(|request| {
        bench.delivery.answer(bench.now, request.id, GOOD);
        true
    }) {}
    assert!(bench.delivery.idle());
    // The next two that are refused joined, and pass alone, are told from it.
    for handle in [2, 4, 6, 8] {
        bench.delivery.push(item(handle, 8));
        bench.delivery.push(item(handle + 1, 8));
        if bench.turn(bad()).0.len() == 1 {
            return;
        }
        bench.turn(GOOD);
        bench.turn(GOOD);
    }
    panic!("it goes on joining what is refused when joined");
}
