//! What a service's process finds when it starts, and that nothing of it is left when it ends.

use crate::support::{Place, is_root, lives};

const OFF: &str = "http: { listen: off }\nlogs: { console: { format: raw } }\n";

fn status_of(yaml: &str) -> String {
    let place = Place::new();
    let done = place.run(&format!("{OFF}{yaml}")).wait();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    done.stdout
}

#[test]
fn it_starts_with_clean_signals_in_a_session_of_its_own() {
    let text = status_of(
        "services:\n  a: { type: oneshot, command: [CHILD, 'cat:/proc/self/status', 'cat:/proc/self/stat'] }\n",
    );
    for field in ["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"] {
        // Rust's own runtime ignores SIGPIPE before main; that one bit is the test process's, not podvisor's.
        let ok = text.contains(field) || text.contains("SigIgn:\t0000000000001000");
        assert!(ok, "{field} in\n{text}");
    }
    let stat = text.lines().last().unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let pid = stat.split(' ').next().unwrap();
    assert_eq!(fields[2], pid, "process group in {stat}");
    assert_eq!(fields[3], pid, "session in {stat}");
}

#[test]
fn the_shell_sees_no_ignored_signal_and_no_descriptor_of_ours() {
    let text = status_of(
        "services:\n  a: { type: oneshot, shell: 'grep SigIgn /proc/self/status; ls /proc/self/fd | tr \"\\n\" \" \"' }\n",
    );
    assert!(text.contains("SigIgn:\t0000000000000000"), "{text}");
    assert!(text.contains("0 1 2 3 "), "{text}");
    assert!(!text.contains("0 1 2 3 4"), "{text}");
}

#[test]
fn environment_working_directory_umask_and_limits_are_as_asked() {
    let place = Place::new();
    std::fs::write(place.path("env"), "FROM_FILE=yes\nBOTH=file\n").unwrap();
    let done = place
        .run(&format!(
            r#"{OFF}
services:
  a:
    type: oneshot
    shell: 'echo "$FROM_FILE $BOTH $PODVISOR_SERVICE"; pwd; umask; ulimit -n; ulimit -c'
    env: {{ BOTH: env }}
    envFrom: [{{ file: DIR/env }}, {{ file: DIR/missing, optional: true }}]
    workingDir: DIR
    securityContext: {{ umask: "027" }}
    limits: {{ nofile: 512, core: 0 }}
"#
        ))
        .wait();
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(lines[0], "yes env a");
    assert_eq!(lines[1], place.path("").trim_end_matches('/'));
    assert_eq!(lines[2..], ["0027", "512", "0"]);
}

#[test]
fn another_user_can_open_dev_stdout() {
    if !is_root() {
        return;
    }
    let text = status_of(
        "services:\n  a: { type: oneshot, user: '65534:65534', shell: 'id -u; id -g; echo through > /dev/stdout', securityContext: { noNewPrivileges: true, capabilities: { drop: [ALL] } } }\n",
    );
    assert_eq!(text, "65534\n65534\nthrough\n");
}

#[test]
fn a_survivor_of_the_group_is_killed_before_the_next_start() {
    let place = Place::new();
    let mut running = place.run(&format!(
        "{OFF}services:
  a:
    command: [CHILD, 'once:DIR/second', 'fork:3', 'ignore:TERM', 'say:survivor here', wait, 'sleep:300', 'exit:1', 'say:again']
    restart: {{ initialDelay: 1ms }}
    stop: {{ timeout: 200ms }}
    restartPolicy: OnFailure
"
    ));
    running.wait_line("survivor here");
    running.wait_line("left processes behind");
    running.wait_line("stopped by killing");
    running.wait_line("again");
    let done = running.wait();
    assert_eq!(done.code(), 0, "{}", done.stderr);
}

#[test]
fn a_process_that_left_the_session_is_found_and_killed() {
    let place = Place::new();
    let mut running = place.run(&format!(
        "{OFF}services:
  a:
    shell: 'setsid sh -c ''echo $$$$ > DIR/pid; trap \"\" TERM HUP; while :; do sleep 1; done'' & echo up; exec sleep 1000'
    stop: {{ timeout: 300ms }}
"
    ));
    running.wait_line("up");
    running.wait_until("the escaped one runs", || place.read("pid").ends_with('\n'));
    let pid: i32 = place.read("pid").trim().parse().unwrap();
    assert!(lives(pid));
    let done = running.stop();
    assert!(
        !lives(pid),
        "the escaped process {pid} lives on\n{}",
        done.stderr
    );
}

#[test]
fn a_pipe_held_by_a_grandchild_delays_nothing() {
    let place = Place::new();
    let mut running = place.run(&format!(
        "{OFF}services:
  a: {{ type: oneshot, command: [CHILD, 'say:done', 'exit:0'] }}
  b: {{ type: oneshot, shell: 'sleep 0.1; echo b done', dependsOn: [a] }}
"
    ));
    running.wait_line("b done");
    assert_eq!(running.wait().code(), 0);
}

#[test]
fn orphans_are_reaped() {
    let place = Place::new();
    let mut running = place.run(&format!(
        "{OFF}services:\n  a: {{ command: [CHILD, 'orphans:200', 'say:left behind', wait] }}\n"
    ));
    running.wait_line("left behind");
    let own = running.pid().as_raw();
    running.wait_until("no zombie is left", || {
        let children =
            std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        children.split_whitespace().count() == 1
    });
    assert_eq!(running.stop().code(), 0);
}

#[test]
fn nothing_but_its_own_descendants_is_ever_signalled() {
    let place = Place::new();
    let mut other = nix_sleep();
    let mut running = place.run(&format!(
        "{OFF}services:\n  a: {{ command: [CHILD, 'say:here', wait] }}\n"
    ));
    running.wait_line("here");
    assert_eq!(running.stop().code(), 0);
    assert!(
        other.try_wait().unwrap().is_none(),
        "a stranger's process was killed"
    );
    other.kill().unwrap();
    other.wait().unwrap();
}

#[expect(
    clippy::disallowed_types,
    reason = "the tests are outside of podvisor's own process"
)]
fn nix_sleep() -> std::process::Child {
    std::process::Command::new("sleep")
        .arg("1000")
        .spawn()
        .unwrap()
}
