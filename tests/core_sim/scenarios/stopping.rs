//! The end of a service, and of the container.

use podvisor::core::{Action, Event, Fact, Halt, Life, ServiceState::*, Settings};

use super::{after, states};
use crate::plan::{cron, daemon, oneshot, settings};
use crate::script::{Life as Script, OnStop, Others, exits, ms, runs, secs, stubborn};
use crate::world::World;

fn slow(seconds: u64) -> Script {
    runs().on_stop(OnStop::Dies(secs(seconds)))
}

#[test]
fn clean_stop_is_0_and_at_once() {
    let mut w = World::booted(vec![daemon("a"), daemon("b").needs("a")]);
    let asked = w.run(secs(1)).now;
    assert_eq!(w.halt(Halt::Stop).code(), 0);
    assert!(after(asked, w.exit().unwrap().0) < ms(50));
}

#[test]
fn own_exit_code_of_a_required_service_at_its_stop_decides() {
    let life = runs().on_stop(OnStop::Exits(ms(1), 4));
    let mut w = World::booted(vec![
        daemon("a").life(life.clone()),
        daemon("b").optional().life(life),
    ]);
    assert_eq!(w.run(secs(1)).halt(Halt::Stop).code(), 4);
}

#[test]
fn a_shells_143_is_a_clean_end() {
    let mut w = World::booted(vec![
        daemon("a").life(runs().on_stop(OnStop::Exits(ms(1), 143))),
    ]);
    assert_eq!(w.run(secs(1)).halt(Halt::Stop).code(), 0);
}

#[test]
fn dependents_go_first_and_branches_do_not_wait_for_each_other() {
    let mut w = World::booted(vec![
        daemon("db"),
        daemon("web").needs("db").life(slow(5)),
        daemon("cache"),
        daemon("worker").needs("cache").life(slow(1)),
    ]);
    let asked = w.run(secs(1)).halt(Halt::Stop).now;
    w.finish();
    let when = |name| after(asked, w.kills(name)[0].0).as_secs();
    assert_eq!(["web", "worker", "cache", "db"].map(when), [0, 0, 1, 5]);
    assert_eq!(w.exit().unwrap().1, 0);
}

#[test]
fn term_in_backoff_is_instant() {
    let mut w = World::booted(vec![daemon("a").life(exits(secs(1), 1))]);
    let asked = w.run(ms(1200)).now;
    assert_eq!(w.state("a"), Backoff);
    assert_eq!(w.halt(Halt::Stop).code(), 0);
    assert!(after(asked, w.exit().unwrap().0) < ms(50));
    assert_eq!(w.spawns("a").len(), 1);
}

#[test]
fn term_while_a_oneshot_runs() {
    let mut w = World::booted(vec![
        oneshot("migrate", exits(secs(60), 0)),
        daemon("web").needs("migrate"),
    ]);
    assert_eq!(w.run(secs(1)).halt(Halt::Stop).code(), 0);
    assert!(w.spawns("web").is_empty());
    assert_eq!(states(&w, ["migrate", "web"]), [Stopped, Stopped]);
}

#[test]
fn term_before_the_boot_starts_nothing() {
    let mut w = World::new(vec![daemon("a"), cron("b", runs())]);
    w.halt(Halt::Stop);
    w.tell(Event::Boot);
    assert_eq!(w.code(), 0);
    assert!(w.spawns("a").is_empty() && w.scheduled.is_empty());
}

#[test]
fn double_term_within_a_second_is_one() {
    let mut w = World::booted(vec![daemon("db"), daemon("web").needs("db").life(slow(5))]);
    w.run(secs(1))
        .halt(Halt::Stop)
        .run(ms(900))
        .halt(Halt::Stop)
        .run(ms(10));
    assert!(w.kills("db").is_empty());
    assert_eq!(w.said(|f| matches!(f, Fact::ShutdownHurried { .. })), None);
    assert_eq!(w.code(), 0);
}

#[test]
fn second_term_drops_the_order_and_leaves_three_seconds() {
    let mut w = World::booted(vec![
        daemon("db").optional(),
        daemon("web").optional().needs("db").life(stubborn()),
    ]);
    let again = w.run(secs(1)).halt(Halt::Stop).run(secs(2)).now;
    w.halt(Halt::Stop);
    assert_eq!(w.kills("db").len(), 1, "the order is dropped");
    assert_eq!(w.code(), 0);
    assert_eq!(after(again, w.kills("web")[1].0), secs(2));
    assert!(after(again, w.exit().unwrap().0) <= secs(3));
}

#[test]
fn third_term_kills() {
    let mut w = World::booted(vec![daemon("a").life(stubborn())]);
    w.run(secs(1))
        .halt(Halt::Stop)
        .run(secs(1))
        .halt(Halt::Stop)
        .run(secs(1));
    let third = w.now;
    assert_eq!(w.halt(Halt::Stop).code(), 137);
    assert_eq!(w.kills("a").last(), Some(&(third, libc::SIGKILL)));
    assert!(after(third, w.exit().unwrap().0) < ms(50));
}

#[test]
fn quit_is_131_and_runs_no_stop_command() {
    let mut w = World::booted(vec![daemon("a").life(stubborn()).stop_command()]);
    let asked = w.run(secs(1)).now;
    assert_eq!(w.halt(Halt::Quit).code(), 131);
    assert_eq!(w.kills("a"), [(asked, libc::SIGKILL)]);
    let command = |a: &Action| matches!(a, Action::RunStopCommand { .. });
    assert!(!w.log.iter().any(|(_, a)| command(a)));
}

#[test]
fn stop_timeout_kills() {
    let mut w = World::booted(vec![daemon("a").life(stubborn()).stop_timeout(secs(4))]);
    let asked = w.run(secs(1)).now;
    assert_eq!(w.halt(Halt::Stop).code(), 137);
    assert_eq!(after(asked, w.kills("a")[1].0), secs(4));
}

#[test]
fn killed_at_the_deadline_is_137_if_required_and_0_if_not() {
    for (optional, code) in [(false, 137), (true, 0)] {
        let mut plan = daemon("a").life(stubborn()).stop_timeout(secs(60));
        if optional {
            plan = plan.optional();
        }
        let mut w = World::booted(vec![plan]);
        let asked = w.run(secs(1)).now;
        assert_eq!(w.halt(Halt::Stop).code(), code);
        assert_eq!(after(asked, w.kills("a")[1].0), secs(20));
    }
}

#[test]
fn leader_ends_then_its_group_is_killed_and_only_then_it_restarts() {
    let mut w = World::booted(vec![
        daemon("a")
            .stop_timeout(secs(3))
            .lives(&[exits(secs(1), 1).leaving(Others::Stubborn), runs()]),
    ]);
    w.run(secs(10));
    let kills = w.kills("a");
    assert_eq!((kills[0].1, kills[1].1), (15, 9));
    assert_eq!(after(kills[0].0, kills[1].0), secs(3));
    assert!(w.spawns("a")[1] >= kills[1].0.plus(ms(500)));
}

#[test]
fn leader_that_follows_its_stop_does_not_end_the_stop_of_the_rest() {
    let life = runs().leaving(Others::Stubborn);
    let mut w = World::booted(vec![daemon("a").life(life).stop_timeout(secs(2))]);
    let asked = w.run(secs(1)).now;
    assert_eq!(w.halt(Halt::Stop).code(), 0);
    assert_eq!(w.kills("a"), [(asked, 15), (asked.plus(secs(2)), 9)]);
}

#[test]
fn stop_command_comes_first_then_the_signal() {
    let mut w = World::booted(vec![daemon("a").stop_command().life(Script {
        command_takes: Some(secs(2)),
        ..runs()
    })]);
    let asked = w.run(secs(1)).now;
    assert_eq!(w.halt(Halt::Stop).code(), 0);
    assert_eq!(w.kills("a"), [(asked.plus(secs(2)), 15)]);
}

#[test]
fn stop_command_that_hangs_gets_half_the_time_and_is_given_up() {
    let mut w = World::booted(vec![daemon("a").stop_command().life(Script {
        command_takes: None,
        ..runs()
    })]);
    let asked = w.run(secs(1)).now;
    assert_eq!(w.halt(Halt::Stop).code(), 0);
    let half = asked.plus(secs(5));
    assert_eq!(w.kills("a"), [(half, 15)]);
    let given_up = |a: &Action| matches!(a, Action::CancelProbes { .. });
    assert!(w.log.iter().any(|(at, a)| *at == half && given_up(a)));
}

#[test]
fn unkillable_process_does_not_hold_up_the_shutdown() {
    let mut w = World::booted(vec![
        daemon("db"),
        daemon("a").needs("db").stop_timeout(secs(1)).life(Script {
            dies_in: None,
            ..stubborn()
        }),
    ]);
    let asked = w.run(secs(1)).now;
    assert_eq!(w.halt(Halt::Stop).code(), 137);
    assert!(after(asked, w.exit().unwrap().0) < ms(3100));
    assert_eq!(after(asked, w.kills("db")[0].0), secs(3));
}

#[test]
fn drain_delay_stops_nothing_and_restarts_nothing() {
    let mut w = World::with(
        vec![daemon("a"), daemon("b").optional().life(exits(secs(2), 1))],
        Settings {
            drain_delay: secs(3),
            ..settings()
        },
        0,
    );
    w.tell(Event::Boot);
    w.run(secs(1)).halt(Halt::Stop).run(secs(2));
    assert_eq!(w.core.life(), Life::Draining);
    assert_eq!(states(&w, ["a", "b"]), [Ready, Stopped]);
    assert!(w.kills("a").is_empty());
    w.run(secs(2));
    assert_eq!(
        (w.code(), w.kills("a").len(), w.spawns("b").len()),
        (0, 1, 1)
    );
}

#[test]
fn drain_as_long_as_the_deadline_still_leaves_time_to_stop() {
    let drain_delay = secs(30);
    let mut w = World::with(
        vec![daemon("a")],
        Settings {
            drain_delay,
            ..settings()
        },
        0,
    );
    w.tell(Event::Boot);
    let asked = w.run(secs(1)).now;
    assert_eq!(w.halt(Halt::Stop).code(), 0);
    assert_eq!(w.kills("a"), [(asked.plus(secs(16)), 15)]);
}

#[test]
fn drain_ends_when_nobody_is_left() {
    let mut w = World::with(
        vec![oneshot("a", exits(secs(2), 0)), cron("b", runs())],
        Settings {
            drain_delay: secs(10),
            ..settings()
        },
        0,
    );
    w.tell(Event::Boot);
    let asked = w.run(secs(1)).now;
    assert_eq!(w.halt(Halt::Stop).code(), 0);
    assert!(after(asked, w.exit().unwrap().0) < ms(1100));
}

#[test]
fn order_is_given_up_when_four_fifths_of_the_time_are_over() {
    let mut w = World::booted(vec![
        daemon("db"),
        daemon("web")
            .needs("db")
            .life(slow(19))
            .stop_timeout(secs(60)),
    ]);
    let asked = w.run(secs(1)).now;
    assert_eq!(w.halt(Halt::Stop).code(), 0);
    assert_eq!(after(asked, w.kills("db")[0].0), secs(16));
}

#[test]
fn logs_get_no_more_than_their_time() {
    let mut w = World::booted(vec![daemon("a")]);
    w.flush_takes = None;
    let asked = w.run(secs(1)).now;
    assert_eq!(w.halt(Halt::Stop).code(), 0);
    let took = after(asked, w.exit().unwrap().0);
    assert!(took >= secs(5) && took < ms(5100), "{took:?}");
}

#[test]
fn required_failure_ends_all_in_order_without_a_drain() {
    let mut w = World::with(
        vec![
            daemon("db"),
            daemon("web").needs("db").life(slow(2)),
            daemon("bad").never().life(exits(secs(3), 8)),
        ],
        Settings {
            drain_delay: secs(10),
            ..settings()
        },
        0,
    );
    w.tell(Event::Boot);
    assert_eq!(w.code(), 8);
    assert_eq!(after(w.kills("web")[0].0, w.kills("db")[0].0), secs(2));
}

#[test]
fn exit_that_is_told_twice_counts_once() {
    let life = exits(secs(1), 1).leaving(Others::Stubborn);
    let mut w = World::booted(vec![daemon("a").life(life)]);
    w.run(secs(2));
    let exit = |e: &&(_, Event, usize)| matches!(e.1, Event::Exited { .. });
    let (_, again, _) = w.told.iter().find(exit).unwrap().clone();
    w.tell(again);
    let tally = w.core.tally(w.id("a"));
    assert_eq!(
        (tally.exits.values().sum::<u64>(), tally.stale_events),
        (1, 1)
    );
}
