//! Restarts: delays, limits, and what is worth another try.

use podvisor::config::model::RestartPolicy;
use podvisor::core::{Halt, ServiceState::*};

use super::after;
use crate::plan::{daemon, oneshot};
use crate::script::{Exec, Life, exits, ms, no_fork, runs, secs};
use crate::world::World;

#[test]
fn delay_doubles_and_starts_anew_after_stable_running() {
    let mut w = World::booted(vec![daemon("a").lives(&[
        exits(ms(0), 1),
        exits(ms(0), 1),
        exits(secs(11), 1),
        runs(),
    ])]);
    w.run(secs(60));
    let spawns = w.spawns("a");
    let gaps: Vec<_> = spawns
        .windows(2)
        .map(|p| after(p[0], p[1]).as_millis())
        .collect();
    assert_eq!(gaps, [501, 1001, 11_501]);
}

#[test]
fn more_restarts_than_allowed_in_the_window_fail_for_good() {
    let plan = daemon("a")
        .restarts_at_most(3, secs(600))
        .life(exits(secs(1), 6));
    let mut w = World::booted(vec![plan]);
    assert_eq!(w.code(), 6);
    assert_eq!(w.spawns("a").len(), 4);
    assert_eq!(w.core.tally(w.id("a")).restarts.iter().sum::<u64>(), 3);
}

#[test]
fn restarts_outside_of_the_window_do_not_count() {
    let plan = daemon("a")
        .restarts_at_most(2, secs(20))
        .life(exits(secs(15), 6));
    let mut w = World::booted(vec![plan]);
    w.run(secs(300));
    assert!(w.spawns("a").len() > 10 && w.exit().is_none());
}

#[test]
fn fork_that_fails_for_the_moment_is_retried_whatever_the_policy() {
    let mut w = World::booted(vec![daemon("a").never().lives(&[
        no_fork(),
        no_fork(),
        runs(),
    ])]);
    w.run(secs(10));
    assert_eq!((w.state("a"), w.spawns("a").len()), (Ready, 3));
}

#[test]
fn fork_that_never_works_is_71() {
    let plan = daemon("a").restarts_at_most(2, secs(600)).life(no_fork());
    assert_eq!(World::booted(vec![plan]).code(), 71);
}

#[test]
fn busy_program_is_retried() {
    let busy = Life {
        exec: Exec::Fails {
            code: 126,
            permanent: false,
        },
        ..runs()
    };
    let mut w = World::booted(vec![
        oneshot("a", runs())
            .never()
            .lives(&[busy, exits(secs(1), 0)]),
    ]);
    assert_eq!(w.code(), 0);
}

#[test]
fn daemon_that_may_not_end_and_ends_with_0_too_often_is_no_success() {
    let plan = daemon("a")
        .restarts_at_most(2, secs(600))
        .life(exits(secs(1), 0));
    let mut w = World::booted(vec![plan]);
    assert_eq!(w.code(), 1);
    assert_eq!(w.spawns("a").len(), 3);
}

#[test]
fn daemon_restarted_on_failure_only_completes_with_0() {
    let plan = daemon("a")
        .policy(RestartPolicy::OnFailure)
        .lives(&[exits(secs(1), 2), exits(secs(1), 0)]);
    let mut w = World::booted(vec![plan, daemon("b")]);
    w.run(secs(10));
    assert_eq!(w.state("a"), Completed);
    assert_eq!(w.halt(Halt::Stop).code(), 0);
}

#[test]
fn without_a_delay_there_is_still_no_hot_loop() {
    let mut plan = daemon("a")
        .restarts_at_most(0, secs(1))
        .life(exits(ms(0), 1));
    plan.spec.restart.initial_delay = podvisor::units::HumanDuration::from_millis(0);
    let mut w = World::booted(vec![plan]);
    w.run(secs(10));
    assert!(w.spawns("a").len() <= 101);
}
