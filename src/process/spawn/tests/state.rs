//! What a child finds: signals, descriptors, session, user, capabilities, limits, environment.

use crate::process::capabilities::{Capabilities, Set};
use crate::process::limits::{self, Limit};

use super::*;

#[test]
fn mask_and_dispositions_are_clean() {
    use nix::sys::signal::{SigHandler, Signal, signal};
    // SAFETY: ignoring a signal installs no handler. Rust itself ignores SIGPIPE.
    unsafe { signal(Signal::SIGUSR1, SigHandler::SigIgn) }.unwrap();
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGTERM);
    let before = blocked.thread_swap_mask(SigmaskHow::SIG_BLOCK).unwrap();
    let status = output(&plan(&["cat", "/proc/self/status"]));
    let after = SigSet::thread_get_mask().unwrap();
    before.thread_set_mask().unwrap();
    assert!(
        after.contains(Signal::SIGTERM),
        "the parent's mask is restored"
    );
    for key in ["SigBlk", "SigIgn", "SigCgt"] {
        assert_eq!(status_line(&status, key), "0".repeat(16), "{key}");
    }
}

#[test]
fn no_descriptor_leaks() {
    let _ = crate::process::raise_nofile();
    let null = std::fs::File::open("/dev/null").unwrap();
    // Without close-on-exec, as a library might open them; one far up.
    let mut leaky = Vec::new();
    for least in (0..2000).map(|_| 3).chain([5000]) {
        let fd = fcntl(&null, FcntlArg::F_DUPFD(least)).unwrap();
        // SAFETY: just made, and nobody else's.
        leaky.push(unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd) });
    }
    let open = output(&plan(&["ls", "/proc/self/fd"]));
    // The fourth is the directory that ls reads.
    assert_eq!(
        open.split_whitespace().collect::<Vec<_>>(),
        ["0", "1", "2", "3"]
    );
}

#[test]
fn extra_descriptors_keep_their_numbers_through_collisions() {
    let file = |text: &str| {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        OwnedFd::from(file)
    };
    let (first, second) = (file("first"), file("second"));
    let (a, b) = (first.as_raw_fd(), second.as_raw_fd());
    // Each one's target is the other's source.
    let mut plan = sh(&format!(
        "cat /proc/self/fd/{a} /proc/self/fd/{b}; ls /proc/self/fd"
    ));
    plan.extra_fds = vec![(b, first), (a, second)];
    let text = output(&plan);
    let rest = text.strip_prefix("secondfirst").unwrap();
    assert_eq!(rest.split_whitespace().count(), 6, "{rest}");
}

#[test]
fn a_session_or_a_group_of_its_own() {
    let fields = |plan: &Plan| -> Vec<i32> {
        let child = spawn(plan).unwrap();
        let pid = child.pid.as_raw();
        let line = finish(child).stdout;
        let words = line.split_whitespace().map(|word| word.parse().unwrap());
        [pid].into_iter().chain(words).collect()
    };
    // Own pid, group, session.
    let script = "set -- $(cat /proc/$$/stat); echo $1 $5 $6";
    let new = fields(&sh(script));
    assert!(new.iter().all(|number| *number == new[0]), "{new:?}");
    let own = nix::unistd::getsid(None).unwrap().as_raw();
    let mut plan = sh(script);
    plan.session = Session::Group;
    let group = fields(&plan);
    assert_eq!(group, [group[0], group[0], group[0], own]);
}

#[test]
fn foreground_takes_the_terminal_if_there_is_one() {
    // Field 8: the foreground group of the process's terminal, -1 without one.
    let mut plan = sh("set -- $(cat /proc/$$/stat); echo $1 $5 $8");
    plan.session = Session::Foreground;
    let before = crate::process::terminal::Foreground::of_stdin();
    let line = output(&plan);
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[0], words[1]);
    if let Some(before) = before {
        before.restore().unwrap();
        assert_eq!(words[0], words[2]);
    }
}

#[test]
fn stdin_is_empty() {
    assert_eq!(output(&plan(&["cat"])), "");
    assert_eq!(
        output(&plan(&["readlink", "/proc/self/fd/0"])),
        "/dev/null\n"
    );
}

#[test]
fn pipes_hold_much_and_only_our_end_does_not_block() {
    let child = spawn(&sh("cat /proc/self/fdinfo/1 >&2")).unwrap();
    let stdout = child.stdout.as_ref().unwrap();
    let size = fcntl(stdout, FcntlArg::F_GETPIPE_SZ).unwrap();
    assert!(size >= 4096);
    if is_root() {
        assert_eq!(size, PIPE_BYTES);
    }
    let flags = OFlag::from_bits_retain(fcntl(stdout, FcntlArg::F_GETFL).unwrap());
    assert!(flags.contains(OFlag::O_NONBLOCK));
    let theirs = status_line(&finish(child).stderr, "flags");
    let theirs = OFlag::from_bits_retain(i32::from_str_radix(&theirs, 8).unwrap());
    assert!(!theirs.contains(OFlag::O_NONBLOCK));
}

#[test]
fn becomes_another_user_with_its_groups() {
    let mut credentials = other_user();
    if is_root() {
        credentials.groups.push(777);
    }
    let (uid, gid) = (credentials.uid, credentials.gid);
    let mut plan = plan(&["cat", "/proc/self/status"]);
    plan.credentials = Some(credentials);
    let status = output(&plan);
    assert_eq!(
        status_line(&status, "Uid"),
        [uid; 4].map(|id| id.to_string()).join("\t")
    );
    assert_eq!(
        status_line(&status, "Gid"),
        [gid; 4].map(|id| id.to_string()).join("\t")
    );
    if is_root() {
        assert_eq!(status_line(&status, "Groups"), "777 23456");
        assert_eq!(status_line(&status, "CapEff"), "0".repeat(16));
    }
}

#[test]
fn another_user_is_refused_without_privilege() {
    if is_root() {
        return;
    }
    let mut plan = plan(&["true"]);
    plan.credentials = Some(numeric("12345:12345"));
    assert_eq!(failure(&plan).1, Errno::EPERM);
}

#[test]
fn dropped_user_can_open_dev_stdout() {
    let mut plan = sh("echo out > /dev/stdout; echo err > /dev/stderr");
    plan.credentials = Some(other_user());
    let outcome = finish(spawn(&plan).unwrap());
    assert_eq!(outcome.ended, Ended::Exited(0), "{}", outcome.stderr);
    assert_eq!(
        (outcome.stdout.as_str(), outcome.stderr.as_str()),
        ("out\n", "err\n")
    );
}

#[test]
fn capabilities_are_dropped_and_kept() {
    let mut plan = plan(&["cat", "/proc/self/status"]);
    plan.capabilities.drop = Set::ALL;
    plan.no_new_privs = true;
    let status = output(&plan);
    assert_eq!(status_line(&status, "CapEff"), "0".repeat(16));
    if !is_root() {
        return;
    }
    assert_eq!(status_line(&status, "CapBnd"), "0".repeat(16));
    // One kept across the change of user.
    plan.capabilities.add = Set::from_name("NET_BIND_SERVICE").unwrap();
    for credentials in [None, Some(other_user())] {
        plan.credentials = credentials;
        let status = output(&plan);
        for key in ["CapBnd", "CapEff", "CapPrm", "CapAmb"] {
            assert_eq!(status_line(&status, key), "0000000000000400", "{key}");
        }
    }
    // One dropped, the rest as it was.
    plan.credentials = None;
    plan.capabilities = Capabilities {
        drop: Set::from_name("KILL").unwrap(),
        add: Set::NONE,
    };
    let status = output(&plan);
    let effective = u64::from_str_radix(&status_line(&status, "CapEff"), 16).unwrap();
    assert!(effective & (1 << 5) == 0 && effective & 1 == 1);
}

#[test]
fn no_new_privs_is_set_only_when_asked_for() {
    let mut plan = plan(&["cat", "/proc/self/status"]);
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let before = status_line(&own, "NoNewPrivs");
    assert_eq!(status_line(&output(&plan), "NoNewPrivs"), before);
    plan.no_new_privs = true;
    assert_eq!(status_line(&output(&plan), "NoNewPrivs"), "1");
}

#[test]
fn limits_umask_nice_and_oom_score() {
    let mut plan = sh("ulimit -n; ulimit -c; umask; cat /proc/self/oom_score_adj; nice");
    plan.limits = vec![Limit {
        resource: limits::Resource::from_name("core").unwrap(),
        soft: 0,
        hard: None,
    }];
    plan.nofile_soft = 99;
    plan.umask = Some(0o027);
    plan.oom_score_adj = Some(900);
    plan.nice = Some(19);
    assert_eq!(output(&plan), "99\n0\n0027\n900\n19\n");
}

#[test]
fn what_is_not_permitted_is_named() {
    if is_root() {
        let mut plan = plan(&["true"]);
        plan.oom_score_adj = Some(5000);
        assert_eq!(failure(&plan), (Step::OomScore, Errno::EINVAL));
        plan.oom_score_adj = None;
        plan.limits = vec![Limit {
            resource: limits::Resource::NOFILE,
            soft: 10,
            hard: Some(5),
        }];
        assert_eq!(failure(&plan), (Step::Limits, Errno::EINVAL));
    } else {
        let mut plan = plan(&["true"]);
        plan.nice = Some(-20);
        assert_eq!(failure(&plan).0, Step::Nice);
    }
}

#[test]
fn the_environment_is_exactly_the_planned_one() {
    let mut plan = plan(&["env"]);
    plan.env.push(("EMPTY".into(), "".into()));
    plan.env.push(("EQUALS".into(), "a=b\nc".into()));
    let all = output(&plan);
    assert!(all.ends_with("EMPTY=\nEQUALS=a=b\nc\n"), "{all}");
    assert_eq!(all.lines().count(), 4);
}

#[test]
fn a_forking_thread_that_ends_takes_its_child_along_only_when_asked() {
    // The death signal fires at the end of the forking *thread* (prctl(2)).
    let start = |death_signal| {
        let thread = std::thread::spawn(move || {
            let mut plan = plan(&["sleep", "60"]);
            plan.parent_death_signal = death_signal;
            let mut child = spawn(&plan).unwrap();
            wait(&child.report);
            assert_eq!(child.report.try_read(), Report::ExecOk);
            child
        });
        thread.join().unwrap()
    };
    let killed = Ended::Signaled {
        signal: libc::SIGKILL,
        core: false,
    };
    assert_eq!(finish(start(true)).ended, killed);
    let lasting = start(false);
    assert_eq!(Reaper::new().reap(lasting.pid), None);
    crate::process::signals::kill_leader_and_group(lasting.pid, None, libc::SIGTERM).unwrap();
    let ended = finish(lasting).ended;
    let core = false;
    assert_eq!(
        ended,
        Ended::Signaled {
            signal: libc::SIGTERM,
            core
        }
    );
}
