//! `run -- CMD`: one command, whose code is podvisor's.

use podvisor::core::{Ending, Event, Halt, Settings};

use super::after;
use crate::plan::{daemon, settings};
use crate::script::{Life, Others, dies, exits, ms, runs, secs, stubborn};
use crate::world::{Coming, World};

fn command(life: Life) -> World {
    let mut w = World::with(
        vec![daemon("cmd").never().life(life)],
        Settings {
            single: true,
            ..settings()
        },
        0,
    );
    w.tell(Event::Boot);
    w
}

#[test]
fn its_code_is_the_commands() {
    for code in [0, 1, 42, 255] {
        assert_eq!(i32::from(command(exits(secs(1), code)).code()), code);
    }
    assert_eq!(command(dies(secs(1), 6)).code(), 134);
}

#[test]
fn term_is_handed_on_and_not_sent_again() {
    for (ending, code) in [
        (Ending::Signal(15), 143),
        (Ending::Code(0), 0),
        (Ending::Code(3), 3),
    ] {
        let mut w = command(runs());
        w.run(secs(1)).halt(Halt::Stop);
        let birth = (w.id("cmd"), podvisor::core::Incarnation(1));
        w.later(secs(12), Coming::End(birth, ending));
        assert_eq!(w.code(), code);
        assert!(w.kills("cmd").is_empty());
    }
}

#[test]
fn only_the_deadline_kills() {
    let mut w = command(stubborn());
    let asked = w.run(secs(1)).now;
    w.halt(Halt::Stop).run(secs(5)).halt(Halt::Stop);
    assert_eq!(w.code(), 137);
    assert_eq!(w.kills("cmd"), [(asked.plus(secs(20)), 9)]);
}

#[test]
fn what_the_command_left_behind_gets_its_stop_timeout() {
    let mut w = command(runs().leaving(Others::Stubborn));
    w.run(secs(1)).halt(Halt::Stop);
    let birth = (w.id("cmd"), podvisor::core::Incarnation(1));
    w.later(secs(1), Coming::End(birth, Ending::Code(0)));
    let asked = w.now;
    assert_eq!(w.code(), 0);
    assert!(after(asked, w.exit().unwrap().0) < secs(11) + ms(100));
}
