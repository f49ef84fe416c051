//! Cron services: what happens when their time comes.

use podvisor::config::model::ConcurrencyPolicy::{Allow, Forbid, Replace};
use podvisor::core::{Fact, Halt, MAX_SIDE_RUNS, Request, ServiceState::*};

use super::states;
use crate::plan::{cron, daemon};
use crate::script::{OnStop, Others, exits, missing, ms, no_fork, runs, secs, stubborn};
use crate::world::World;

#[test]
fn forbid_skips_and_counts() {
    let mut w = World::booted(vec![cron("job", exits(secs(5), 0)).concurrency(Forbid)]);
    w.due("job").run(secs(1)).due("job").run(secs(10));
    assert_eq!(
        (
            w.spawns("job").len(),
            w.core.tally(w.id("job")).cron_skipped
        ),
        (1, 1)
    );
    w.due("job").run(secs(1));
    assert_eq!((w.spawns("job").len(), w.state("job")), (2, Running));
}

#[test]
fn replace_stops_then_starts() {
    let mut w = World::booted(vec![cron("job", exits(secs(50), 0)).concurrency(Replace)]);
    w.due("job").run(secs(1)).due("job").run(secs(1));
    assert_eq!((w.spawns("job").len(), w.kills("job").len()), (2, 1));
}

#[test]
fn replace_waits_for_what_the_previous_run_left_behind() {
    let life = exits(secs(1), 0).leaving(Others::Stubborn);
    let mut w = World::booted(vec![
        cron("job", life).concurrency(Replace).stop_timeout(secs(3)),
    ]);
    w.due("job").run(secs(2));
    assert_eq!(w.state("job"), Stopping);
    w.due("job").run(secs(3));
    assert_eq!(w.spawns("job").len(), 2);
}

#[test]
fn allow_runs_side_by_side_up_to_a_bound() {
    let mut w = World::booted(vec![cron("job", exits(secs(50), 0)).concurrency(Allow)]);
    for _ in 0..MAX_SIDE_RUNS + 3 {
        w.due("job").run(ms(10));
    }
    assert_eq!(w.spawns("job").len(), MAX_SIDE_RUNS + 1);
    assert_eq!(w.core.tally(w.id("job")).cron_skipped, 2);
    w.run(secs(60));
    assert_eq!(w.state("job"), Pending);
    assert_eq!(
        w.core.tally(w.id("job")).starts_ok,
        MAX_SIDE_RUNS as u64 + 1
    );
}

#[test]
fn allowed_run_that_cannot_fork_is_not_there_for_ever() {
    let mut slow_fork = no_fork();
    slow_fork.fork_takes = secs(1);
    let plan = cron("job", runs()).lives(&[slow_fork, exits(secs(5), 0)]);
    let mut w = World::booted(vec![plan.concurrency(Allow)]);
    w.due("job").due("job").run(secs(10));
    assert_eq!(w.state("job"), Pending);
    assert_eq!(w.core.tally(w.id("job")).starts_failed, 1);
}

#[test]
fn allowed_run_that_takes_too_long_is_ended_alone() {
    let plan = cron("job", runs()).lives(&[stubborn(), exits(secs(60), 0)]);
    let plan = plan
        .concurrency(Allow)
        .start_timeout(secs(40))
        .stop_timeout(secs(2));
    let mut w = World::booted(vec![plan]);
    w.due("job").run(secs(30)).due("job").run(secs(15));
    assert_eq!(
        w.kills("job").iter().map(|k| k.1).collect::<Vec<_>>(),
        [15, 9]
    );
    assert_eq!(w.state("job"), Running);
    assert_eq!(w.core.tally(w.id("job")).starts_timeout, 1);
}

#[test]
fn what_one_allowed_run_left_behind_takes_no_other_with_it() {
    let left = exits(secs(1), 0).leaving(Others::Stubborn);
    let plan = cron("job", runs()).lives(&[exits(secs(60), 0), left]);
    let mut w = World::booted(vec![plan.concurrency(Allow).stop_timeout(secs(2))]);
    w.due("job").due("job").run(secs(10));
    assert_eq!(w.state("job"), Running);
    w.run(secs(60));
    assert_eq!(
        (w.state("job"), w.core.tally(w.id("job")).starts_ok),
        (Pending, 2)
    );
}

#[test]
fn missed_time_while_it_is_stopped_is_missed() {
    let mut w = World::booted(vec![cron("job", exits(secs(1), 0)), daemon("a")]);
    w.ask("job", Request::Stop).due("job").run(secs(1));
    assert!(w.spawns("job").is_empty() && w.scheduled.is_empty());
    assert_eq!(w.core.tally(w.id("job")).stale_events, 1);
}

#[test]
fn failed_run_leaves_the_schedule() {
    let mut w = World::booted(vec![cron("job", exits(secs(1), 1))]);
    w.due("job").run(secs(2)).due("job").run(secs(2));
    assert_eq!((w.spawns("job").len(), w.state("job")), (2, Pending));
}

#[test]
fn start_by_hand_runs_it_once_and_once_only() {
    let mut w = World::booted(vec![cron("job", exits(secs(2), 0))]);
    w.ask("job", Request::Start)
        .run(secs(1))
        .ask("job", Request::Start)
        .run(secs(10));
    assert_eq!(w.spawns("job").len(), 1);
}

#[test]
fn run_waits_for_what_it_needs() {
    let mut w = World::booted(vec![
        daemon("db").life(exits(secs(2), 1)),
        cron("job", exits(secs(60), 0))
            .concurrency(Allow)
            .needs("db"),
    ]);
    w.run(secs(1)).due("job").run(ms(1100));
    assert_eq!(states(&w, ["db", "job"]), [Backoff, Running]);
    w.due("job");
    assert!(w.said(|f| matches!(f, Fact::CronSkipped { .. })).is_some());
    assert_eq!(w.halt(Halt::Stop).code(), 0);
}

#[test]
fn older_run_keeps_its_limit_when_the_newer_one_ends_first() {
    let plan = cron("job", runs()).lives(&[runs(), exits(secs(1), 0)]);
    let mut w = World::booted(vec![plan.concurrency(Allow).start_timeout(secs(40))]);
    let began = w.now;
    w.due("job").run(secs(30)).due("job").run(secs(15));
    assert_eq!(w.kills("job"), [(began.plus(secs(40)), 15)]);
    assert_eq!(w.core.tally(w.id("job")).starts_timeout, 1);
}

#[test]
fn survivors_of_an_allowed_run_get_what_is_left_of_its_stop() {
    let late = runs()
        .on_stop(OnStop::Dies(secs(2)))
        .leaving(Others::Stubborn);
    let plan = cron("job", runs()).lives(&[late, exits(secs(60), 0)]);
    let plan = plan.concurrency(Allow).start_timeout(secs(40));
    let mut w = World::booted(vec![plan.stop_timeout(secs(3))]);
    let began = w.now;
    w.due("job").run(secs(30)).due("job").run(secs(15));
    let (asked, killed) = (began.plus(secs(40)), began.plus(secs(43)));
    assert_eq!(w.kills("job"), [(asked, 15), (killed, 9)]);
}

#[test]
fn allowed_runs_that_cannot_run_their_program_end_each_for_itself() {
    let plan = cron("job", missing()).concurrency(Allow);
    let mut w = World::booted(vec![plan, daemon("a")]);
    w.due("job").due("job").run(secs(1));
    assert_eq!(w.state("job"), Failed);
    assert_eq!(w.core.tally(w.id("job")).starts_failed, 2);
    let stopped = |f: &Fact| matches!(f, Fact::Stopped { .. });
    assert_eq!(w.said(stopped), None);
}
