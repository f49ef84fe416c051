//! Services that end are started again, later each time, and not for ever.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::Place;

const OFF: &str = "http: { listen: off }\nlogs: { console: { format: raw } }\n";

#[test]
fn delays_double() {
    let place = Place::new();
    let mut running = place.run(&format!(
        "{OFF}services:
  a: {{ command: [CHILD, 'mark:DIR/log:start', 'exit:1'], restart: {{ initialDelay: 50ms, jitter: 0 }} }}
"
    ));
    running.wait_until("four starts", || place.order("log").len() >= 4);
    running.stop();
    let marks = place.marks("log");
    let gaps: Vec<u128> = marks
        .windows(2)
        .map(|w| (w[1].1 - w[0].1) / 1_000_000)
        .collect();
    for (gap, least) in gaps.iter().zip([50, 100, 200]) {
        assert!(*gap >= least, "{gaps:?}");
    }
}

#[test]
fn the_limit_makes_it_fail_for_good() {
    let place = Place::new();
    let running = place.run(&format!(
        "{OFF}services:
  a: {{ command: [CHILD, 'mark:DIR/log:start', 'exit:3'], restart: {{ initialDelay: 1ms, maxRestarts: 3 }} }}
"
    ));
    let done = running.wait();
    assert_eq!(done.code(), 3);
    assert_eq!(place.order("log").len(), 4);
}

#[test]
fn policies_hold() {
    for (policy, code, starts) in [
        ("Never", 0, 1),
        ("Never", 1, 1),
        ("OnFailure", 0, 1),
        ("OnFailure", 1, 3),
        ("Always", 0, 3),
    ] {
        let place = Place::new();
        let done = place
            .run(&format!(
                "{OFF}services:
  a: {{ command: [CHILD, 'mark:DIR/log:start', 'exit:{code}'], restartPolicy: {policy}, restart: {{ initialDelay: 1ms, maxRestarts: 2 }} }}
"
            ))
            .wait();
        assert_eq!(
            place.order("log").len(),
            starts,
            "{policy} {code}\n{}",
            done.stderr
        );
    }
}

#[test]
fn a_killed_service_comes_back() {
    let place = Place::new();
    let mut running = place.run(&format!(
        "{OFF}services:\n  a: {{ shell: 'echo pid $$$$ >> DIR/pids; exec sleep 1000', restart: {{ initialDelay: 1ms }} }}\n"
    ));
    running.wait_until("it runs", || place.read("pids").lines().count() == 1);
    let pid: i32 = place
        .read("pids")
        .trim()
        .rsplit(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    running.wait_until("it runs again", || place.read("pids").lines().count() == 2);
    assert_eq!(running.stop().code(), 0);
}

#[test]
fn a_oneshot_is_tried_again_until_it_succeeds() {
    let place = Place::new();
    let done = place
        .run(&format!(
            "{OFF}services:
  a: {{ type: oneshot, command: [CHILD, 'mark:DIR/log:try', 'once:DIR/tried', 'exit:1', 'exit:0'], restart: {{ initialDelay: 1ms }} }}
"
        ))
        .wait();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert_eq!(place.order("log").len(), 2);
}
