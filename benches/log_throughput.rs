//! How fast lines go from pipe to console, and what it costs. Measures, asserts nothing:
//! `cargo bench --bench log_throughput`.
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot do its part has failed"
)]

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use podvisor::logs::{
    Config, Format, LogPlane, ServiceId, ServiceOptions, ServiceSpec, Source, Stream,
};

fn cpu(who: UsageWho) -> Duration {
    let usage = getrusage(who).unwrap();
    let us = |t: TimeVal| t.num_microseconds() as u64;
    Duration::from_micros(us(usage.user_time()) + us(usage.system_time()))
}

fn measure(format: Format, per_write: usize, megabytes: usize) {
    let console = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/null")
        .unwrap()
        .into();
    let options = ServiceOptions::default();
    let spec = ServiceSpec {
        id: ServiceId(1),
        name: "web".into(),
        options,
    };
    let config = Config {
        services: vec![spec],
        format,
        colour: false,
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
    let mut lines = Vec::new();
    for n in 0..per_write {
        let text = format!("2026-11-23T10:20:30Z INFO request id={n} path=\"/api/v1/items\" ");
        lines.extend(
            text.bytes()
                .chain(b"x".repeat(162 - 1 - text.len()))
                .chain([b'\n']),
        );
    }
    let (start, cpu_before) = (Instant::now(), cpu(UsageWho::RUSAGE_SELF));
    let writer = std::thread::spawn(move || {
        let mut out = std::fs::File::from(out);
        for _ in 0..megabytes * 1_000_000 / lines.len() {
            out.write_all(&lines).unwrap();
        }
        cpu(UsageWho::RUSAGE_THREAD)
    });
    let writer_cpu = writer.join().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    drop(_err);
    runtime.block_on(plane.drain(Instant::now() + Duration::from_secs(60)));
    let (took, used) = (
        start.elapsed(),
        cpu(UsageWho::RUSAGE_SELF) - cpu_before - writer_cpu,
    );
    let service = Arc::clone(&plane.services()[0]);
    let gb = service.counters().bytes(Stream::Stdout).get() as f64 / 1e9;
    let dropped = &service.counters().console_dropped;
    println!(
        "{format:?}, {per_write:>3} lines a write: {:>5.0} MB/s, {:.2} CPU s/GB (writer {:.2}), {} of {} lines not on the console",
        gb * 1000.0 / took.as_secs_f64(),
        used.as_secs_f64() / gb,
        writer_cpu.as_secs_f64() / gb,
        dropped.get(),
        service.counters().lines(Stream::Stdout).get(),
    );
}

fn pipe_to_console() {
    for format in [Format::Raw, Format::Prefixed, Format::Json, Format::None] {
        measure(format, 400, 1000);
        measure(format, 1, 200);
    }
}

fn pss_kib() -> u64 {
    let all = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = all.lines().find(|l| l.starts_with("Pss:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn memory_of_fifty_services() {
    let before = pss_kib();
    let console = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/null")
        .unwrap()
        .into();
    let ring_bytes = podvisor::logs::ring::fair_ring_bytes(50);
    let options = ServiceOptions {
        ring_bytes,
        ..ServiceOptions::default()
    };
    let services = (0..50)
        .map(|n| ServiceSpec {
            id: ServiceId(n),
            name: format!("service-{n}").into(),
            options,
        })
        .collect();
    let config = Config {
        services,
        format: Format::Prefixed,
        colour: false,
        console,
        console_err: None,
        taps: vec![],
    };
    let (plane, _events) = LogPlane::start(config).unwrap();
    let mut ends = Vec::new();
    for n in 0..50 {
        let (stdout, out) = nix::unistd::pipe().unwrap();
        let (stderr, err) = nix::unistd::pipe().unwrap();
        let source = Source {
            service: ServiceId(n),
            incarnation: 1,
            pid: 1,
            stdout,
            stderr,
            watches: vec![],
        };
        plane.attach(source).unwrap();
        ends.push((std::fs::File::from(out), err));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let settle = || runtime.block_on(plane.drain(Instant::now() + Duration::from_secs(9)));
    let mut fill = |lines: usize| {
        for (out, _) in &mut ends {
            for _ in 0..lines {
                out.write_all(&[b"x".repeat(161), b"\n".to_vec()].concat())
                    .unwrap();
            }
        }
        settle();
    };
    fill(0);
    let idle = pss_kib() - before;
    fill(20);
    let little = pss_kib() - before;
    fill(3000);
    let full = pss_kib() - before;
    println!(
        "50 services: {idle} KiB silent, {little} KiB after 20 lines each, {full} KiB with full rings"
    );
}

fn main() {
    pipe_to_console();
    memory_of_fifty_services();
}
