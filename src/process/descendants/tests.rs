//! Families of real processes, and tables made up.

use std::ffi::{CString, OsString};
use std::io::{BufRead, BufReader};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::*;
use crate::process::plan::Plan;
use crate::process::reaper::Reaper;
use crate::process::spawn::{Child, spawn};

fn row(pid: i32, parent: i32) -> Stat {
    Stat {
        pid: Pid::from_raw(pid),
        comm: String::new(),
        state: b'S',
        parent: Pid::from_raw(parent),
        group: Pid::from_raw(pid),
        session: Pid::from_raw(pid),
        threads: 1,
        starttime: 1,
    }
}

#[test]
fn descent_is_followed_in_any_order_and_cycles_end() {
    let table = [
        row(2, 1),
        row(3, 9),
        row(4, 3),
        row(9, 2),
        row(20, 21),
        row(21, 20),
        row(30, 77),
    ];
    let below = closure(&table, |stat| stat.pid.as_raw() == 9);
    assert_eq!(below, [false, true, true, true, false, false, false]);
    assert_eq!(closure(&[], |_| true), Vec::<bool>::new());
}

/// Starts a script with a token; it says a word per line when it is ready.
fn family(token: &str, script: &str) -> (Child, Vec<Pid>) {
    let words = ["sh", "-c", script].map(|word| CString::new(word).unwrap());
    let mut plan = Plan::new(words.to_vec());
    plan.env = vec![
        (OsString::from(TOKEN_VARIABLE), OsString::from(token)),
        (OsString::from("PATH"), OsString::from("/usr/bin:/bin")),
    ];
    let mut child = spawn(&plan).unwrap();
    let stdout = child.stdout.take().unwrap();
    nix::fcntl::fcntl(
        &stdout,
        nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty()),
    )
    .unwrap();
    // Lines are pids, up to a dot.
    let lines = BufReader::new(std::fs::File::from(stdout)).lines();
    let pids = lines
        .map(|line| line.unwrap())
        .take_while(|line| line != ".")
        .map(|line| Pid::from_raw(line.trim().parse().unwrap()))
        .collect();
    (child, pids)
}

fn target<'a>(child: &Child, token: &'a str, remembered: &'a [Member]) -> Target<'a> {
    Target {
        leader: child.pid,
        leader_starttime: None,
        token,
        remembered,
    }
}

fn pids(members: &[Member]) -> Vec<Pid> {
    members.iter().map(|member| member.pid).collect()
}

fn ended(pidfd: &std::os::fd::OwnedFd) {
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut fds, PollTimeout::from(20_000_u16)), Ok(1));
}

/// Kills until nobody is left, as the supervisor does; then reaps the leader.
fn sweep(walk: &mut Descendants, child: &Child, token: &str, remembered: &[Member]) {
    loop {
        let members = walk.members(&target(child, token, remembered));
        if members.is_empty() {
            break;
        }
        let handles: Vec<_> = members
            .iter()
            .filter_map(|m| pidfd::open(m.pid).ok())
            .collect();
        let _ = walk.kill(&members, libc::SIGKILL);
        handles.iter().for_each(ended);
    }
    ended(child.pidfd.as_ref().unwrap());
    assert!(Reaper::new().reap(child.pid).is_some());
}

/// Orphans come to this process, as they do to podvisor.
fn adopt() {
    assert!(crate::process::become_subreaper());
}

/// Two daemons whose parents have gone: one in a session of its own, one in the leader's. Both have
/// said their pid by the time of the dot.
const DAEMONS: &str = "{ (setsid sh -c 'echo $$; exec sleep 60' &); \
                         (sh -c 'echo $$; exec sleep 60' &); } \
                       | { read a; read b; echo $a; echo $b; echo .; cat; }";

#[test]
fn a_daemon_outside_of_the_session_is_found_by_its_token() {
    adopt();
    let token = "test-daemon-7f3a";
    let (child, daemons) = family(token, DAEMONS);
    assert_eq!(daemons.len(), 2);
    let mut walk = Descendants::new();
    let members = walk.members(&target(&child, token, &[]));
    let found = pids(&members);
    assert!(found.contains(&child.pid));
    assert!(
        daemons.iter().all(|pid| found.contains(pid)),
        "{found:?} {daemons:?}"
    );
    assert!(walk.all().iter().any(|member| member.pid == daemons[0]));

    // Without the token only those in the session, or known from before.
    let other = walk.members(&target(&child, "", &[]));
    let outside = daemons.iter().filter(|pid| !pids(&other).contains(pid));
    assert_eq!(outside.count(), 1);
    let remembered = pids(&walk.members(&target(&child, "", &members)));
    assert!(daemons.iter().all(|pid| remembered.contains(pid)));

    // Another run's target finds none of them but by descent.
    let stranger = Target {
        leader: Pid::from_raw(i32::MAX),
        leader_starttime: None,
        token: "another",
        remembered: &[],
    };
    assert_eq!(walk.members(&stranger), []);

    sweep(&mut walk, &child, token, &members);
    for pid in daemons {
        reap_adopted(pid);
    }
}

/// An adopted child is a zombie until somebody waits; it may also not have been ours.
fn reap_adopted(pid: Pid) {
    let _ = Reaper::new().reap(pid);
}

#[test]
fn a_reused_number_is_left_alone() {
    let (child, _) = family("test-reuse-11c9", "echo .; exec sleep 60");
    let mut walk = Descendants::new();
    let starttime = walk.starttime(child.pid).unwrap();
    let mut wrong = Member {
        pid: child.pid,
        starttime: starttime + 1,
        comm: String::new(),
    };
    let result = walk.kill(std::slice::from_ref(&wrong), libc::SIGKILL);
    assert_eq!((result.sent, result.gone), (0, 1));
    assert_eq!(Reaper::new().reap(child.pid), None);
    // As a target: the number is another's now, and so is its session.
    let reused = Target {
        leader: child.pid,
        leader_starttime: Some(starttime + 1),
        token: "",
        remembered: std::slice::from_ref(&wrong),
    };
    assert_eq!(walk.members(&reused), []);
    wrong.starttime = starttime;
    let result = walk.kill(&[wrong], libc::SIGKILL);
    assert_eq!((result.sent, result.gone), (1, 0));
    ended(child.pidfd.as_ref().unwrap());
    // A zombie is no live member.
    assert_eq!(walk.members(&target(&child, "", &[])), []);
    assert!(Reaper::new().reap(child.pid).is_some());
}

#[test]
fn podvisor_never_signals_itself() {
    let own = nix::unistd::getpid();
    let mut walk = Descendants::new();
    let member = Member {
        pid: own,
        starttime: walk.starttime(own).unwrap(),
        comm: String::new(),
    };
    let result = walk.kill(&[member], libc::SIGKILL);
    assert_eq!(result.refused, [(own, Errno::EINVAL)]);
}
