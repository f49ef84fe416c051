//! Deliveries to a receiver that misbehaves at random, under a simulated clock: whatever it answers, every record is
//! delivered, rejected, evicted or queued, exactly once, and what is not its own fault is not rejected.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::ship::verdict::{Failure, Reason};

/// What the receiver is like.
#[derive(Debug, Clone)]
struct Receiver {
    /// Records that spoil the request they are in: (parcel, record).
    poison: BTreeSet<(u32, u32)>,
    /// Parcels over which the receiver fails each time.
    crash: BTreeSet<u32>,
    /// Records it takes at once.
    most: u32,
    takes_joined: bool,
    /// Of a hundred answers so many are failures of its own.
    flaky: u8,
    /// It is down from here to there, in seconds.
    down: (u64, u64),
}

struct World {
    delivery: Delivery<u32>,
    receiver: Receiver,
    random: fastrand::Rng,
    began: Instant,
    now: Instant,
    flying: Vec<(Request<u32>, Instant)>,
    sizes: BTreeMap<u32, u32>,
    taken: BTreeSet<(u32, u32)>,
    delivered: u64,
    rejected: u64,
    evicted: u64,
    order: Vec<u32>,
}

fn failure(random: &mut fastrand::Rng, suspect: bool) -> Verdict {
    Verdict::Retry(Failure {
        reason: Reason::ALL[random.usize(..Reason::ALL.len())],
        after: random
            .bool()
            .then(|| Duration::from_millis(random.u64(..3000))),
        suspect,
        stale: !suspect && random.u8(..10) == 0,
        message: String::new(),
    })
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let limits = Limits {
            max_raw: random.usize(500..20_000),
            max_records: random.u32(8..200),
            join: random.bool(),
            concurrency: random.usize(1..=4),
            ..Limits::default()
        };
        let down = random.u64(..100);
        let receiver = Receiver {
            poison: BTreeSet::new(),
            crash: BTreeSet::new(),
            most: if random.bool() {
                u32::MAX
            } else {
                random.u32(4..60)
            },
            takes_joined: random.u8(..4) > 0,
            flaky: [0, 0, 10, 50][random.usize(..4)],
            down: (down, down + random.u64(..200)),
        };
        let now = Instant::now();
        Self {
            delivery: Delivery::new(limits, seed),
            receiver,
            random,
            began: now,
            now,
            flying: Vec::new(),
            sizes: BTreeMap::new(),
            taken: BTreeSet::new(),
            delivered: 0,
            rejected: 0,
            evicted: 0,
            order: Vec::new(),
        }
    }

    fn push(&mut self) {
        let handle = self.sizes.len() as u32;
        let records = self.random.u32(1..60);
        self.sizes.insert(handle, records);
        if self.random.u8(..20) == 0 {
            let record = self.random.u32(..records);
            self.receiver.poison.insert((handle, record));
        }
        if self.random.u8(..40) == 0 {
            self.receiver.crash.insert(handle);
        }
        self.delivery.push(Item {
            handle,
            records,
            bytes: 10 * records as usize,
            raw: 100 * records as usize,
            class: if self.random.bool() {
                Class::Held
            } else {
                Class::Evictable
            },
            first_ts_ns: u64::from(handle),
        });
    }

    /// The records of a request.
    fn records(&self, request: &Request<u32>) -> Vec<(u32, u32)> {
        let parts = request.parts.iter();
        let records = parts.flat_map(|part| {
            let range = part.range.clone().unwrap_or(0..self.sizes[&part.handle]);
            range.map(|record| (part.handle, record))
        });
        records.collect()
    }

    fn judge(&mut self, request: &Request<u32>) -> Verdict {
        let seconds = self.now.duration_since(self.began).as_secs();
        if (self.receiver.down.0..self.receiver.down.1).contains(&seconds) {
            let suspect = self.random.bool();
            return failure(&mut self.random, suspect);
        }
        if self.random.u8(..100) < self.receiver.flaky {
            return failure(&mut self.random, false);
        }
        let records = self.records(request);
        if records.len() as u64 > u64::from(self.receiver.most) {
            return Verdict::TooLarge;
        }
        if records
            .iter()
            .any(|(parcel, _)| self.receiver.crash.contains(parcel))
        {
            return failure(&mut self.random, true);
        }
        let spoilt = records
            .iter()
            .any(|record| self.receiver.poison.contains(record));
        if spoilt || (request.parts.len() > 1 && !self.receiver.takes_joined) {
            return Verdict::Malformed {
                message: "bad".into(),
            };
        }
        for record in records {
            assert!(self.taken.insert(record), "{record:?} was delivered twice");
            if record.1 == 0 {
                self.order.push(record.0);
            }
        }
        Verdict::Delivered { rejected: 0 }
    }

    /// One thing happens.
    fn step(&mut self) {
        if self.random.u8(..4) == 0 && self.sizes.len() < 300 {
            self.push();
        }
        match self.delivery.next(self.now) {
            Step::Send(request) => {
                let took = Duration::from_millis(self.random.u64(..200));
                self.flying.push((request, self.now + took));
            }
            Step::Wait(until) => {
                assert!(
                    until.is_none_or(|until| until > self.now),
                    "a wait that is over"
                );
                let answers = self.flying.iter().map(|(_, at)| *at);
                let next = answers.chain(until).min();
                self.now = next
                    .unwrap_or(self.now + Duration::from_millis(50))
                    .max(self.now);
            }
        }
        if let Some(at) = self.flying.iter().position(|(_, at)| *at <= self.now) {
            let (request, _) = self.flying.swap_remove(at);
            let verdict = self.judge(&request);
            let settled = self.delivery.answer(self.now, request.id, verdict);
            self.delivered += settled.delivered;
            self.rejected += settled.rejected;
        }
        if self.random.u16(..400) == 0
            && let Some((_, records)) = self.delivery.evict_oldest()
        {
            self.evicted += u64::from(records);
        }
        self.check();
    }

    fn check(&self) {
        let all: u64 = self.sizes.values().map(|records| u64::from(*records)).sum();
        let queued = self.delivery.queued_records();
        let sum = self.delivered + self.rejected + self.evicted + queued;
        assert_eq!(sum, all, "the books do not balance");
        assert_eq!(self.delivered, self.taken.len() as u64);
        assert_eq!(self.delivery.in_flight(), self.flying.len());
        assert!(
            self.delivery.again.len() <= JOINED + 4 * 32,
            "a bound is passed"
        );
    }
}

#[test]
fn the_books_balance_whatever_the_receiver_does() {
    for seed in 0..60 {
        let run = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..4000 {
                world.step();
            }
            // From here on it is fair: nothing flaky, nothing down. All must be settled.
            world.receiver.flaky = 0;
            world.receiver.down = (0, 0);
            let mut steps = 0;
            while !world.delivery.idle() || world.sizes.len() < 300 {
                world.step();
                steps += 1;
                // Only one that it always fails over, with nobody behind to show it, may be left.
                if steps > 60_000 {
                    let left: Vec<u32> = world
                        .delivery
                        .open
                        .values()
                        .map(|open| open.item.handle)
                        .collect();
                    assert!(
                        left.iter().all(|left| world.receiver.crash.contains(left)),
                        "stuck with {left:?}"
                    );
                    break;
                }
            }
            world
        });
        let Ok(world) = run else {
            panic!("seed {seed}");
        };
        // Rejected are bad records, parcels that it fails over, and what a parcel's splits did not reach any more.
        let guilty: u64 = world
            .receiver
            .crash
            .iter()
            .map(|parcel| u64::from(world.sizes[parcel]))
            .sum::<u64>()
            + world.receiver.poison.len() as u64;
        assert!(
            world.rejected <= guilty,
            "seed {seed}: {} > {guilty}",
            world.rejected
        );
    }
}

#[test]
fn one_at_a_time_is_in_order() {
    for seed in 0..60 {
        let mut world = World::new(seed);
        world.delivery = Delivery::new(Limits::default(), seed);
        for _ in 0..3000 {
            world.step();
            world.receiver.crash.clear();
        }
        // A batch that looks like poison is overtaken by one that passes, and only then.
        if world.receiver.down.0 >= world.receiver.down.1 {
            assert!(world.order.is_sorted(), "seed {seed}: {:?}", world.order);
        }
    }
}
