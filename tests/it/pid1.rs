//! The same as PID 1 of a pid namespace of its own. Needs root, or user namespaces; without either the test says so.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Place, Running, is_root, podvisor};

/// How to get a pid namespace here, if there is a way.
#[expect(
    clippy::disallowed_types,
    reason = "the tests are outside of podvisor's own process"
)]
fn unshare() -> Option<Vec<&'static str>> {
    let ways: [&[&str]; 2] = [
        &[
            "unshare",
            "--pid",
            "--fork",
            "--mount-proc",
            "--kill-child=KILL",
        ],
        &["unshare", "-Urpf", "--mount-proc", "--kill-child=KILL"],
    ];
    let works = |way: &&[&str]| {
        let mut command = std::process::Command::new(way[0]);
        command
            .args(&way[1..])
            .arg("/bin/true")
            .stderr(std::process::Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let way = ways.into_iter().find(works);
    if way.is_none() {
        assert!(!is_root(), "root, and yet no pid namespace");
        eprintln!("no pid namespace to be had here: as PID 1 it is tested in CI only");
    }
    way.map(<[&str]>::to_vec)
}

#[expect(
    clippy::disallowed_types,
    reason = "the tests are outside of podvisor's own process"
)]
fn start(place: &Place, yaml: &str) -> Option<Running> {
    let config = place.config(yaml);
    let way = unshare()?;
    let mut command = std::process::Command::new(way[0]);
    command
        .args(&way[1..])
        .args([podvisor(), "run", "-c", &config]);
    Some(Running::spawn(place, command))
}

/// The podvisor inside: the only child of `unshare`.
fn inner(running: &Running) -> Pid {
    let outer = running.pid();
    let path = format!("/proc/{outer}/task/{outer}/children");
    let text = std::fs::read_to_string(path).unwrap();
    Pid::from_raw(text.trim().parse().unwrap())
}

#[test]
fn it_starts_stops_and_tells_the_code() {
    let place = Place::new();
    let yaml = "http: { listen: off }
services:
  a: { command: [CHILD, 'cat:/proc/self/stat', 'say:here', wait] }
  b: { command: [CHILD, wait], dependsOn: [a] }
";
    let Some(mut running) = start(&place, yaml) else {
        return;
    };
    running.wait_line("here");
    running.wait_line("all required services are up");
    kill(inner(&running), Signal::SIGTERM).unwrap();
    let done = running.wait();
    assert_eq!(done.code(), 0, "{}", done.stderr);
}

#[test]
fn a_failure_is_its_exit_code() {
    let place = Place::new();
    let yaml = "http: { listen: off }
services:
  a: { command: [CHILD, 'sleep:50', 'die:KILL'], restartPolicy: Never }
";
    let Some(running) = start(&place, yaml) else {
        return;
    };
    assert_eq!(running.wait().code(), 137);
}

#[test]
fn orphans_of_orphans_are_reaped_and_killed_at_the_end() {
    let place = Place::new();
    let yaml = "http: { listen: off }
services:
  a: { shell: 'setsid sh -c \"(trap \\\"\\\" TERM; sleep 1000) & (exit 0) & exit 0\"; echo left; exec sleep 1000', stop: { timeout: 300ms } }
";
    let Some(mut running) = start(&place, yaml) else {
        return;
    };
    running.wait_line("left");
    let own = inner(&running);
    running.wait_until("no zombie is left", || {
        let text =
            std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        text.split_whitespace()
            .all(|pid| crate::support::lives(pid.parse().unwrap()))
    });
    kill(own, Signal::SIGTERM).unwrap();
    let done = running.wait();
    assert_eq!(done.code(), 0, "{}", done.stderr);
}

#[test]
fn run_cmd_as_pid_1() {
    let Some(way) = unshare() else { return };
    let place = Place::new();
    #[expect(
        clippy::disallowed_types,
        reason = "the tests are outside of podvisor's own process"
    )]
    let mut command = std::process::Command::new(way[0]);
    command.args(&way[1..]);
    command.args([
        podvisor(),
        "run",
        "--listen",
        "off",
        "--",
        "/bin/sh",
        "-c",
        "(sleep 0.1 &); exit 9",
    ]);
    assert_eq!(Running::spawn(&place, command).wait().code(), 9);
}
