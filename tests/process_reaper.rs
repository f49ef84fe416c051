//! The reaper waits for every child of its process, so it has a process of its own: one test here,
//! and never a second one beside it.
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may panic as the test may"
)]

use std::collections::HashSet;
use std::ffi::{CString, OsString};
use std::time::{Duration, Instant};

use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use podvisor::process::descendants::Descendants;
use podvisor::process::plan::{Output, Plan};
use podvisor::process::reaper::{Ended, PER_TURN, Reaper};
use podvisor::process::report::Report;
use podvisor::process::spawn::{Child, spawn};
use podvisor::process::{become_subreaper, descendants};

fn start(script: &str) -> Child {
    let words = ["/bin/sh", "-c", script].map(|word| CString::new(word).unwrap());
    let mut plan = Plan::new(words.to_vec());
    plan.env = vec![
        (OsString::from("PATH"), OsString::from("/usr/bin:/bin")),
        (descendants::TOKEN_VARIABLE.into(), OsString::from("one")),
    ];
    plan.output = Output::Inherit;
    spawn(&plan).unwrap()
}

/// Waits until a child is a zombie, and leaves it one.
fn until_zombie(pid: Pid) {
    waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
}

/// Reaps everything there is, in turns of a bound.
fn reap_all(reaper: &mut Reaper, bound: usize) -> Vec<(Pid, Ended)> {
    let mut all = Vec::new();
    loop {
        let turn = reaper.drain(bound, |zombie| {
            let pid = zombie.pid();
            let (ended, _) = zombie.reap().unwrap();
            all.push((pid, ended));
        });
        assert!(turn.seen <= bound);
        if !turn.more {
            return all;
        }
    }
}

fn burst_is_reaped_in_turns(reaper: &mut Reaper, count: usize) {
    let mut forked = Vec::with_capacity(count);
    for at in 0..count {
        #[expect(unsafe_code, reason = "thousands of children, faster than any command")]
        // SAFETY: the child does nothing but _exit(2).
        let pid = unsafe {
            match libc::fork() {
                0 => libc::_exit(i32::try_from(at % 200).unwrap_or(0)),
                pid => pid,
            }
        };
        assert!(pid > 0);
        forked.push(Pid::from_raw(pid));
    }
    forked.iter().copied().for_each(until_zombie);
    let begin = Instant::now();
    let reaped = reap_all(reaper, PER_TURN);
    let took = begin.elapsed();
    println!("{count} zombies reaped in {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    let seen: HashSet<Pid> = reaped.iter().map(|(pid, _)| *pid).collect();
    assert_eq!((seen.len(), reaped.len()), (count, count));
    for (at, pid) in forked.iter().enumerate() {
        let code = i32::try_from(at % 200).unwrap();
        assert!(seen.contains(pid));
        assert!(reaped.contains(&(*pid, Ended::Exited(code))) || count > 1000);
    }
}

fn peek_shows_the_same_until_it_is_reaped(reaper: &mut Reaper) {
    assert_eq!(reaper.peek(), None);
    let child = start("exit 7");
    until_zombie(child.pid);
    assert_eq!(reaper.peek(), Some(child.pid));
    assert_eq!(reaper.peek(), Some(child.pid));
    let (ended, usage) = reaper.reap(child.pid).unwrap();
    assert_eq!(ended, Ended::Exited(7));
    assert!(usage.max_rss_bytes > 0 && usage.minor_faults > 0);
    assert_eq!(reaper.peek(), None);
    assert_eq!(reaper.reap(child.pid), None);
}

fn a_zombie_that_is_dropped_is_reaped(reaper: &mut Reaper) {
    let children = [start("exit 1"), start("kill -9 $$")];
    children.iter().for_each(|child| until_zombie(child.pid));
    let turn = reaper.drain(10, drop);
    assert_eq!((turn.seen, turn.more), (2, false));
    assert_eq!(reaper.peek(), None);
}

fn orphans_are_adopted_found_and_reaped(reaper: &mut Reaper) {
    assert!(become_subreaper());
    let mut walk = Descendants::new();
    assert!(
        !walk.has_adopted(|_| false),
        "nobody was forked by the main thread"
    );
    // The parent ends as soon as the daemon is on its way.
    let mut leader = start("setsid sleep 60 >/dev/null 2>&1 & exit 0");
    until_zombie(leader.pid);
    assert_eq!(leader.report.try_read(), Report::ExecOk);
    assert!(walk.has_adopted(|pid| pid == leader.pid));
    let of = descendants::Target {
        leader: leader.pid,
        leader_starttime: walk.starttime(leader.pid),
        token: "one",
        remembered: &[],
    };
    let members = walk.members(&of);
    assert_eq!(members.len(), 1, "{members:?}");
    assert_eq!(walk.all(), members);
    assert!(reaper.reap(leader.pid).is_some());
    // Its leader's number is free now; it is found all the same.
    let members = walk.members(&of);
    let killed = walk.kill(&members, libc::SIGKILL);
    assert_eq!(killed.sent, 1);
    until_zombie(members[0].pid);
    assert_eq!(walk.members(&of), []);
    let ended = reap_all(reaper, 1);
    let signal = libc::SIGKILL;
    assert_eq!(
        ended,
        [(
            members[0].pid,
            Ended::Signaled {
                signal,
                core: false
            }
        )]
    );
    assert!(!walk.has_adopted(|_| false));
}

fn a_walk_over_a_thousand_is_quick(reaper: &mut Reaper) {
    let count = 1000;
    let pids: Vec<Pid> = (0..count)
        .map(|_| {
            #[expect(unsafe_code, reason = "a thousand children, faster than any command")]
            // SAFETY: the child makes system calls only.
            let pid = unsafe {
                match libc::fork() {
                    0 => {
                        // Not for ever, should the test fail.
                        libc::alarm(60);
                        loop {
                            libc::pause();
                        }
                    }
                    pid => pid,
                }
            };
            Pid::from_raw(pid)
        })
        .collect();
    let mut walk = Descendants::new();
    assert_eq!(walk.all().len(), count);
    let begin = Instant::now();
    let all = walk.all();
    println!("two walks over {count}: {:?}", begin.elapsed());
    let begin = Instant::now();
    let of = descendants::Target {
        leader: pids[0],
        leader_starttime: None,
        token: "none",
        remembered: &[],
    };
    assert_eq!(walk.members(&of).len(), 1);
    println!("two walks with environments: {:?}", begin.elapsed());
    let begin = Instant::now();
    let killed = walk.kill(&all, libc::SIGKILL);
    println!("{} signals: {:?}", killed.sent, begin.elapsed());
    assert_eq!(killed.sent, count);
    pids.into_iter().for_each(until_zombie);
    assert_eq!(reap_all(reaper, 4096).len(), count);
    assert_eq!(walk.all(), []);
}

fn spawning_is_quick(reaper: &mut Reaper) {
    let mut times = Vec::new();
    for _ in 0..200 {
        let words = vec![CString::new("/bin/true").unwrap()];
        let plan = Plan::new(words);
        let begin = Instant::now();
        let child = spawn(&plan).unwrap();
        times.push(begin.elapsed());
        until_zombie(child.pid);
        let _ = reaper.reap(child.pid);
    }
    times.sort_unstable();
    println!("spawn: p50 {:?}, p99 {:?}", times[100], times[197]);
}

#[test]
fn reaper_and_descendants_of_a_process_of_their_own() {
    let mut reaper = Reaper::new();
    peek_shows_the_same_until_it_is_reaped(&mut reaper);
    a_zombie_that_is_dropped_is_reaped(&mut reaper);
    orphans_are_adopted_found_and_reaped(&mut reaper);
    burst_is_reaped_in_turns(&mut reaper, 600);
    burst_is_reaped_in_turns(&mut reaper, 10_000);
    a_walk_over_a_thousand_is_quick(&mut reaper);
    spawning_is_quick(&mut reaper);
}
