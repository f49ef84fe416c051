//! A pipeline that is fed with text and keeps what comes out.

use std::time::{Duration, Instant};

use super::super::*;
use crate::logs::{LineMeta, Stream};

/// 2026-11-23T10:20:30Z.
pub const NOW_NS: u64 = 1_795_429_230_000_000_000;

/// A record, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    pub stream: Stream,
    pub seq: u64,
    pub lines: u32,
    pub ts_ns: u64,
    pub time_ns: Option<u64>,
    pub text: Vec<u8>,
    pub partial: bool,
    pub word: Option<&'static str>,
    pub severity_text: Vec<u8>,
    pub json: bool,
    pub json_message: Option<Vec<u8>>,
    pub trace: bool,
}

/// A pipeline with what came out of it.
pub struct Rig {
    pub pipeline: Pipeline,
    pub got: Vec<Got>,
    pub taken: Taken,
    pub seq: u64,
    pub incarnation: u64,
    pub start: Instant,
}

/// Lines as the framer has them: bytes and whether more follows.
pub type Cut<'a> = (&'a [u8], u32, bool);

impl Rig {
    /// Nothing read yet.
    pub fn new(options: Options) -> Self {
        Rig {
            pipeline: Pipeline::new(ServiceId(7), options),
            got: Vec::new(),
            taken: Taken::default(),
            seq: 0,
            incarnation: 0,
            start: Instant::now(),
        }
    }

    /// So many milliseconds after the start.
    pub fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    /// One read of `stream`, `millis` after the start.
    pub fn cut(&mut self, stream: Stream, lines: &[Cut<'_>], millis: u64) {
        let (mut bytes, mut metas) = (Vec::new(), Vec::new());
        for &(line, part, partial) in lines {
            let eol = u8::from(!partial);
            metas.push(LineMeta {
                start: u32::try_from(bytes.len()).unwrap(),
                len: u32::try_from(line.len()).unwrap() + u32::from(eol),
                part,
                eol,
                partial,
            });
            bytes.extend_from_slice(line);
            bytes.extend_from_slice(&b"\n"[..usize::from(eol)]);
        }
        let chunk = Chunk {
            bytes: &bytes,
            lines: &metas,
            first_seq: self.seq,
            ts_ns: NOW_NS + millis * 1_000_000,
            service: ServiceId(7),
            name: "app",
            stream,
            incarnation: self.incarnation,
            pid: 1,
        };
        self.seq += metas.len() as u64;
        let now = self.at(millis);
        let got = &mut self.got;
        self.taken += self.pipeline.chunk(&chunk, now, &mut |r| got.push(own(r)));
    }

    /// One read of stdout.
    pub fn read(&mut self, text: &str, millis: u64) {
        let lines: Vec<Cut<'_>> = text.lines().map(|l| (l.as_bytes(), 0, false)).collect();
        self.cut(Stream::Stdout, &lines, millis);
    }

    /// Lets time pass.
    pub fn expire(&mut self, millis: u64) {
        let now = self.at(millis);
        let got = &mut self.got;
        self.taken += self.pipeline.expire(now, &mut |r| got.push(own(r)));
    }

    /// The end: every line is accounted for.
    pub fn flush(&mut self) {
        let got = &mut self.got;
        self.taken += self.pipeline.flush(&mut |r| got.push(own(r)));
        assert_eq!(self.pipeline.deadline(), None);
        assert_eq!(self.taken.lines(), self.seq);
    }

    /// The messages so far.
    pub fn texts(&self) -> Vec<String> {
        let text = |got: &Got| String::from_utf8_lossy(&got.text).into_owned();
        self.got.iter().map(text).collect()
    }
}

fn own(record: &Record<'_>) -> Got {
    assert_eq!(record.service, ServiceId(7));
    Got {
        stream: record.stream,
        seq: record.seq,
        lines: record.lines,
        ts_ns: record.ts_ns,
        time_ns: record.time_ns,
        text: record.message.to_vec(),
        partial: record.partial,
        word: record.severity.word(),
        severity_text: record.severity_text.to_vec(),
        json: record.json,
        json_message: record.json_message.map(<[u8]>::to_vec),
        trace: record.trace_id.is_some(),
    }
}
