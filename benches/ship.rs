//! What shipping costs: pipe → records → gzip → HTTP, the real binary against a blackhole, beside the floors of its stages.
//!
//! ```sh
//! cargo bench --bench ship                       # the table
//! cargo bench --bench ship -- --write FILE       # the input, to feed another program with
//! cargo bench --bench ship -- --blackhole ADDR   # the receiver, for another program to send to
//! ```
//!
//! `PODVISOR_BIN` names another binary than the one just built, `MEGABYTES` another size than 268. It measures and asserts
//! nothing.
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "a benchmark stands outside podvisor's own process, and ends at the first thing that is not as it should be"
)]

#[path = "shipping/blackhole.rs"]
mod blackhole;
#[path = "shipping/floors.rs"]
mod floors;
#[path = "shipping/input.rs"]
mod input;

use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};

use podvisor::ship::parcel::Encoding;

const RUNS: usize = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["--blackhole", address, ..] => blackhole::serve(address),
        ["--write", file, ..] => std::fs::write(file, input::generate(size())).unwrap(),
        _ => table(),
    }
}

fn size() -> usize {
    let megabytes = std::env::var("MEGABYTES")
        .ok()
        .and_then(|text| text.parse().ok());
    megabytes.unwrap_or(268) * 1_000_000
}

fn binary() -> PathBuf {
    std::env::var_os("PODVISOR_BIN")
        .map_or_else(|| env!("CARGO_BIN_EXE_podvisor").into(), PathBuf::from)
}

fn table() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("input.log");
    let text = input::generate(size());
    std::fs::write(&file, &text).unwrap();
    let lines = text.iter().filter(|byte| **byte == b'\n').count();
    println!(
        "{} MB, {lines} lines of {} bytes on average; medians of {RUNS} runs\n",
        text.len() / 1_000_000,
        text.len() / lines
    );
    println!(
        "| path | MB/s | CPU s/GB | encode + gzip alone, s/GB | ratio | gzip alone, s/GB | ratio | RSS peak, MB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let sample = &text[..text.len().min(64_000_000)];
    for (name, sink, encoding, level) in [
        ("NDJSON → gzip 2 → HTTP", "type: http", Encoding::Ndjson, 2),
        (
            "NDJSON → gzip 1 → HTTP",
            "type: http, level: 1",
            Encoding::Ndjson,
            1,
        ),
        ("OTLP → gzip 1 → HTTP", "type: otlp", Encoding::Otlp, 1),
    ] {
        let floor = floors::measure(encoding, level, sample);
        let mut runs: Vec<Run> = (0..RUNS)
            .map(|_| ship(folder.path(), &file, sink))
            .collect();
        runs.sort_by(|a, b| a.cpu.total_cmp(&b.cpu));
        let run = &runs[RUNS / 2];
        let gb = text.len() as f64 / 1e9;
        let cost = run.cpu / gb;
        println!(
            "| {name} | {:.0} | {cost:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.1} |",
            gb * 1000.0 / run.took.as_secs_f64(),
            floor.encode + floor.compress,
            cost / (floor.encode + floor.compress),
            floor.compress,
            cost / floor.compress,
            run.rss_mb,
        );
    }
}

struct Run {
    took: Duration,
    /// Seconds of CPU, podvisor's own and those of the `cat` that feeds it.
    cpu: f64,
    rss_mb: f64,
}

/// Ships the file's lines once, from podvisor's start to its end: it ends when all has been sent.
fn ship(folder: &Path, file: &Path, sink: &str) -> Run {
    let (hole, port) = blackhole();
    let config = folder.join("podvisor.yaml");
    let text = format!(
        "services: {{ feed: {{ type: oneshot, command: [cat, {file:?}] }} }}\n\
         logs: {{ console: {{ format: none }}, sinks: {{ s: {{ {sink}, endpoint: 'http://127.0.0.1:{port}/' }} }} }}\n\
         http: {{ listen: off }}\nshutdown: {{ deadline: 90s, flushTimeout: 30s }}\n"
    );
    std::fs::write(&config, text).unwrap();
    let before = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let began = Instant::now();
    let mut podvisor = Command::new(binary())
        .args(["run", "--log", "warn", "-c"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut rss_mb = 0.0;
    let mut said = podvisor.stderr.take().unwrap();
    while podvisor.try_wait().unwrap().is_none() {
        // Not the rusage's: that begins with what this process had when it forked.
        rss_mb = f64::max(rss_mb, peak_rss_mb(podvisor.id()));
        pause(&said);
    }
    let status = podvisor.wait().unwrap();
    let took = began.elapsed();
    let after = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    assert!(
        status.success() && text.is_empty(),
        "not all was sent: {text}"
    );
    drop(hole);
    let cpu = |usage: Usage| {
        let seconds = |time: TimeVal| time.num_microseconds() as f64 / 1e6;
        seconds(usage.user_time()) + seconds(usage.system_time())
    };
    Run {
        took,
        cpu: cpu(after) - cpu(before),
        rss_mb,
    }
}

/// Until it says something or ends, 20 ms at most.
fn pause(said: &impl AsFd) {
    let mut fds = [PollFd::new(said.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(20u8)).unwrap();
}

/// `VmHWM` of `/proc/PID/status`; 0 when it has ended.
fn peak_rss_mb(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.unwrap_or(0.0) * 1024.0 / 1e6
}

/// The receiver, until it is dropped.
struct Hole(Child);

impl Drop for Hole {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn blackhole() -> (Hole, u16) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--blackhole", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut port)
        .unwrap();
    (Hole(child), port.trim().parse().unwrap())
}
