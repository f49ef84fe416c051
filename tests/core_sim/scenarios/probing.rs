//! Probes, sd_notify, and what a frozen or throttled podvisor makes of their answers.

use podvisor::core::{
    Event, Fact, Halt, Incarnation, Notice, ProbeKind::*, ProbeOutcome, ProbeSpec, ServiceState,
    ServiceState::*, Source,
};

use super::after;
use crate::chance::{NO, YES};
use crate::plan::{daemon, notify, oneshot, probe};
use crate::script::{Life, OnStop, exits, ms, runs, secs};
use crate::world::World;

fn each_second() -> ProbeSpec {
    ProbeSpec {
        period: secs(1),
        ..probe()
    }
}

#[test]
fn startup_probe_gates_the_others() {
    let life = runs().up_after(secs(5));
    let plan = daemon("a").startup(ProbeSpec {
        failure_threshold: 30,
        ..each_second()
    });
    let mut w = World::booted(vec![plan.readiness(probe()).liveness(probe()).life(life)]);
    w.run(ms(4900));
    let asked = |w: &World, kind| w.core.tally(w.id("a")).probes[kind as usize].timed;
    assert_eq!((asked(&w, Readiness), asked(&w, Liveness)), (0, 0));
    w.run(secs(2));
    assert!(asked(&w, Readiness) > 0 && asked(&w, Liveness) > 0);
    assert_eq!(w.state("a"), Ready);
}

#[test]
fn failed_startup_probe_is_a_start_that_took_too_long() {
    let plan = daemon("a")
        .never()
        .startup(each_second())
        .life(runs().up_after(secs(60)));
    let mut w = World::booted(vec![plan]);
    assert_eq!(w.code(), 100);
    assert_eq!(w.core.tally(w.id("a")).starts_timeout, 1);
    assert_eq!(
        w.said(|f| matches!(f, Fact::StartTimedOut { .. }))
            .unwrap()
            .0
            / 1_000_000_000,
        2
    );
}

#[test]
fn start_timeout_is_100() {
    let life = runs().up_after(secs(60));
    let plan = daemon("a")
        .never()
        .readiness(probe())
        .start_timeout(secs(5))
        .life(life);
    assert_eq!(World::booted(vec![plan]).code(), 100);
    let plan = oneshot("a", exits(secs(60), 0))
        .never()
        .start_timeout(secs(5));
    assert_eq!(World::booted(vec![plan]).code(), 100);
}

#[test]
fn liveness_restarts_through_the_stop_sequence() {
    let first = runs().alive_until(secs(5)).on_stop(OnStop::Dies(secs(2)));
    let plan = daemon("a").liveness(each_second()).lives(&[first, runs()]);
    let mut w = World::booted(vec![plan]);
    w.run(secs(20));
    assert_eq!(
        (w.kills("a").len(), w.kills("a")[0].1, w.spawns("a").len()),
        (1, 15, 2)
    );
    assert!(w.spawns("a")[1] > w.kills("a")[0].0.plus(secs(2)));
    assert_eq!(w.core.tally(w.id("a")).restarts[2], 1);
}

#[test]
fn liveness_for_good_is_102() {
    let plan = daemon("a")
        .never()
        .liveness(each_second())
        .life(runs().alive_until(secs(1)));
    assert_eq!(World::booted(vec![plan]).code(), 102);
}

#[test]
fn grace_of_the_probe_beats_the_stop_timeout() {
    let grace = Some(secs(1));
    let life = runs().alive_until(secs(1)).on_stop(OnStop::Ignores);
    let plan = daemon("a")
        .liveness(ProbeSpec {
            grace,
            ..each_second()
        })
        .life(life);
    let mut w = World::booted(vec![plan]);
    w.run(secs(6));
    assert_eq!(after(w.kills("a")[0].0, w.kills("a")[1].0), secs(1));
}

#[test]
fn readiness_never_kills() {
    let plan = daemon("a")
        .readiness(each_second())
        .life(runs().ready_until(secs(5)));
    let mut w = World::booted(vec![plan]);
    w.run(secs(600));
    assert_eq!((w.state("a"), w.spawns("a").len()), (Running, 1));
    assert!(w.kills("a").is_empty());
}

#[test]
fn eager_probing_notices_readiness_early_and_does_not_count_failures() {
    let plan = daemon("a").startup(probe()).life(runs().up_after(secs(2)));
    let mut w = World::booted(vec![plan]);
    w.run(ms(3500));
    assert_eq!(
        w.state("a"),
        Ready,
        "ten seconds before the second regular try"
    );
    assert_eq!(w.core.tally(w.id("a")).starts_timeout, 0);
}

#[test]
fn failures_must_be_in_a_row() {
    let answers = [NO, NO, YES, NO, NO, YES, NO, NO];
    let plan = daemon("a")
        .liveness(each_second())
        .life(runs().answering(Liveness, &answers));
    let mut w = World::booted(vec![plan]);
    w.run(secs(30));
    assert_eq!(w.spawns("a").len(), 1);
}

#[test]
fn readiness_needs_as_many_successes_as_asked_for() {
    let spec = ProbeSpec {
        success_threshold: 3,
        ..each_second()
    };
    let plan = daemon("a")
        .readiness(spec)
        .life(runs().answering(Readiness, &[YES, YES, NO, YES, YES, YES]));
    let mut w = World::booted(vec![plan]);
    w.run(ms(4900));
    assert_eq!(w.state("a"), Running);
    w.run(ms(200));
    assert_eq!(w.state("a"), Ready);
}

#[test]
fn answers_of_an_earlier_life_are_ignored() {
    let plan = daemon("a").liveness(ProbeSpec {
        failure_threshold: 1,
        ..probe()
    });
    let mut w = World::booted(vec![plan.lives(&[exits(secs(1), 1), runs()])]);
    w.run(secs(3));
    let service = w.id("a");
    w.tell(Event::Probed {
        service,
        incarnation: Incarnation(1),
        probe: Liveness,
        attempt: 1,
        outcome: NO,
        took: ms(1),
    });
    assert_eq!(
        (w.state("a"), w.core.tally(service).stale_events),
        (Ready, 1)
    );
}

#[test]
fn lost_answer_is_a_failure_in_the_end() {
    let life = Life {
        loses: 100,
        ..runs()
    };
    let plan = daemon("a").never().liveness(each_second()).life(life);
    assert_eq!(World::booted(vec![plan]).code(), 102);
}

#[test]
fn frozen_podvisor_fails_nothing() {
    let watched = runs()
        .says(ms(1), Notice::WatchdogPeriod(secs(10)))
        .says(secs(63), Notice::Watchdog);
    let mut w = World::booted(vec![
        daemon("probed")
            .liveness(ProbeSpec {
                failure_threshold: 1,
                ..each_second()
            })
            .life(Life {
                answer_takes: ms(900),
                ..runs()
            }),
        daemon("watched").liveness(notify()).life(watched),
        oneshot("slow", exits(secs(63), 0)).start_timeout(secs(30)),
    ]);
    w.run(ms(2500)).freeze(secs(60)).run(secs(1));
    assert!(w.said(|f| matches!(f, Fact::Frozen { .. })).is_some());
    assert!(w.kills("probed").is_empty() && w.kills("watched").is_empty());
    assert!(w.kills("slow").is_empty());
    assert_eq!(w.state("slow"), Completed);
}

#[test]
fn timeouts_of_a_throttled_podvisor_are_forgiven_but_not_for_ever() {
    let life = Life {
        late: secs(3),
        ..runs()
    };
    let plan = daemon("a").never().liveness(each_second()).life(life);
    let mut w = World::booted(vec![plan]);
    w.run(secs(2));
    assert!(w.kills("a").is_empty());
    let asked = |w: &World| {
        w.core.tally(w.id("a")).probes[Liveness as usize].checks[ProbeOutcome::Timeout as usize]
    };
    assert_eq!(w.code(), 102);
    assert!(asked(&w) > 3 + 3);
}

#[test]
fn min_ready_seconds() {
    let mut w = World::booted(vec![daemon("a").min_ready(secs(5)), daemon("b").needs("a")]);
    w.run(ms(4900));
    assert_eq!(super::states(&w, ["a", "b"]), [Running, Blocked]);
    w.run(ms(200));
    assert_eq!(super::states(&w, ["a", "b"]), [Ready, Ready]);
}

#[test]
fn notify_ready_and_stopping() {
    let life = runs()
        .says(secs(2), Notice::Ready)
        .says(secs(4), Notice::Stopping);
    let mut w = World::booted(vec![daemon("a").readiness(notify()).life(life)]);
    w.run(secs(1));
    assert_eq!(w.state("a"), Running);
    w.run(secs(2));
    assert_eq!(w.state("a"), Ready);
    w.run(secs(2));
    assert_eq!(w.state("a"), Running);
}

#[test]
fn watchdog_that_is_not_fed_restarts() {
    let spec = ProbeSpec {
        period: secs(1),
        ..notify()
    };
    let fed = runs().says(secs(2), Notice::Watchdog);
    let mut w = World::booted(vec![daemon("a").never().liveness(spec).life(fed)]);
    assert_eq!(w.code(), 102);
    let missed = w
        .said(|f| matches!(f, Fact::WatchdogMissed { .. }))
        .unwrap();
    assert_eq!(missed.0 / 1_000_000_000, 5);
}

#[test]
fn extend_timeout_puts_the_start_off() {
    let life = runs()
        .says(secs(4), Notice::ExtendTimeout(secs(10)))
        .says(secs(8), Notice::Ready);
    let plan = daemon("a")
        .readiness(notify())
        .start_timeout(secs(5))
        .life(life);
    let mut w = World::booted(vec![plan]);
    w.run(secs(9));
    assert_eq!(w.state("a"), Ready);
}

#[test]
fn extend_timeout_puts_the_kill_off() {
    let life = runs()
        .on_stop(OnStop::Dies(secs(8)))
        .says(secs(3), Notice::ExtendTimeout(secs(10)));
    let mut w = World::booted(vec![daemon("a").stop_timeout(secs(4)).life(life)]);
    assert_eq!(w.run(secs(1)).halt(Halt::Stop).code(), 0);
    assert_eq!(w.kills("a").len(), 1);
}

#[test]
fn passive_startup_has_patience_and_an_end() {
    for (after, code) in [(secs(2), 0), (secs(40), 100)] {
        let spec = ProbeSpec {
            source: Source::Told,
            ..probe()
        };
        let plan = daemon("a")
            .never()
            .startup(spec)
            .life(runs().tells(after, Startup));
        let mut w = World::booted(vec![plan]);
        w.run(secs(35));
        if w.exit().is_none() {
            assert_eq!(w.state("a"), ServiceState::Ready);
            w.halt(Halt::Stop);
        }
        assert_eq!(w.code(), code);
    }
}

#[test]
fn told_before_its_turn_counts_when_its_turn_comes() {
    let life = runs().up_after(secs(3)).says(secs(1), Notice::Ready);
    let patient = ProbeSpec {
        failure_threshold: 30,
        ..each_second()
    };
    let plan = daemon("a").startup(patient).readiness(notify()).life(life);
    let mut w = World::booted(vec![plan]);
    w.run(secs(2));
    assert_eq!(w.state("a"), Running);
    w.run(secs(3));
    assert_eq!(w.state("a"), Ready);
}
