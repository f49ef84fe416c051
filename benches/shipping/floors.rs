//! The floors: what single stages cost alone, over the same bytes, on the same machine, in the same run.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use podvisor::logs::{ServiceId, Stream};
use podvisor::ship::arena::{ARENA_BYTES, Arena};
use podvisor::ship::compress::Packer;
use podvisor::ship::encoder::{Encoder, Framer};
use podvisor::ship::identity::Identity;
use podvisor::ship::parcel::{Codec, Encoding};
use podvisor::ship::record::{Record, Severity};

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
    Duration::new(time.tv_sec() as u64, time.tv_nsec() as u32)
}

/// Seconds of CPU per GB of input.
pub struct Floor {
    /// For writing the records.
    pub encode: f64,
    /// For compressing them.
    pub compress: f64,
    /// Bytes on the wire per byte of input.
    pub ratio: f64,
}

/// Measures one encoding with gzip at podvisor's default level for it; the best of three.
pub fn measure(encoding: Encoding, level: u8, input: &[u8]) -> Floor {
    let runs: Vec<Floor> = (0..3).map(|_| once(encoding, level, input)).collect();
    let best = |of: fn(&Floor) -> f64| runs.iter().map(of).fold(f64::MAX, f64::min);
    Floor {
        encode: best(|floor| floor.encode),
        compress: best(|floor| floor.compress),
        ratio: best(|floor| floor.ratio),
    }
}

fn once(encoding: Encoding, level: u8, input: &[u8]) -> Floor {
    let (identity, _) = Identity::from_env("bench-host", 1, |_| None);
    let id = ServiceId(0);
    let mut encoder = Encoder::new(encoding, &identity);
    encoder.set_service(id, "feed", &BTreeMap::new());
    let mut packer = Packer::new(Codec::Gzip, Some(level)).unwrap();
    let (mut framer, mut arena, mut packed) = (Framer::default(), Arena::default(), Vec::new());
    let (mut encoding_took, mut compressing_took, mut wire) = (Duration::ZERO, Duration::ZERO, 0);
    let mut began = thread_cpu();
    for (seq, line) in (0..).zip(input.split(|byte| *byte == b'\n')) {
        let before = arena.bytes.len();
        encoder.encode(&record(id, seq, line), &mut arena.bytes);
        arena.wrote(id, before, 0);
        if arena.bytes.len() >= ARENA_BYTES {
            let encoded = thread_cpu();
            encoding_took += encoded - began;
            packed.clear();
            let raw = framer.frame(&arena, encoder.resources().as_deref());
            let framed = thread_cpu();
            packer.pack(raw, &mut packed).unwrap();
            compressing_took += thread_cpu() - framed;
            wire += packed.len();
            arena.bytes.clear();
            arena.runs.clear();
            began = thread_cpu();
        }
    }
    let gb = input.len() as f64 / 1e9;
    Floor {
        encode: encoding_took.as_secs_f64() / gb,
        compress: compressing_took.as_secs_f64() / gb,
        ratio: wire as f64 / input.len() as f64,
    }
}

fn record(service: ServiceId, seq: u64, message: &[u8]) -> Record<'_> {
    Record {
        service,
        stream: Stream::Stdout,
        seq,
        lines: 1,
        ts_ns: 1_790_000_000_000_000_000 + seq / 400,
        time_ns: None,
        message,
        part: 0,
        partial: false,
        severity: Severity::INFO,
        severity_text: b"",
        json: message.first() == Some(&b'{'),
        json_message: None,
        trace_id: None,
        span_id: None,
    }
}
