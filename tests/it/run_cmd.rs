//! `run -- CMD`: what somebody who comes from tini or dumb-init expects.

use nix::sys::signal::Signal;

use crate::support::{Done, Place, Running, child, lives};

fn run(words: &[&str]) -> Running {
    let place = Place::new();
    start(&place, words)
}

fn start(place: &Place, words: &[&str]) -> Running {
    let child = child().display().to_string();
    let mut args = vec!["run", "--listen", "off", "--", &child];
    args.extend(words);
    Running::start(place, &args)
}

fn done(words: &[&str]) -> Done {
    run(words).wait()
}

#[test]
fn the_exit_code_is_the_commands() {
    for code in [0, 1, 2, 126, 127, 200, 255] {
        assert_eq!(done(&[&format!("exit:{code}")]).code(), code);
    }
}

#[test]
fn a_death_by_signal_is_128_and_its_number() {
    for (name, number) in [("TERM", 15), ("KILL", 9), ("SEGV", 11), ("HUP", 1)] {
        assert_eq!(
            done(&[&format!("die:{name}")]).code(),
            128 + number,
            "{name}"
        );
    }
}

#[test]
fn what_cannot_be_run_is_127_or_126() {
    let place = Place::new();
    let code = |program: &str| {
        Running::start(&place, &["run", "--listen", "off", "--", program])
            .wait()
            .code()
    };
    assert_eq!(code("/nonexistent"), 127);
    assert_eq!(code("/etc/passwd"), 126);
}

#[test]
fn its_output_is_passed_on_as_it_is() {
    let done = done(&["say:out", "err:err", "raw:end"]);
    assert_eq!(done.stdout, "out\nend");
    assert_eq!(done.stderr, "err\n");
}

#[test]
fn every_catchable_signal_is_handed_on() {
    let names = [
        "HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "CONT", "WINCH", "ALRM",
    ];
    for (name, signal) in names.iter().zip([
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGTERM,
        Signal::SIGCONT,
        Signal::SIGWINCH,
        Signal::SIGALRM,
    ]) {
        let mut running = run(&[&format!("on:{name}:77"), "say:here", "wait"]);
        running.wait_line("here");
        running.signal(signal);
        assert_eq!(running.wait().code(), 77, "{name}");
    }
}

#[test]
fn the_command_that_ends_by_the_signal_gives_its_code() {
    let mut running = run(&["say:here", "wait"]);
    running.wait_line("here");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait().code(), 143);
}

#[test]
fn the_whole_group_gets_the_signal() {
    let place = Place::new();
    let mark = place.path("log");
    let mut running = start(
        &place,
        &[
            "fork:3",
            &format!("on:TERM:0:0:{mark}:grandchild"),
            "say:inner here",
            "wait",
            &format!("on:TERM:0:300:{mark}:child"),
            "say:outer here",
            "wait",
        ],
    );
    running.wait_line("inner here");
    running.wait_line("outer here");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait().code(), 0);
    let mut order = place.order("log");
    order.sort();
    assert_eq!(order, ["child", "grandchild"]);
}

#[test]
fn what_it_leaves_behind_does_not_outlive_it() {
    let place = Place::new();
    let pid_file = place.path("pid");
    let script = format!("sleep 1000 & echo $! > {pid_file}; exit 5");
    let done = Running::start(
        &place,
        &["run", "--listen", "off", "--", "/bin/sh", "-c", &script],
    )
    .wait();
    assert_eq!(done.code(), 5);
    assert!(!lives(place.read("pid").trim().parse().unwrap()));
}

#[test]
fn it_reads_its_standard_input() {
    let place = Place::new();
    let done = Running::start(&place, &["run", "--listen", "off", "--", "/bin/cat"]).wait();
    assert_eq!(done.code(), 0);
}

#[test]
fn the_default_address_may_be_taken_by_another_container_of_the_pod() {
    // Whoever holds the default port, this must run.
    let _held = std::net::TcpListener::bind("0.0.0.0:4747");
    let place = Place::new();
    let child = child().display().to_string();
    let done = Running::start(&place, &["run", "--", &child, "exit:6"]).wait();
    assert_eq!(done.code(), 6, "{}", done.stderr);
}

#[test]
fn it_says_nothing_of_its_own_when_all_is_well() {
    assert_eq!(done(&["exit:0"]).stderr, "");
}
