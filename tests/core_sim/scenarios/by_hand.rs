//! What somebody asks of a service.

use podvisor::core::{Fact, Halt, Request::*, ServiceState::*};

use super::{after, states};
use crate::plan::{daemon, oneshot};
use crate::script::{OnStop, dies, exits, missing, ms, runs, secs};
use crate::world::World;

#[test]
fn start_pulls_in_what_is_needed() {
    let mut w = World::booted(vec![
        daemon("db").by_hand(),
        daemon("web").by_hand().needs("db"),
        daemon("other"),
    ]);
    w.run(secs(1)).ask("web", Start).run(secs(1));
    assert_eq!(states(&w, ["db", "web"]), [Ready, Ready]);
}

#[test]
fn stop_takes_dependents_first_and_in_order() {
    let slow = runs().on_stop(OnStop::Dies(secs(2)));
    let mut w = World::booted(vec![
        daemon("db"),
        daemon("app").needs("db").life(slow.clone()),
        daemon("web").needs("app").life(slow),
    ]);
    let asked = w.run(secs(1)).now;
    w.ask("db", Stop).run(secs(10));
    let when = |name| after(asked, w.kills(name)[0].0).as_secs();
    assert_eq!(["web", "app", "db"].map(when), [0, 2, 4]);
    assert_eq!(states(&w, ["db", "app", "web"]), [Stopped; 3]);
    assert_eq!(
        w.exit(),
        None,
        "what was stopped by hand can be started again"
    );
}

#[test]
fn start_while_it_is_stopping_brings_it_up_again() {
    let mut w = World::booted(vec![
        daemon("a").life(runs().on_stop(OnStop::Dies(secs(2)))),
    ]);
    w.run(secs(1)).ask("a", Stop).run(secs(1)).ask("a", Start);
    assert_eq!(w.state("a"), Stopping);
    w.run(secs(2));
    assert_eq!((w.state("a"), w.spawns("a").len()), (Ready, 2));
}

#[test]
fn restart_keeps_dependents_running() {
    let mut w = World::booted(vec![daemon("db"), daemon("web").needs("db")]);
    w.run(secs(1)).ask("db", Restart).run(secs(1));
    assert_eq!((w.spawns("db").len(), w.spawns("web").len()), (2, 1));
    assert_eq!(states(&w, ["db", "web"]), [Ready, Ready]);
}

#[test]
fn restart_of_what_waits_for_its_dependents_to_stop_starts_it_again() {
    let mut w = World::booted(vec![
        daemon("db"),
        daemon("web")
            .needs("db")
            .life(runs().on_stop(OnStop::Dies(secs(2)))),
    ]);
    w.run(secs(1))
        .ask("db", Stop)
        .run(secs(1))
        .ask("db", Restart)
        .run(secs(5));
    assert_eq!(states(&w, ["db", "web"]), [Ready, Stopped]);
    assert_eq!(w.spawns("db").len(), 2);
}

#[test]
fn start_in_backoff_is_at_once_and_stop_is_for_good() {
    let mut w = World::booted(vec![daemon("a").optional().life(exits(ms(10), 1))]);
    w.run(ms(100));
    assert_eq!(w.state("a"), Backoff);
    w.ask("a", Start);
    assert_eq!(w.spawns("a").len(), 2);
    w.run(ms(100)).ask("a", Stop).run(secs(60));
    assert_eq!((w.state("a"), w.spawns("a").len()), (Stopped, 2));
}

#[test]
fn failure_of_what_was_stopped_by_hand_does_not_end_the_container() {
    let mut w = World::booted(vec![
        daemon("a")
            .never()
            .life(runs().on_stop(OnStop::Exits(ms(5), 3))),
        daemon("b")
            .never()
            .needs("a")
            .life(dies(secs(60), 11).on_stop(OnStop::Ignores)),
    ]);
    w.run(secs(1)).ask("a", Stop).run(secs(60));
    assert_eq!(states(&w, ["a", "b"]), [Stopped, Stopped]);
    assert_eq!(w.exit(), None);
}

#[test]
fn what_failed_can_be_started_by_hand() {
    let mut w = World::booted(vec![
        daemon("a").optional().lives(&[missing(), runs()]),
        daemon("b").optional().needs("a"),
        daemon("c"),
    ]);
    w.run(secs(1));
    assert_eq!(states(&w, ["a", "b"]), [Failed, Failed]);
    w.ask("b", Start).run(secs(1));
    assert_eq!(states(&w, ["a", "b"]), [Ready, Ready]);
}

#[test]
fn completed_oneshot_stays_done_unless_it_is_asked_for() {
    let mut w = World::booted(vec![
        oneshot("migrate", exits(ms(10), 0)),
        daemon("web").needs("migrate"),
    ]);
    w.run(secs(1)).ask("web", Restart).run(secs(1));
    assert_eq!(w.spawns("migrate").len(), 1);
    w.ask("migrate", Start).run(secs(1));
    assert_eq!(w.spawns("migrate").len(), 2);
}

#[test]
fn requests_are_refused_while_podvisor_ends() {
    let mut w = World::booted(vec![
        daemon("a").life(runs().on_stop(OnStop::Dies(secs(2)))),
        daemon("b").by_hand(),
    ]);
    w.run(secs(1)).halt(Halt::Stop).run(secs(1)).ask("b", Start);
    assert!(w.said(|f| matches!(f, Fact::Refused { .. })).is_some());
    assert_eq!(w.code(), 0);
    assert!(w.spawns("b").is_empty());
}

#[test]
fn stop_leaves_alone_what_only_wants_it() {
    let mut w = World::booted(vec![
        daemon("statsd"),
        daemon("web").wants("statsd"),
        daemon("app").needs("statsd"),
    ]);
    w.run(secs(1)).ask("statsd", Stop).run(secs(1));
    assert_eq!(
        states(&w, ["statsd", "web", "app"]),
        [Stopped, Ready, Stopped]
    );
}
