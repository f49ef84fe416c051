//! Arbitrary bytes into everything that reads what others wrote: no panic, no hang, and what must hold whatever comes.
//!
//! A plain test, so that it runs on a stable compiler: seeds are mutated at random for `FUZZ_SECONDS` each (a second in
//! `cargo test`, longer in CI). A failure prints the input; it becomes a seed here.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot do its part has failed"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use podvisor::logs::lines::Framer;
use podvisor::logs::{Chunk, LineMeta, ServiceId, Stream};
use podvisor::ship::event::{How, Multiline, Options, Pipeline, Preset};
use podvisor::ship::{json, otlp, spool};

/// Runs `target` on mutations of the seeds until the time is up.
fn fuzz(name: &str, seeds: &[&[u8]], mut target: impl FnMut(&[u8])) {
    let seconds = std::env::var("FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let end = Instant::now() + Duration::from_secs_f64(seconds.unwrap_or(1.0));
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut corpus: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.to_vec()).collect();
    let mut runs = 0u64;
    while Instant::now() < end {
        let mut input = corpus[random.usize(..corpus.len())].clone();
        for _ in 0..random.usize(0..8) {
            mutate(&mut input, &corpus, &mut random);
        }
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(&input))) {
            eprintln!("{name}, seed {seed}: {input:?}");
            std::panic::resume_unwind(panic);
        }
        if random.u16(..50) == 0 && corpus.len() < 500 && input.len() < 64 * 1024 {
            corpus.push(input);
        }
        runs += 1;
    }
    println!("{name}: {runs} inputs from seed {seed}");
}

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut fastrand::Rng) {
    let at = random.usize(..=input.len());
    match random.u8(..7) {
        0 => input.insert(at, random.u8(..)),
        1 => input.truncate(at),
        2 => drop(input.drain(..at)),
        3 if at < input.len() => input[at] ^= 1 << random.u8(..8),
        4 if at < input.len() => {
            let few = random.usize(1..=(input.len() - at).min(32));
            let copy = input[at..at + few].to_vec();
            input.splice(at..at, copy);
        }
        5 => {
            let other = &corpus[random.usize(..corpus.len())];
            let from = random.usize(..=other.len());
            let few = (other.len() - from).min(64);
            input.splice(at..at, other[from..from + few].iter().copied());
        }
        _ => input
            .splice(
                at..at,
                *[b"\n", b"\0", b"\\", b"\"", b"{"][random.usize(..5)]
                    .first_chunk::<1>()
                    .unwrap(),
            )
            .for_each(drop),
    }
}

const LINES: [&[u8]; 6] = [
    b"plain\nlines\r\nwith all ends",
    b"{\"level\":\"error\",\"msg\":\"x\",\"time\":1790000000.5,\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\"}\n",
    b"ts=2026-11-23T10:20:30Z level=warn msg=\"a b\" traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n",
    b"<13>I1123 10:20:30.123456 1 main.go:1] klog\n2026/11/23 10:20:30 [error] 7#7: nginx\n",
    b"Exception in thread \"main\" java.lang.Error: x\n\tat a.b(C.java:1)\nCaused by: y\n\t... 2 more\nnext\n",
    b"Traceback (most recent call last):\n  File \"a.py\", line 1\nValueError: z\n\xff\xfe\x00\n",
];

/// Whatever the reads cut, the bytes that go in come out, in order, and no line is longer than allowed.
#[test]
fn the_line_framer() {
    fuzz("framer", &LINES, |input| {
        let most = 7;
        let mut framer = Framer::new(most);
        let (mut metas, mut out) = (Vec::new(), Vec::new());
        let mut emit = |bytes: &[u8], lines: &[LineMeta]| {
            for line in lines {
                assert!(line.text(bytes).len() <= most);
                out.extend_from_slice(line.raw(bytes));
            }
        };
        for part in input.chunks(1 + input.len() % 13) {
            framer.feed(part, &mut metas, &mut emit);
        }
        framer.finish(&mut emit);
        assert_eq!(out, input);
    });
}

/// What is taken for JSON is JSON to everybody.
#[test]
fn the_json_check() {
    fuzz("json", &LINES, |input| {
        for line in input.split(|byte| *byte == b'\n') {
            if json::scan(line).is_some() {
                let value: serde_json::Value = serde_json::from_slice(line).unwrap();
                assert!(value.is_object());
            }
        }
    });
}

/// Levels, traces, times and merges on any bytes: every line is accounted for.
#[test]
fn the_event_pipeline() {
    fuzz("pipeline", &LINES, |input| {
        let multiline = Some(Multiline {
            how: How::Preset(Preset::Auto),
            max_lines: 5,
            timeout: Duration::from_millis(200),
        });
        for multiline in [None, multiline] {
            let options = Options {
                multiline,
                max_bytes: 200,
                ..Options::default()
            };
            let mut pipeline = Pipeline::new(ServiceId(0), options);
            let (mut metas, mut lines, mut seen) = (Vec::new(), 0, 0);
            let mut framer = Framer::new(100);
            let mut emit = |bytes: &[u8], metas: &[LineMeta]| {
                let chunk = Chunk {
                    bytes,
                    lines: metas,
                    first_seq: lines,
                    ts_ns: 1_790_000_000_000_000_000,
                    service: ServiceId(0),
                    name: "fuzz",
                    stream: Stream::Stdout,
                    incarnation: 1,
                    pid: 1,
                };
                lines += metas.len() as u64;
                seen += pipeline.chunk(&chunk, Instant::now(), &mut |_| {}).lines();
            };
            framer.feed(input, &mut metas, &mut emit);
            framer.finish(&mut emit);
            seen += pipeline.flush(&mut |_| {}).lines();
            assert_eq!(seen, lines);
        }
    });
}

/// A receiver's answer, and requests as `podvisor receive` gets them.
#[test]
fn otlp_from_others() {
    let seeds: [&[u8]; 3] = [
        b"\x0a\x06\x08\x03\x12\x02no",
        b"\x08\x0e\x12\x04busy\x1a\x2e\x0a\x28type.googleapis.com/google.rpc.RetryInfo\x12\x02\x0a\x00",
        b"\x0a\x1e\x0a\x06\x0a\x04\x0a\x00\x12\x00\x12\x14\x12\x12\x09\x01\x02\x03\x04\x05\x06\x07\x08\x2a\x03\x0a\x01x",
    ];
    fuzz("otlp", &seeds, |input| {
        if let Some(partial) = otlp::response::partial_success(input) {
            assert!(partial.message.len() <= 1024);
        }
        drop(otlp::response::status(input));
        let _ = otlp::read::check(input);
        drop(otlp::slice::slice(input, 0..otlp::slice::count(input)));
    });
}

/// A damaged spool: opened, read to its end, and written to again.
#[test]
fn the_spool_after_damage() {
    use podvisor::ship::parcel::{Codec, Encoding, Form};
    let form = Form {
        encoding: Encoding::Ndjson,
        codec: Codec::Gzip,
    };
    let meta = |seq| spool::Meta {
        seq,
        source: 1,
        form,
        records: 3,
        raw_len: 10,
        first_ts_ns: 1,
    };
    let place = tempfile::tempdir().unwrap();
    let open = |folder: &std::path::Path| {
        spool::Spool::open(spool::Options::new(folder.to_owned(), 1 << 20, 1)).unwrap()
    };
    let first = {
        let mut spool = open(place.path());
        for seq in 0..20 {
            spool.append(&meta(seq), &[seq as u8; 40]).unwrap();
        }
        drop(spool);
        let mut files = std::fs::read_dir(place.path()).unwrap();
        let segment = files.find_map(|file| {
            let path = file.unwrap().path();
            let name = path.file_name()?.to_str()?.to_owned();
            name.starts_with("seg-").then_some(path)
        });
        segment.unwrap()
    };
    let whole = std::fs::read(&first).unwrap();
    let name = first.file_name().unwrap().to_owned();
    fuzz("spool", &[&whole], |input| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(&name), input).unwrap();
        let mut spool = open(folder.path());
        let reader = spool.subscribe("s", form);
        let mut read = 0;
        while let Some(stored) = spool.next(reader) {
            spool.ack(reader, stored.end);
            read += 1;
            assert!(read < 10_000, "it does not end");
        }
        let end = spool.append(&meta(99), b"new").unwrap();
        assert_eq!(spool.next(reader).map(|stored| stored.end), Some(end));
    });
}
