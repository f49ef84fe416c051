//! No allocation per line: counted over the whole process while 100,000 lines pass through.
//!
//! A binary of its own with one test, because the counter sees every thread.
#![allow(unsafe_code, clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use podvisor::logs::{
    Config, Format, LogPlane, ServiceId, ServiceOptions, ServiceSpec, Source, Stream,
};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: hands every call on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const LINES: usize = 100_000;

/// Writes `LINES` lines, `per_write` of them at a time, and returns the allocations they cost.
fn pass(format: Format, per_write: usize) -> u64 {
    let console: OwnedFd = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/null")
        .unwrap()
        .into();
    let spec = ServiceSpec {
        id: ServiceId(1),
        name: "web".into(),
        options: ServiceOptions::default(),
    };
    let config = Config {
        services: vec![spec],
        format,
        colour: true,
        console,
        console_err: None,
        taps: vec![],
    };
    let (plane, _events) = LogPlane::start(config).unwrap();
    let (stdout, out) = nix::unistd::pipe().unwrap();
    let (stderr, _err) = nix::unistd::pipe().unwrap();
    let source = Source {
        service: ServiceId(1),
        incarnation: 1,
        pid: 1,
        stdout,
        stderr,
        watches: vec![],
    };
    plane.attach(source).unwrap();
    let counters = Arc::clone(plane.services()[0].counters());
    let mut out = std::fs::File::from(out);
    let text = "GET /index.html 200 \"quoted\" \x1b[32mgreen\x1b[0m some more text to read\n"
        .repeat(per_write);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let mut written = 0;
    let mut run = |lines: usize| {
        for _ in 0..lines / per_write {
            out.write_all(text.as_bytes()).unwrap();
        }
        written += (lines / per_write * per_write) as u64;
        let end = Instant::now() + Duration::from_secs(60);
        while counters.lines(Stream::Stdout).get() < written {
            assert!(
                Instant::now() < end,
                "{} lines",
                counters.lines(Stream::Stdout).get()
            );
            std::thread::yield_now();
        }
        assert!(runtime.block_on(plane.drain(end)).console_written);
    };
    // Ring and queue grow to what they need.
    run(20_000);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    run(LINES);
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

#[test]
fn a_line_costs_no_allocation() {
    for format in [Format::Raw, Format::Prefixed, Format::Json] {
        for per_write in [1, 500] {
            let count = pass(format, per_write);
            println!("{format:?}, {per_write} lines a write: {count} allocations");
            assert!(
                count < LINES as u64 / 200,
                "{format:?} {per_write}: {count} allocations"
            );
        }
    }
}
