//! The console under trouble: blocked, gone, shared by services.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use super::counters::WriteError;
use super::tests::{LONG, bench, bench_on, pipe};
use super::*;

/// 8 MiB of numbered lines, far more than the console's queue holds.
const LINES: u64 = 80_000;

fn numbered(n: u64) -> String {
    format!("{n:07} {}\n", "x".repeat(92))
}

#[test]
fn a_blocked_console_loses_console_lines_only() {
    let (console, w) = pipe();
    let b = bench_on(Format::Prefixed, w, vec![]);
    let [mut out, err] = b.attach(1, 1, vec![]);
    for n in 0..LINES {
        out.write_all(numbered(n).as_bytes()).unwrap();
    }
    drop((out, err));
    // Nobody reads the console, and still every line is read, kept and passed on.
    b.seen.wait(|s| s.len() as u64 == LINES);
    let report = b.drain(Duration::from_millis(50));
    assert!(
        report.pipes_drained && !report.console_written,
        "{report:?}"
    );
    let tail = b.plane.tail(ServiceId(1), 1);
    assert_eq!(tail[0].text, numbered(LINES - 1).trim_end().as_bytes());
    let dropped = b.service(1).counters().console_dropped.get();
    assert!(dropped > LINES / 2, "{dropped}");

    // Somebody reads again: what was queued, then how many are missing, then what comes later.
    let [mut out, err] = b.attach(2, 1, vec![]);
    let reader = std::thread::spawn(move || {
        let mut all = String::new();
        File::from(console).read_to_string(&mut all).unwrap();
        all
    });
    assert!(b.drain(LONG).console_written);
    out.write_all(b"later\n").unwrap();
    drop((out, err));
    assert!(b.drain(LONG).console_written);
    drop(b);
    let all = reader.join().unwrap();
    let lines: Vec<&str> = all.lines().collect();
    let kept = (LINES - dropped) as usize;
    for (n, line) in lines[..kept].iter().enumerate() {
        assert_eq!(*line, format!("web | {}", numbered(n as u64).trim_end()));
    }
    let notice = format!("podvisor | {dropped} lines dropped here: the console was blocked");
    assert_eq!(lines[kept..], [notice.as_str(), "db  | later"]);
    assert!(
        all.len() < 2 * (console::QUEUE_HALF + (80 << 10)),
        "{}",
        all.len()
    );
}

#[test]
fn a_console_that_is_gone_is_counted() {
    let (r, w) = pipe();
    drop(r);
    let b = bench_on(Format::Raw, w, vec![]);
    let [mut out, err] = b.attach(1, 1, vec![]);
    out.write_all(b"a\nb\nc").unwrap();
    drop((out, err));
    assert!(b.drain(LONG).console_written);
    assert!(
        b.plane
            .console_counters()
            .write_errors(WriteError::Epipe)
            .get()
            > 0
    );
    assert_eq!(b.service(1).counters().console_dropped.get(), 3);
    assert_eq!(b.plane.tail(ServiceId(1), 9).len(), 3);
}

#[test]
fn a_full_disk_is_counted_to_each_service() {
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let b = bench_on(Format::Json, full.into(), vec![]);
    for (id, lines) in [(1, 2000), (2, 3)] {
        let [mut out, _err] = b.attach(id, 1, vec![]);
        for n in 0..lines {
            out.write_all(numbered(n).as_bytes()).unwrap();
        }
    }
    assert!(b.drain(LONG).console_written);
    assert!(
        b.plane
            .console_counters()
            .write_errors(WriteError::Enospc)
            .get()
            > 0
    );
    let lost = |id| b.service(id).counters().console_dropped.get();
    assert_eq!((lost(1), lost(2)), (2000, 3));
}

#[test]
fn raw_lines_of_two_services_are_not_glued() {
    let b = bench(Format::Raw);
    for (id, text) in [(1, "prompt: "), (1, "yes"), (2, "db\n"), (1, "web\n")] {
        let [mut out, err] = b.attach(id, 1, vec![]);
        out.write_all(text.as_bytes()).unwrap();
        drop((out, err));
        b.drain(LONG);
    }
    assert_eq!(
        String::from_utf8(b.end()).unwrap(),
        "prompt: yes\ndb\nweb\n"
    );
}

#[test]
fn a_long_line_stays_whole_beside_others() {
    let b = bench(Format::Prefixed);
    let [mut one, e1] = b.attach(1, 1, vec![]);
    let [mut two, e2] = b.attach(2, 1, vec![]);
    let long = "y".repeat(200_000);
    let body = format!("{long}\n");
    let writer = std::thread::spawn(move || {
        for _ in 0..3 {
            one.write_all(body.as_bytes()).unwrap();
        }
    });
    for _ in 0..500 {
        two.write_all(b"short\n").unwrap();
    }
    writer.join().unwrap();
    drop((two, e1, e2));
    assert!(b.drain(LONG).console_written);
    let web = b.service(1);
    let lost = web.counters().console_dropped.get();
    let all = String::from_utf8(b.end()).unwrap();
    for line in all.lines() {
        let whole = line == "db  | short" || line == format!("web | {long}");
        assert!(
            whole || line.starts_with("podvisor |"),
            "{} bytes",
            line.len()
        );
    }
    assert_eq!(
        all.lines().filter(|l| l.len() > 1000).count() as u64,
        3 - lost
    );
}

#[test]
fn json_on_the_console_is_strict() {
    let b = bench(Format::Json);
    let [mut out, mut err] = b.attach(1, 1, vec![]);
    out.write_all(b"\x1b[31m\"\\\xf0\x28\0\r\n").unwrap();
    err.write_all(b"e").unwrap();
    drop((out, err));
    b.drain(LONG);
    let all = String::from_utf8(b.end()).unwrap();
    let mut lines: Vec<serde_json::Value> = all
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    lines.sort_by_key(|l| l["stream"] == "stderr");
    assert_eq!(lines[0]["message"], "\u{1b}[31m\"\\\u{fffd}(\0");
    assert_eq!(
        (&lines[1]["message"], &lines[1]["service"]),
        (&"e".into(), &"web".into())
    );
}

#[test]
fn no_console_no_thread_no_wait() {
    let (console, w) = pipe();
    let b = bench_on(Format::None, w, vec![]);
    // The descriptor is not kept open for nothing.
    let mut nothing = Vec::new();
    File::from(console).read_to_end(&mut nothing).unwrap();
    assert!(nothing.is_empty());
    assert!(b.drain(LONG).console_written);
    let counters = Arc::clone(b.plane.console_counters());
    assert_eq!(counters.written_bytes.get(), 0);
}
