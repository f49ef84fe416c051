//! When a cron service is due, on a wall clock that may jump: no run twice, no burst to catch up.

use std::time::Duration;

use crate::core::ServiceId;
use crate::units::Schedule;

use super::clock::wall_now;
use super::message::{Mailbox, Message};
use crate::core::Event;

/// How long to sleep at most before looking at the wall clock again: how late a jump of it is noticed.
const LOOK: Duration = Duration::from_secs(60);
/// A run whose time passed longer ago than this was jumped over; it is not made up for.
const LATE: i64 = 60;
/// A clock that goes back further than this was set; less is a correction, and what ran does not run again.
const SET_BACK: i64 = 3600;

/// What to do about a schedule now.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// It is due.
    Fire,
    /// Wait until then, or for [`LOOK`].
    Wait(i64),
    /// It is never due again.
    Never,
}

/// Follows one schedule through the wall clock's time.
#[derive(Debug)]
struct Follower {
    schedule: Schedule,
    /// The time that is awaited.
    next: Option<i64>,
    /// The last look at the clock.
    seen: i64,
}

impl Follower {
    fn new(schedule: Schedule, now: i64) -> Self {
        let next = schedule.next_after(now);
        Self {
            schedule,
            next,
            seen: now,
        }
    }

    fn step(&mut self, now: i64) -> Step {
        if now < self.seen - SET_BACK {
            self.next = self.schedule.next_after(now);
        }
        self.seen = now;
        let Some(next) = self.next else {
            return Step::Never;
        };
        if now < next {
            return Step::Wait(next);
        }
        self.next = self.schedule.next_after(now.max(next));
        if now - next <= LATE {
            return Step::Fire;
        }
        match self.next {
            Some(next) => Step::Wait(next),
            None => Step::Never,
        }
    }
}

/// Sends `CronDue` whenever the schedule says so, until it is dropped.
pub(super) async fn follow(service: ServiceId, schedule: Schedule, mailbox: Mailbox) {
    let mut follower = Follower::new(schedule, wall_now() as i64);
    loop {
        match follower.step(wall_now() as i64) {
            Step::Fire => {
                mailbox
                    .send(Message::Event(Event::CronDue { service }))
                    .await
            }
            Step::Never => return,
            Step::Wait(next) => {
                mailbox.send(Message::NextRun(service, next)).await;
                let left = next as f64 - wall_now();
                let left = Duration::try_from_secs_f64(left).unwrap_or_default();
                tokio::time::sleep(left.min(LOOK)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01 00:00 UTC.
    const START: i64 = 1_767_225_600;

    fn hourly() -> Follower {
        Follower::new(Schedule::parse("0 * * * *", None).unwrap(), START + 1)
    }

    #[test]
    fn fires_once_when_due() {
        let mut follower = hourly();
        assert_eq!(follower.step(START + 10), Step::Wait(START + 3600));
        assert_eq!(follower.step(START + 3600), Step::Fire);
        assert_eq!(follower.step(START + 3600), Step::Wait(START + 7200));
    }

    #[test]
    fn a_forward_jump_makes_no_burst() {
        let mut follower = hourly();
        assert_eq!(
            follower.step(START + 86_400 + 120),
            Step::Wait(START + 86_400 + 3600)
        );
    }

    #[test]
    fn a_small_step_back_runs_nothing_twice() {
        let mut follower = hourly();
        assert_eq!(follower.step(START + 3601), Step::Fire);
        assert_eq!(follower.step(START + 3590), Step::Wait(START + 7200));
    }

    #[test]
    fn a_clock_set_back_starts_anew() {
        let mut follower = hourly();
        assert_eq!(follower.step(START + 3601), Step::Fire);
        assert_eq!(
            follower.step(START - 86_400),
            Step::Wait(START - 86_400 + 3600)
        );
    }
}
