//! No allocation per line: counted over the whole process while 100,000 lines pass through, to the console and
//! up to the packer.
//!
//! A binary of its own with one test, because the counter sees every thread.
#![allow(unsafe_code, clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use podvisor::config::logs::WhenFull;
use podvisor::logs::{
    Config, Format, LogPlane, ServiceId, ServiceOptions, ServiceSpec, Source, Stream, Tap,
};
use podvisor::ship::arena::Shelf;
use podvisor::ship::counters::{Cell, ShipCounters};
use podvisor::ship::encoder::Encoder;
use podvisor::ship::event::{self, Pipeline};
use podvisor::ship::flow::Flow;
use podvisor::ship::identity::Identity;
use podvisor::ship::intake::{Intake, Service};
use podvisor::ship::pack::Job;
use podvisor::ship::parcel::{Budget, Codec, Encoding, Form};
use podvisor::ship::plan::LanePlan;

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

/// The log path up to the packer, with one lane of each encoding; what a packer would do is done by giving arenas back.
fn intake() -> Box<dyn Tap> {
    let (identity, _) = Identity::from_env("host", 1, |_| None);
    let lanes = [Encoding::Ndjson, Encoding::Otlp].into_iter().enumerate();
    let lanes = lanes.map(|(index, encoding)| {
        let plan = LanePlan {
            index,
            form: Form {
                encoding,
                codec: Codec::Gzip,
            },
            level: None,
            max_age: Duration::from_secs(1),
            max_records: 4096,
            max_bytes: 256 * 1024,
            max_line: usize::MAX,
        };
        (plan, Encoder::new(encoding, &identity))
    });
    let service = |name: &str| Service {
        name: Arc::from(name),
        labels: BTreeMap::from([("team".to_owned(), "shop".to_owned())]),
        executable: Some("web".to_owned()),
        pipeline: Pipeline::new(ServiceId(1), event::Options::default()),
        when_full: WhenFull::DropOldest,
    };
    let flow = Flow::new(Budget::new(8 << 20));
    let counters = Arc::new(ShipCounters {
        services: vec![],
        own_records: Cell::default(),
        sinks: vec![],
        spool: None,
        budget: Arc::clone(&flow.budget),
    });
    let shelf = Arc::<Shelf>::default();
    let (jobs, todo) = std::sync::mpsc::sync_channel(4);
    let give_back = Arc::clone(&shelf);
    std::thread::spawn(move || {
        for job in todo {
            if let Job::Load(load) = job {
                give_back.give(load.arena);
            }
        }
    });
    Box::new(Intake::new(
        vec![service("none"), service("web")],
        lanes.collect(),
        jobs,
        shelf,
        flow,
        counters,
    ))
}

/// Writes `LINES` lines, `per_write` of them at a time, and returns the allocations they cost.
fn pass(format: Format, line: &str, per_write: usize, taps: Vec<Box<dyn Tap>>) -> u64 {
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
        taps,
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
    let text = line.repeat(per_write);
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

const TEXT: &str = "GET /index.html 200 \"quoted\" \x1b[32mgreen\x1b[0m some more text to read\n";
const JSON: &str = "{\"ts\":1790000000.123,\"level\":\"info\",\"msg\":\"order created\",\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\"}\n";

fn check(what: &str, count: u64) {
    println!("{what}: {count} allocations");
    assert!(count < LINES as u64 / 200, "{what}: {count} allocations");
}

#[test]
fn a_line_costs_no_allocation() {
    for format in [Format::Raw, Format::Prefixed, Format::Json] {
        for per_write in [1, 500] {
            let count = pass(format, TEXT, per_write, vec![]);
            check(&format!("{format:?}, {per_write} lines a write"), count);
        }
    }
    for (what, line) in [("text", TEXT), ("JSON", JSON)] {
        let count = pass(Format::None, line, 500, vec![intake()]);
        check(&format!("{what}, encoded for two sinks"), count);
    }
}
