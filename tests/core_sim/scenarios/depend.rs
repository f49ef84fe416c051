//! Dependencies, completion and conflicts.

use podvisor::config::model::{Condition, RestartPolicy};
use podvisor::core::{Fact, Halt, Request, ServiceState::*};

use super::states;
use crate::chance::NO;
use crate::plan::{cron, daemon, oneshot, probe};
use crate::script::{OnStop, dies, exits, missing, ms, runs, secs};
use crate::world::World;

#[test]
fn each_waits_for_what_it_depends_on() {
    let mut w = World::booted(vec![
        daemon("redis")
            .readiness(probe())
            .life(runs().up_after(secs(2))),
        oneshot("migrate", exits(secs(1), 0)).needs("redis"),
        daemon("web").needs("migrate"),
    ]);
    assert_eq!(
        states(&w, ["redis", "migrate", "web"]),
        [Starting, Blocked, Blocked]
    );
    w.run(ms(3300));
    assert_eq!(
        states(&w, ["redis", "migrate", "web"]),
        [Ready, Running, Blocked]
    );
    w.run(secs(2));
    assert_eq!(
        states(&w, ["redis", "migrate", "web"]),
        [Ready, Completed, Ready]
    );
    assert!(w.core.started().is_some());
}

#[test]
fn first_failure_decides() {
    let mut w = World::booted(vec![
        daemon("a").never().life(exits(secs(1), 42)),
        daemon("b")
            .never()
            .life(runs().on_stop(OnStop::Exits(ms(1), 7))),
    ]);
    assert_eq!(w.code(), 42);
    assert!(w.exit().unwrap().0.since(w.spawns("a")[0]) < ms(1100));
}

#[test]
fn death_by_a_signal_is_128_and_more() {
    let mut w = World::booted(vec![daemon("a").never().life(dies(secs(1), 11))]);
    assert_eq!(w.code(), 139);
}

#[test]
fn dependency_fails_for_good_then_dependents_fail_at_once() {
    let mut w = World::booted(vec![
        daemon("a")
            .optional()
            .never()
            .readiness(probe())
            .life(exits(secs(1), 5).up_after(secs(9))),
        daemon("b").optional().needs("a"),
        daemon("c").needs_it("b", Condition::Started),
        daemon("d"),
    ]);
    assert_eq!(w.code(), 101);
    let failed = w.said(|f| matches!(f, Fact::Failed { .. })).unwrap();
    assert_eq!(
        w.said(|f| matches!(f, Fact::ShutdownBegan { .. })),
        Some(failed)
    );
    assert_eq!(states(&w, ["a", "b", "c"]), [Failed; 3]);
    assert!(w.spawns("b").is_empty() && w.spawns("c").is_empty());
}

#[test]
fn wanted_dependency_fails_then_its_dependent_starts() {
    let mut w = World::booted(vec![
        oneshot("statsd", exits(secs(1), 1)).optional().never(),
        daemon("web").wants("statsd"),
    ]);
    w.run(ms(900));
    assert_eq!(w.state("web"), Blocked);
    w.run(secs(1));
    assert_eq!(states(&w, ["statsd", "web"]), [Failed, Ready]);
}

#[test]
fn required_oneshot_fails_with_its_code() {
    let mut w = World::booted(vec![
        oneshot("migrate", exits(secs(1), 3)).restarts_at_most(1, secs(600)),
        daemon("web").needs("migrate"),
    ]);
    assert_eq!(w.code(), 3);
    assert_eq!(w.spawns("migrate").len(), 2);
    assert!(w.spawns("web").is_empty());
}

#[test]
fn oneshot_is_retried_then_completes() {
    let mut w = World::booted(vec![
        oneshot("migrate", runs()).lives(&[exits(secs(1), 1), exits(secs(1), 0)]),
        daemon("web").needs("migrate"),
    ]);
    w.run(secs(5));
    assert_eq!(states(&w, ["migrate", "web"]), [Completed, Ready]);
}

#[test]
fn missing_program_is_127_without_a_retry_and_never_started() {
    let mut w = World::booted(vec![
        daemon("web").life(missing()),
        daemon("needs-it").needs("web"),
    ]);
    assert_eq!(w.code(), 127);
    assert_eq!(w.spawns("web").len(), 1);
    assert_eq!(
        w.said(|f| matches!(f, Fact::Started { .. } | Fact::Ready { .. })),
        None
    );
}

#[test]
fn all_work_completed_is_0() {
    let mut w = World::booted(vec![
        oneshot("a", exits(secs(1), 0)),
        oneshot("b", exits(secs(2), 0)).needs("a"),
        daemon("c")
            .policy(RestartPolicy::OnFailure)
            .life(exits(secs(1), 0)),
    ]);
    assert_eq!(w.code(), 0);
    assert!(w.exit().unwrap().0.since(w.spawns("a")[0]) < ms(3100));
}

#[test]
fn services_that_start_by_hand_only_are_waited_for() {
    let mut w = World::booted(vec![daemon("a").by_hand()]);
    w.run(secs(60));
    assert_eq!(w.exit(), None);
    w.ask("a", Request::Start).run(secs(1));
    assert_eq!(w.state("a"), Ready);
}

#[test]
fn a_schedule_keeps_the_container() {
    let mut w = World::booted(vec![
        oneshot("a", exits(secs(1), 0)),
        cron("job", exits(secs(1), 0)),
    ]);
    w.run(secs(100));
    assert_eq!(w.exit(), None);
}

#[test]
fn success_of_the_job_is_0_whatever_its_helpers_do() {
    let mut w = World::booted(vec![
        oneshot("job", exits(secs(1), 0)).then_shutdown(),
        daemon("helper").life(runs().on_stop(OnStop::Exits(ms(1), 9))),
    ]);
    assert_eq!(w.code(), 0);
}

#[test]
fn required_one_wins_a_conflict_at_boot() {
    let mut w = World::booted(vec![daemon("a").optional().conflicts("b"), daemon("b")]);
    w.run(secs(1));
    assert_eq!(states(&w, ["a", "b"]), [Stopped, Ready]);
    assert!(
        w.core
            .snapshot(w.id("a"))
            .reason
            .contains("conflicts with b")
    );
}

#[test]
fn start_by_hand_makes_room_and_waits_for_it() {
    let mut w = World::booted(vec![
        daemon("web").life(runs().on_stop(OnStop::Dies(secs(2)))),
        daemon("maintenance").by_hand().conflicts("web"),
    ]);
    w.run(secs(1))
        .ask("maintenance", Request::Start)
        .run(secs(1));
    assert_eq!(states(&w, ["web", "maintenance"]), [Stopping, Blocked]);
    w.run(secs(2));
    assert_eq!(states(&w, ["web", "maintenance"]), [Stopped, Ready]);
}

#[test]
fn dependency_that_restarts_leaves_its_dependents_alone() {
    let mut w = World::booted(vec![
        daemon("db").lives(&[exits(secs(5), 1), runs()]),
        daemon("web").needs("db"),
    ]);
    w.run(secs(10));
    assert_eq!((w.spawns("db").len(), w.spawns("web").len()), (2, 1));
}

#[test]
fn not_ready_dependency_holds_back_what_needs_it_ready() {
    let mut w = World::booted(vec![
        daemon("db")
            .readiness(probe())
            .life(runs().answering(podvisor::core::ProbeKind::Readiness, &[NO; 500])),
        daemon("web").needs("db"),
    ]);
    w.run(secs(60));
    assert_eq!(states(&w, ["db", "web"]), [Running, Blocked]);
    assert_eq!(w.halt(Halt::Stop).code(), 0);
}
