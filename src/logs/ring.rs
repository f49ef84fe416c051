//! The last lines of one service, kept for `podvisor logs` and for the exit record.
//!
//! Bounded in lines and in bytes. One circular byte buffer and one queue of places: once they have
//! grown to what the service needs, a line costs a copy and no allocation. Nothing is allocated
//! before the first line, so a silent service costs nothing.

use std::collections::VecDeque;

use super::record::{Chunk, Line, Stream};

/// Default for `ring`: lines kept per service.
pub const DEFAULT_RING_LINES: usize = 1000;

/// Default bound of one service's kept text in bytes. With the places (48 bytes a line) a service
/// that talks a lot holds about 300 KiB, one that is silent nothing.
pub const DEFAULT_RING_BYTES: usize = 256 * 1024;

/// What all rings together should hold, in bytes of text.
const ALL_RINGS_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of text for each ring of a container with this many services: the default for up to 16,
/// less for more, never under 32 KiB. So fifty services that talk a lot hold 6.5 MiB, not 16.
#[must_use]
pub fn fair_ring_bytes(services: usize) -> usize {
    (ALL_RINGS_BYTES / services.max(1)).clamp(32 * 1024, DEFAULT_RING_BYTES)
}

/// The byte buffer starts at this size and doubles up to its bound.
const FIRST_ALLOC: usize = 4096;

/// One kept line, copied out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingLine {
    /// Sequence number in the service.
    pub seq: u64,
    /// When it was read, nanoseconds since the Unix epoch.
    pub ts_ns: u64,
    /// Which pipe.
    pub stream: Stream,
    /// Which start of the service.
    pub incarnation: u64,
    /// Piece number of a split line, from 0.
    pub part: u32,
    /// More of the same line follows in the next record.
    pub partial: bool,
    /// The ring is smaller than the line: only its head is here.
    pub truncated: bool,
    /// The bytes without line ending.
    pub text: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    seq: u64,
    ts_ns: u64,
    incarnation: u64,
    len: u32,
    part: u32,
    stream: Stream,
    partial: bool,
    truncated: bool,
}

/// The ring of one service.
#[derive(Debug)]
pub struct Ring {
    max_lines: usize,
    max_bytes: usize,
    buf: Vec<u8>,
    /// Where the oldest byte lies in `buf`.
    head: usize,
    used: usize,
    places: VecDeque<Place>,
}

impl Ring {
    /// An empty ring that holds no memory. Zero lines keeps nothing.
    #[must_use]
    pub fn new(max_lines: usize, max_bytes: usize) -> Self {
        let max_bytes = max_bytes.min(u32::MAX as usize);
        let places = VecDeque::new();
        Ring {
            max_lines,
            max_bytes,
            buf: Vec::new(),
            head: 0,
            used: 0,
            places,
        }
    }

    /// Changes the bounds; what is too much goes at once, oldest first, with its memory.
    pub fn set_bounds(&mut self, max_lines: usize, max_bytes: usize) {
        if (max_lines, max_bytes) == (self.max_lines, self.max_bytes) {
            return;
        }
        self.max_lines = max_lines;
        self.max_bytes = max_bytes.min(u32::MAX as usize);
        while self.places.len() > self.max_lines || self.used > self.max_bytes {
            self.evict();
        }
        self.resize(self.used);
        self.places.shrink_to_fit();
    }

    /// Keeps the chunk's lines. The oldest go as the bounds ask.
    pub fn push(&mut self, chunk: &Chunk<'_>) {
        // Of a flood only the end can stay: don't copy what the same chunk would push out.
        let skip = chunk.lines.len().saturating_sub(self.max_lines);
        for line in chunk.iter().skip(skip) {
            self.push_line(chunk, &line);
        }
    }

    fn push_line(&mut self, chunk: &Chunk<'_>, line: &Line<'_>) {
        let text = line.text.get(..self.max_bytes).unwrap_or(line.text);
        while self.places.len() >= self.max_lines || self.used + text.len() > self.max_bytes {
            if !self.evict() {
                return;
            }
        }
        if self.used + text.len() > self.buf.len() {
            let want = (self.used + text.len())
                .next_power_of_two()
                .max(FIRST_ALLOC);
            self.resize(want.min(self.max_bytes));
        }
        if !text.is_empty() {
            let at = (self.head + self.used) % self.buf.len();
            let first = text.len().min(self.buf.len() - at);
            self.buf[at..at + first].copy_from_slice(&text[..first]);
            self.buf[..text.len() - first].copy_from_slice(&text[first..]);
            self.used += text.len();
        }
        self.places.push_back(Place {
            seq: line.seq,
            ts_ns: chunk.ts_ns,
            incarnation: chunk.incarnation,
            len: text.len() as u32,
            part: line.part,
            stream: chunk.stream,
            partial: line.partial,
            truncated: text.len() < line.text.len(),
        });
    }

    /// The last `n` lines, oldest first.
    #[must_use]
    pub fn tail(&self, n: usize) -> Vec<RingLine> {
        self.copy_out(self.places.len().saturating_sub(n), n)
    }

    /// At most `max` lines numbered `seq` or later, oldest first: how a follower goes on.
    #[must_use]
    pub fn since(&self, seq: u64, max: usize) -> Vec<RingLine> {
        self.copy_out(self.places.partition_point(|p| p.seq < seq), max)
    }

    /// Lines held now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// True when no line is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Bytes of memory held, text and places.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.buf.capacity() + self.places.capacity() * size_of::<Place>()
    }

    fn copy_out(&self, from: usize, max: usize) -> Vec<RingLine> {
        let skipped: usize = self.places.iter().take(from).map(|p| p.len as usize).sum();
        let mut at = self.head + skipped;
        let mut out = Vec::with_capacity(max.min(self.places.len().saturating_sub(from)));
        for p in self.places.iter().skip(from).take(max) {
            let len = p.len as usize;
            let mut text = Vec::with_capacity(len);
            if len > 0 {
                let start = at % self.buf.len();
                let first = len.min(self.buf.len() - start);
                text.extend_from_slice(&self.buf[start..start + first]);
                text.extend_from_slice(&self.buf[..len - first]);
            }
            at += len;
            out.push(RingLine {
                seq: p.seq,
                ts_ns: p.ts_ns,
                stream: p.stream,
                incarnation: p.incarnation,
                part: p.part,
                partial: p.partial,
                truncated: p.truncated,
                text,
            });
        }
        out
    }

    fn evict(&mut self) -> bool {
        let Some(p) = self.places.pop_front() else {
            return false;
        };
        self.used -= p.len as usize;
        self.head = if self.used == 0 {
            0
        } else {
            (self.head + p.len as usize) % self.buf.len()
        };
        true
    }

    /// Moves the text to the start of a buffer of `size` bytes, `size` ≥ `used`.
    fn resize(&mut self, size: usize) {
        let mut buf = vec![0; size];
        if self.used > 0 {
            let first = self.used.min(self.buf.len() - self.head);
            buf[..first].copy_from_slice(&self.buf[self.head..self.head + first]);
            buf[first..self.used].copy_from_slice(&self.buf[..self.used - first]);
        }
        self.buf = buf;
        self.head = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::Framer;
    use super::super::record::ServiceId;
    use super::*;
    use proptest::prelude::*;

    fn push(ring: &mut Ring, seq: &mut u64, data: &[u8]) {
        let mut f = Framer::new(1 << 20);
        let mut emit = |bytes: &[u8], lines: &[super::super::record::LineMeta]| {
            ring.push(&Chunk {
                bytes,
                lines,
                first_seq: *seq,
                ts_ns: 7,
                service: ServiceId(1),
                name: "web",
                stream: Stream::Stderr,
                incarnation: 3,
                pid: 1,
            });
            *seq += lines.len() as u64;
        };
        f.feed(data, &mut Vec::new(), &mut emit);
        f.finish(&mut emit);
    }

    fn texts(lines: &[RingLine]) -> Vec<String> {
        lines
            .iter()
            .map(|l| String::from_utf8_lossy(&l.text).into_owned())
            .collect()
    }

    #[test]
    fn many_services_share() {
        let each = [0, 1, 16, 50, 1000].map(fair_ring_bytes);
        assert_eq!(each, [262_144, 262_144, 262_144, 83_886, 32_768]);
    }

    #[test]
    fn nothing_is_held_before_the_first_line() {
        assert_eq!(Ring::new(1000, 1 << 20).memory(), 0);
    }

    #[test]
    fn bounded_in_lines_and_in_order() {
        let (mut r, mut seq) = (Ring::new(3, 1 << 20), 0);
        push(&mut r, &mut seq, b"a\nb\r\n\nc\nd");
        assert_eq!(texts(&r.tail(10)), ["", "c", "d"]);
        assert_eq!(texts(&r.tail(2)), ["c", "d"]);
        assert_eq!(texts(&r.since(3, 1)), ["c"]);
        assert_eq!(r.tail(1)[0].seq, 4);
        assert!(r.since(5, 9).is_empty());
    }

    #[test]
    fn a_line_longer_than_the_ring_keeps_its_head() {
        let (mut r, mut seq) = (Ring::new(10, 5), 0);
        push(&mut r, &mut seq, b"abcdefgh\n");
        let got = r.tail(1);
        assert_eq!(
            (got[0].text.as_slice(), got[0].truncated),
            (&b"abcde"[..], true)
        );
    }

    #[test]
    fn zero_keeps_nothing() {
        let (mut r, mut seq) = (Ring::new(0, 100), 0);
        push(&mut r, &mut seq, b"a\n");
        assert!(r.is_empty());
    }

    #[test]
    fn smaller_bounds_give_memory_back() {
        let (mut r, mut seq) = (Ring::new(1000, 1 << 16), 0);
        push(&mut r, &mut seq, "0123456789\n".repeat(2000).as_bytes());
        r.set_bounds(2, 100);
        assert_eq!(r.len(), 2);
        assert!(r.memory() < 1000, "{}", r.memory());
        push(&mut r, &mut seq, b"x\n");
        assert_eq!(texts(&r.tail(9)), ["0123456789", "x"]);
    }

    proptest! {
        #[test]
        fn the_end_of_what_was_pushed(
            lines in prop::collection::vec("[a-z]{0,12}", 1..200),
            max_lines in 1usize..20, max_bytes in 12usize..6000,
        ) {
            let (mut r, mut seq) = (Ring::new(max_lines, max_bytes), 0);
            for l in &lines {
                push(&mut r, &mut seq, format!("{l}\n").as_bytes());
            }
            let mut want: Vec<&str> = Vec::new();
            let mut bytes = 0;
            for l in lines.iter().rev() {
                bytes += l.len();
                if want.len() == max_lines || bytes > max_bytes { break }
                want.insert(0, l);
            }
            prop_assert_eq!(texts(&r.tail(1000)), want);
            prop_assert!(r.buf.len() <= max_bytes.max(1));
        }
    }
}
