//! The plane as a whole, over real pipes.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};

use super::*;

/// What a tap saw of one line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub service: u32,
    pub incarnation: u64,
    pub stream: Stream,
    pub seq: u64,
    pub text: Vec<u8>,
    pub partial: bool,
}

/// Collects lines and lets a test wait for them.
#[derive(Clone, Default)]
pub(super) struct Collector(pub Arc<(Mutex<Vec<Seen>>, Condvar)>);

impl Tap for Collector {
    fn chunk(&mut self, c: &Chunk<'_>) {
        let mut seen = self.0.0.lock().unwrap();
        seen.extend(c.iter().map(|l| Seen {
            service: c.service.0,
            incarnation: c.incarnation,
            stream: c.stream,
            seq: l.seq,
            text: l.text.to_vec(),
            partial: l.partial,
        }));
        self.0.1.notify_all();
    }
}

impl Collector {
    pub fn wait(&self, until: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let seen = self.0.0.lock().unwrap();
        let ten = Duration::from_secs(20);
        let (seen, timeout) = self
            .0
            .1
            .wait_timeout_while(seen, ten, |s| !until(s))
            .unwrap();
        assert!(!timeout.timed_out(), "{} lines", seen.len());
        seen.clone()
    }
}

pub(super) struct Bench {
    pub plane: LogPlane,
    pub events: mpsc::Receiver<LogEvent>,
    pub seen: Collector,
    pub console: Option<JoinHandle<Vec<u8>>>,
}

pub(super) fn spec(id: u32, name: &str) -> ServiceSpec {
    ServiceSpec {
        id: ServiceId(id),
        name: name.into(),
        options: ServiceOptions::default(),
    }
}

/// Services 1 `web` and 2 `db`, and a console that is read to its end.
pub(super) fn bench(format: Format) -> Bench {
    let (r, w) = pipe();
    let console = std::thread::spawn(move || {
        let mut all = Vec::new();
        File::from(r).read_to_end(&mut all).unwrap();
        all
    });
    Bench {
        console: Some(console),
        ..bench_on(format, w, Vec::new())
    }
}

pub(super) fn bench_on(format: Format, console: OwnedFd, mut taps: Vec<Box<dyn Tap>>) -> Bench {
    let seen = Collector::default();
    taps.push(Box::new(seen.clone()));
    let services = vec![spec(1, "web"), spec(2, "db")];
    let config = Config {
        services,
        format,
        colour: false,
        console,
        console_err: None,
        taps,
    };
    let (plane, events) = LogPlane::start(config).unwrap();
    Bench {
        plane,
        events,
        seen,
        console: None,
    }
}

pub(super) fn pipe() -> (OwnedFd, OwnedFd) {
    nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap()
}

impl Bench {
    pub fn attach(&self, id: u32, incarnation: u64, watches: Vec<(u32, Regex)>) -> [File; 2] {
        let ((out_r, out_w), (err_r, err_w)) = (pipe(), pipe());
        let source = Source {
            service: ServiceId(id),
            incarnation,
            pid: 1,
            stdout: out_r,
            stderr: err_r,
            watches,
        };
        self.plane.attach(source).unwrap();
        [out_w.into(), err_w.into()]
    }

    pub fn drain(&self, within: Duration) -> DrainReport {
        block_on(self.plane.drain(Instant::now() + within))
    }

    pub fn service(&self, id: u32) -> Arc<ServiceLog> {
        let services = self.plane.services();
        Arc::clone(services.iter().find(|s| s.id().0 == id).unwrap())
    }

    /// Ends the plane; what the console got.
    pub fn end(mut self) -> Vec<u8> {
        let console = self.console.take().unwrap();
        drop(self);
        console.join().unwrap()
    }
}

pub(super) fn block_on<F: Future>(f: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(f)
}

pub(super) const LONG: Duration = Duration::from_secs(20);

#[test]
fn lines_reach_everybody_as_they_were() {
    let b = bench(Format::Raw);
    let [mut out, err] = b.attach(1, 5, vec![]);
    let data = b"a\r\n\xff\xfe\0\n\n50%\r99%\nno newline";
    out.write_all(data).unwrap();
    drop((out, err));
    let report = b.drain(LONG);
    assert!(report.pipes_drained && report.console_written && report.open_pipes == 0);
    let texts: Vec<Vec<u8>> = b
        .plane
        .tail(ServiceId(1), 99)
        .into_iter()
        .map(|l| l.text)
        .collect();
    let want: [&[u8]; 5] = [b"a", b"\xff\xfe\0", b"", b"50%\r99%", b"no newline"];
    assert_eq!(texts, want);
    let seen = b.seen.wait(|s| s.len() == 5);
    assert_eq!(
        seen.iter().map(|s| s.text.as_slice()).collect::<Vec<_>>(),
        want
    );
    assert!(
        seen.iter()
            .all(|s| (s.service, s.incarnation, s.stream) == (1, 5, Stream::Stdout))
    );
    let s = b.service(1);
    assert_eq!(s.counters().lines(Stream::Stdout).get(), 5);
    assert_eq!(s.counters().bytes(Stream::Stdout).get(), data.len() as u64);
    assert!(s.counters().last_line_ns.get() > 1_600_000_000_000_000_000);
    assert_eq!(b.end(), data);
}

#[test]
fn numbers_have_no_gaps_across_streams_and_starts() {
    let b = bench(Format::None);
    for incarnation in 1..=3 {
        let [mut out, mut err] = b.attach(1, incarnation, vec![]);
        for _ in 0..50 {
            out.write_all(b"o\n").unwrap();
            err.write_all(b"e\n").unwrap();
        }
    }
    let seen = b.seen.wait(|s| s.len() == 300);
    assert!(seen.iter().zip(0..).all(|(s, n)| s.seq == n));
    assert_eq!(
        b.plane
            .since(ServiceId(1), 290, 5)
            .iter()
            .map(|l| l.seq)
            .max(),
        Some(294)
    );
}

#[test]
fn ten_mebibytes_without_a_newline() {
    let b = bench(Format::Raw);
    let [mut out, err] = b.attach(1, 1, vec![]);
    let mut data = vec![b'x'; 10 << 20];
    data.extend_from_slice(b"\nnext\n");
    out.write_all(&data).unwrap();
    drop((out, err));
    assert!(b.drain(LONG).console_written);
    let c = Arc::clone(b.service(1).counters());
    assert_eq!((c.lines(Stream::Stdout).get(), c.truncated.get()), (41, 1));
    let seen = b.seen.wait(|s| s.len() == 41);
    assert_eq!(seen.iter().filter(|s| s.partial).count(), 39);
    let lost = c.console_dropped.get();
    let console = b.end();
    assert!(
        console == data || lost > 0,
        "{} bytes, {lost} lost",
        console.len()
    );
}

#[test]
fn a_held_pipe_delays_by_its_silence_only() {
    let b = bench(Format::Raw);
    let [mut out, err] = b.attach(1, 1, vec![]);
    let grandchild = out.try_clone().unwrap();
    out.write_all(b"a\nunfinished").unwrap();
    drop((out, err));
    let report = b.drain(LONG);
    assert_eq!(
        report,
        DrainReport {
            open_pipes: 1,
            pipes_drained: true,
            console_written: true
        }
    );
    assert_eq!(b.plane.tail(ServiceId(1), 1)[0].text, b"unfinished");
    drop(grandchild);
    assert_eq!(b.drain(LONG).open_pipes, 0);
    assert_eq!(b.end(), b"a\nunfinished");
}

#[test]
fn a_flood_neither_starves_a_quiet_service_nor_the_drain() {
    let b = bench(Format::None);
    let [mut flood, _err] = b.attach(1, 1, vec![]);
    let [mut quiet, _err2] = b.attach(2, 1, vec![]);
    let stop = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&stop);
    let yes = std::thread::spawn(move || {
        let data = b"0123456789abcdef0123456789abcdef0123456789abcde\n".repeat(4096);
        while !theirs.load(Ordering::Relaxed) {
            flood.write_all(&data).unwrap();
        }
    });
    b.seen.wait(|s| s.len() > 1000);
    let before = b.service(1).counters().bytes(Stream::Stdout).get();
    quiet.write_all(b"hello\n").unwrap();
    // Only the end is looked at: the flood fills the collector while we wait.
    b.seen.wait(|s| s.iter().rev().any(|l| l.service == 2));
    let report = b.drain(Duration::from_millis(100));
    assert!(!report.pipes_drained, "{report:?}");
    assert!(b.service(1).counters().bytes(Stream::Stdout).get() > before);
    stop.store(true, Ordering::Relaxed);
    yes.join().unwrap();
}

#[test]
fn an_old_incarnation_keeps_its_pipe() {
    let b = bench(Format::None);
    let [mut old, _e] = b.attach(1, 1, vec![]);
    let [mut new, _e2] = b.attach(1, 2, vec![]);
    new.write_all(b"new\n").unwrap();
    b.seen.wait(|s| s.len() == 1);
    old.write_all(b"old\n").unwrap();
    let seen = b.seen.wait(|s| s.len() == 2);
    assert_eq!((seen[0].incarnation, seen[1].incarnation), (2, 1));
}

#[test]
fn patterns_match_once_and_none_is_missed() {
    let mut b = bench(Format::None);
    let regex = Regex::new("^ready on [0-9]+$").unwrap();
    // More than the event queue holds, so some have to wait.
    let watches = (0..400)
        .map(|n| (n, regex.clone()))
        .chain([(999, Regex::new("no").unwrap())]);
    let [mut out, mut err] = b.attach(1, 9, watches.collect());
    out.write_all(b"not ready on 80\n").unwrap();
    err.write_all(b"ready on 80\r\nready on 81\n").unwrap();
    b.seen.wait(|s| s.len() == 3);
    let mut probes = Vec::new();
    for _ in 0..401 {
        match b.events.blocking_recv().unwrap() {
            LogEvent::Matched {
                service: ServiceId(1),
                incarnation: 9,
                probe,
            } => {
                probes.push(probe);
            }
            other => panic!("{other:?}"),
        }
    }
    probes.sort_unstable();
    assert_eq!(probes, (0..400).chain([999]).collect::<Vec<_>>());
    drop((out, err));
    b.drain(LONG);
    assert!(b.events.try_recv().is_err());
}

#[test]
fn an_unknown_service_gives_its_pipes_back() {
    let b = bench(Format::None);
    let ((r, _w), (r2, _w2)) = (pipe(), pipe());
    let source = Source {
        service: ServiceId(77),
        incarnation: 1,
        pid: 1,
        stdout: r,
        stderr: r2,
        watches: vec![],
    };
    let Err(AttachError::Unknown(source)) = b.plane.attach(source) else {
        panic!()
    };
    b.plane.register(&[spec(77, "late")]);
    b.plane.attach(*source).unwrap();
    assert_eq!(b.plane.services().len(), 3);
    b.plane.retire(&[ServiceId(77)]);
    assert_eq!(b.plane.services().len(), 2);
}

#[test]
fn the_end_of_the_handle_ends_the_threads() {
    let b = bench(Format::Prefixed);
    let [mut out, _err] = b.attach(2, 1, vec![]);
    out.write_all(b"bye\n").unwrap();
    b.seen.wait(|s| s.len() == 1);
    assert_eq!(b.end(), b"db  | bye\n");
    // A pipe whose reader is gone reports an error, to a service as EPIPE.
    let mut fds = [PollFd::new(out.as_fd(), PollFlags::empty())];
    assert_eq!(poll(&mut fds, 20_000u16).unwrap(), 1);
    assert!(fds[0].revents().unwrap().contains(PollFlags::POLLERR));
}
