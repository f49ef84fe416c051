//! The own log as a whole, over real pipes.

use super::line;
use super::own_log::*;
use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant};
use tracing::{debug, error, info, subscriber::with_default};

/// Runs `f` under a log of its own; what was written, and whether the filter was bad.
fn logged(filter: Option<&str>, f: impl FnOnce(&OwnLog)) -> (String, Option<String>) {
    let (r, w) = nix::unistd::pipe().unwrap();
    let reader = std::thread::spawn(move || {
        let mut all = String::new();
        File::from(r).read_to_string(&mut all).unwrap();
        all
    });
    let filter = filter.map(Into::into);
    let (subscriber, log, problem) = build(Options {
        filter,
        colour: false,
        fd: w,
    })
    .unwrap();
    with_default(subscriber, || f(&log));
    (reader.join().unwrap(), problem)
}

#[test]
fn one_line_per_fact() {
    let (all, problem) = logged(None, |_| {
        info!(name = "web", pid = 12, why = %"exit code 3", empty = "", "service\nended");
        debug!("unseen");
        error!(target: "h2::client", list = ?["a b"], "lost");
    });
    assert!(problem.is_none());
    let lines: Vec<&str> = all.lines().collect();
    let (stamp, text) = lines[0].split_once(' ').unwrap();
    assert!(stamp.ends_with('Z') && stamp.len() == 24, "{stamp}");
    stamp.parse::<jiff::Timestamp>().unwrap();
    let want = r#"podvisor: info service\nended name=web pid=12 why="exit code 3" empty="""#;
    assert_eq!(text, want);
    assert!(lines[1].ends_with(r#"podvisor: error lost list="[\"a b\"]" target=h2::client"#));
    assert_eq!(lines.len(), 2);
}

#[test]
fn debug_comes_and_goes() {
    let (all, _) = logged(Some("warn"), |log| {
        info!("one");
        assert!(log.toggle_debug());
        debug!("two");
        assert!(!log.toggle_debug());
        debug!("three");
        assert!(log.flush(Duration::from_secs(20)));
    });
    assert_eq!(all.lines().count(), 1);
    assert!(all.contains("debug two"));
}

#[test]
fn a_bad_filter_is_no_failure() {
    let (all, problem) = logged(Some("podvisor=loud"), |_| info!("still here"));
    assert!(problem.is_some() && all.contains("still here"));
}

#[test]
fn a_storm_is_cut_and_counted() {
    let (all, _) = logged(None, |log| {
        (0..5000).for_each(|n| info!(n, "storm"));
        assert!(log.suppressed() > 4000, "{}", log.suppressed());
        // The number is named without another message, once there is room.
        let end = Instant::now() + Duration::from_secs(20);
        while log.owes_report() && Instant::now() < end {
            std::thread::yield_now();
        }
    });
    assert!(
        all.contains("messages suppressed by the rate limit"),
        "{all}"
    );
    assert!(all.lines().count() < 1000);
}

#[test]
fn a_long_message_is_one_piece() {
    let (all, _) = logged(None, |_| info!(long = "ü".repeat(9000), "big"));
    assert!(all.len() <= line::MAX_LINE && all.ends_with("...\n"));
}

#[test]
fn a_blocked_stderr_blocks_nobody() {
    let (r, w) = nix::unistd::pipe().unwrap();
    let (subscriber, log, _) = build(Options {
        filter: None,
        colour: false,
        fd: w,
    })
    .unwrap();
    with_default(subscriber, || {
        (0..90).for_each(|n| info!(n, long = "x".repeat(3000), "blocked"));
        assert!(log.dropped() > 0);
        assert!(!log.flush(Duration::from_millis(5)));
        let all = std::thread::spawn(move || {
            let mut all = String::new();
            File::from(r).read_to_string(&mut all).unwrap();
            all
        });
        assert!(log.flush(Duration::from_secs(20)));
        all
    })
    .join()
    .map(|all| assert!(all.contains("messages dropped: stderr was blocked")))
    .unwrap();
}
