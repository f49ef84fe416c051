//! Cutting a byte stream into lines: pure, independent of where the reads happened to cut it.
//!
//! A complete line is given out as a slice of what was read. Only an unfinished line is copied,
//! into the stream's carry, which grows with that line up to `max_line` and is given back
//! afterwards: an idle stream costs no buffer.
//!
//! A line longer than `max_line` is given out in pieces, all but the last marked `partial`. It is
//! never dropped and never stops the reader. A piece ends at a UTF-8 character's border if there is
//! one within three bytes, so that a split alone never makes text invalid.

use super::record::LineMeta;

/// Default for `maxLine`: bytes of one record without its line ending.
pub const DEFAULT_MAX_LINE: usize = 256 * 1024;

/// A chunk holds at most this many lines, which bounds the metas to 64 KiB.
pub const MAX_LINES_PER_CHUNK: usize = 4096;

/// A carry of at most this capacity is kept for the next line; a larger one is given back.
const KEEP_CARRY: usize = 4096;

/// The state of one stream between two reads.
#[derive(Debug)]
pub struct Framer {
    /// The unfinished line. Not empty exactly when the stream is inside a line.
    carry: Vec<u8>,
    /// Pieces of the unfinished line that were already given out.
    part: u32,
    max_line: usize,
}

impl Framer {
    /// A stream at the start of a line. `max_line` is in bytes, at least 1.
    #[must_use]
    pub fn new(max_line: usize) -> Self {
        let max_line = max_line.clamp(1, u32::MAX as usize / 2);
        Framer {
            carry: Vec::new(),
            part: 0,
            max_line,
        }
    }

    /// Takes what one read brought and calls `emit` with every line that is now known, in order.
    ///
    /// `emit` gets the bytes and the lines in them, at most [`MAX_LINES_PER_CHUNK`], at least one.
    /// `metas` is scratch space that callers reuse; it is left empty.
    pub fn feed(
        &mut self,
        data: &[u8],
        metas: &mut Vec<LineMeta>,
        emit: &mut dyn FnMut(&[u8], &[LineMeta]),
    ) {
        metas.clear();
        let mut pos = if self.carry.is_empty() {
            0
        } else {
            self.finish_carried(data, emit)
        };
        while pos < data.len() {
            let newline = memchr::memchr(b'\n', &data[pos..]).map(|i| pos + i);
            let end = newline.unwrap_or(data.len());
            while end - pos > self.max_line {
                let cut = piece_len(&data[pos..pos + self.max_line], data[pos + self.max_line]);
                metas.push(meta(pos, cut, self.part, 0, true));
                pos += cut;
                self.part = self.part.saturating_add(1);
                flush_full(data, metas, emit);
            }
            if newline.is_none() {
                self.carry_more(&data[pos..]);
                break;
            }
            let eol = if end > pos && data[end - 1] == b'\r' {
                2
            } else {
                1
            };
            metas.push(meta(pos, end + 1 - pos, self.part, eol, false));
            self.part = 0;
            pos = end + 1;
            flush_full(data, metas, emit);
        }
        if !metas.is_empty() {
            emit(data, metas);
            metas.clear();
        }
    }

    /// The stream has ended, or is given up: the last line without an ending is a line too.
    pub fn finish(&mut self, emit: &mut dyn FnMut(&[u8], &[LineMeta])) {
        if !self.carry.is_empty() {
            emit(
                &self.carry,
                &[meta(0, self.carry.len(), self.part, 0, false)],
            );
        }
        self.reset();
    }

    /// Forgets the unfinished line.
    pub fn reset(&mut self) {
        self.part = 0;
        if self.carry.capacity() > KEEP_CARRY {
            self.carry = Vec::new();
        } else {
            self.carry.clear();
        }
    }

    /// Bytes of the unfinished line that are held.
    #[must_use]
    pub fn carried(&self) -> usize {
        self.carry.len()
    }

    /// Bytes of memory that the stream holds.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.carry.capacity()
    }

    /// Completes the carried line as far as `data` does; returns where the next line starts.
    fn finish_carried(&mut self, data: &[u8], emit: &mut dyn FnMut(&[u8], &[LineMeta])) -> usize {
        let newline = memchr::memchr(b'\n', data);
        let end = newline.unwrap_or(data.len());
        let mut pos = 0;
        while self.carry.len() + (end - pos) > self.max_line {
            let take = self.max_line - self.carry.len();
            self.carry_more(&data[pos..pos + take]);
            pos += take;
            let cut = piece_len(&self.carry, data[pos]);
            emit(&self.carry, &[meta(0, cut, self.part, 0, true)]);
            self.carry.drain(..cut);
            self.part = self.part.saturating_add(1);
        }
        let Some(newline) = newline else {
            self.carry_more(&data[pos..]);
            return data.len();
        };
        self.carry_more(&data[pos..=newline]);
        let len = self.carry.len();
        let eol = if len > 1 && self.carry[len - 2] == b'\r' {
            2
        } else {
            1
        };
        emit(&self.carry, &[meta(0, len, self.part, eol, false)]);
        self.reset();
        newline + 1
    }

    /// Appends, growing twofold but never past a full line and its ending.
    fn carry_more(&mut self, bytes: &[u8]) {
        let need = self.carry.len() + bytes.len();
        if need > self.carry.capacity() {
            let target = (self.carry.capacity() * 2)
                .min(self.max_line + 1)
                .max(need)
                .max(64);
            self.carry.reserve_exact(target - self.carry.len());
        }
        self.carry.extend_from_slice(bytes);
    }
}

fn flush_full(data: &[u8], metas: &mut Vec<LineMeta>, emit: &mut dyn FnMut(&[u8], &[LineMeta])) {
    if metas.len() >= MAX_LINES_PER_CHUNK {
        emit(data, metas);
        metas.clear();
    }
}

fn meta(start: usize, len: usize, part: u32, eol: u8, partial: bool) -> LineMeta {
    // Both fit: a chunk is one read or one carry, and `Framer::new` bounds the carry.
    LineMeta {
        start: start as u32,
        len: len as u32,
        part,
        eol,
        partial,
    }
}

/// How much of `piece` to give out when the byte after it is `next`: all, unless `next` continues
/// a character that starts in the last three bytes.
fn piece_len(piece: &[u8], next: u8) -> usize {
    if next & 0xC0 != 0x80 {
        return piece.len();
    }
    for back in 1..=3.min(piece.len()) {
        let at = piece.len() - back;
        match piece[at] {
            0xC0..=0xFF if at > 0 => return at,
            0x80..=0xBF => {}
            _ => break,
        }
    }
    piece.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Rec = (Vec<u8>, u32, u8, bool);

    /// Cuts the whole input at once, the slow and obvious way.
    fn naive(input: &[u8], max: usize) -> Vec<Rec> {
        let mut out = Vec::new();
        for line in input.split_inclusive(|b| *b == b'\n') {
            let ended = line.ends_with(b"\n");
            let mut content = if ended { &line[..line.len() - 1] } else { line };
            let mut part = 0;
            while content.len() > max {
                let cut = piece_len(&content[..max], content[max]);
                out.push((content[..cut].to_vec(), part, 0, true));
                content = &content[cut..];
                part += 1;
            }
            let cr = content.ends_with(b"\r");
            let eol = if !ended { 0 } else { 1 + u8::from(cr) };
            let mut raw = content.to_vec();
            raw.extend(ended.then_some(b'\n'));
            out.push((raw, part, eol, false));
        }
        out
    }

    fn framed(input: &[u8], cuts: &[usize], max: usize) -> Vec<Rec> {
        let mut out = Vec::new();
        let mut emit = |b: &[u8], ls: &[LineMeta]| {
            assert!(!ls.is_empty() && ls.len() <= MAX_LINES_PER_CHUNK);
            out.extend(
                ls.iter()
                    .map(|m| (m.raw(b).to_vec(), m.part, m.eol, m.partial)),
            );
        };
        let mut f = Framer::new(max);
        let mut metas = Vec::new();
        let mut rest = input;
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let n = cuts
                .next()
                .copied()
                .unwrap_or(rest.len())
                .clamp(1, rest.len());
            f.feed(&rest[..n], &mut metas, &mut emit);
            assert!(f.carried() <= max);
            rest = &rest[n..];
        }
        f.finish(&mut emit);
        assert_eq!(f.carried(), 0);
        out
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(
            input in prop::collection::vec(
                prop_oneof![
                    4 => Just(b'\n'), 2 => Just(b'\r'), 8 => any::<u8>(), 4 => Just(b'a'),
                    2 => Just(0xE2u8), 3 => Just(0x82u8), 3 => Just(0xACu8),
                ], 0..400),
            cuts in prop::collection::vec(1usize..40, 1..8),
            max in 1usize..40,
        ) {
            let got = framed(&input, &cuts, max);
            prop_assert_eq!(&got, &naive(&input, max));
            let whole: Vec<u8> = got.into_iter().flat_map(|r| r.0).collect();
            prop_assert_eq!(whole, input);
        }
    }

    #[test]
    fn endings() {
        let got = framed(b"a\r\nb\n\n\r\nc\rd\ne", &[3], 100);
        let want: Vec<Rec> = vec![
            (b"a\r\n".to_vec(), 0, 2, false),
            (b"b\n".to_vec(), 0, 1, false),
            (b"\n".to_vec(), 0, 1, false),
            (b"\r\n".to_vec(), 0, 2, false),
            (b"c\rd\n".to_vec(), 0, 1, false),
            (b"e".to_vec(), 0, 0, false),
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn a_line_of_exactly_max_is_whole() {
        let got = framed(b"abcd\n", &[1], 4);
        assert_eq!(got, vec![(b"abcd\n".to_vec(), 0, 1, false)]);
    }

    #[test]
    fn characters_are_not_cut() {
        let got = framed("aaa€€\n".as_bytes(), &[2], 5);
        assert!(
            got.iter().all(|r| std::str::from_utf8(&r.0).is_ok()),
            "{got:?}"
        );
    }

    #[test]
    fn ten_mebibytes_in_one_line() {
        let mut input = vec![b'x'; 10 * 1024 * 1024];
        input.push(b'\n');
        let got = framed(&input, &[65536], DEFAULT_MAX_LINE);
        assert_eq!(got.len(), 40);
        assert!(
            got[..39]
                .iter()
                .enumerate()
                .all(|(i, r)| r.3 && r.1 == i as u32)
        );
        assert!(!got[39].3);
        assert_eq!(got.iter().map(|r| r.0.len()).sum::<usize>(), input.len());
    }

    #[test]
    fn the_carry_is_bounded_and_given_back() {
        let mut f = Framer::new(DEFAULT_MAX_LINE);
        let mut metas = Vec::new();
        let mut top = 0;
        for _ in 0..40 {
            f.feed(&[b'x'; 65536], &mut metas, &mut |_, _| {});
            top = top.max(f.capacity());
        }
        assert!(top <= DEFAULT_MAX_LINE + 1, "{top}");
        f.feed(b"\n", &mut metas, &mut |_, _| {});
        assert_eq!(f.capacity(), 0);
    }

    #[test]
    fn a_flood_of_empty_lines_is_cut_into_chunks() {
        assert_eq!(framed(&[b'\n'; 10_000], &[10_000], 10).len(), 10_000);
    }
}
