//! One line as the log plane sees it: borrowed slices of the bytes that one `read` brought.

use std::fmt;

/// A service, as the supervisor numbers them. Stable for as long as the service is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId(pub u32);

/// Which of a service's two pipes a line came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// File descriptor 1 of the service.
    Stdout,
    /// File descriptor 2 of the service.
    Stderr,
}

impl Stream {
    /// Both streams, in the order of their descriptors.
    pub const ALL: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

    /// `stdout` or `stderr`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }

    /// 0 for stdout, 1 for stderr: the place in a per-stream array.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Stream::Stdout => 0,
            Stream::Stderr => 1,
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where one line lies in its chunk. Sixteen bytes, because a flood of empty lines makes many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineMeta {
    /// Offset of the first byte in the chunk.
    pub start: u32,
    /// Bytes with the line's ending.
    pub len: u32,
    /// Which piece of a line longer than `maxLine` this is, from 0 (saturating).
    pub part: u32,
    /// Bytes of the ending: 0 (none), 1 (`\n`) or 2 (`\r\n`).
    pub eol: u8,
    /// True when more of the same line follows in the next record (CRI calls it `P`).
    pub partial: bool,
}

impl LineMeta {
    /// The bytes as the service wrote them, with the ending.
    #[must_use]
    pub fn raw<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let start = self.start as usize;
        bytes.get(start..start + self.len as usize).unwrap_or(&[])
    }

    /// The bytes without `\n` or `\r\n`.
    #[must_use]
    pub fn text<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let start = self.start as usize;
        let end = start + self.len as usize - usize::from(self.eol);
        bytes.get(start..end).unwrap_or(&[])
    }
}

/// The lines that one `read` completed, handed to every consumer in turn as the same bytes.
///
/// It is borrowed, not refcounted: ring, console and batches copy or encode straight from it into
/// memory that they already own, so nothing is allocated per line or per read, and a consumer that
/// lags can't pin the read buffer.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    /// What the metas point into.
    pub bytes: &'a [u8],
    /// The lines, in order. Never empty, at most [`super::lines::MAX_LINES_PER_CHUNK`].
    pub lines: &'a [LineMeta],
    /// Sequence number of the first line; the others follow without gaps.
    pub first_seq: u64,
    /// When the bytes were read: nanoseconds since the Unix epoch, wall clock.
    pub ts_ns: u64,
    /// Whose lines these are.
    pub service: ServiceId,
    /// The service's name.
    pub name: &'a str,
    /// Which pipe.
    pub stream: Stream,
    /// Which start of the service the pipe belongs to.
    pub incarnation: u64,
    /// The process that the supervisor started then; its children may have written the line.
    pub pid: u32,
}

/// One line of a [`Chunk`], with its number.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// As written, with the ending.
    pub raw: &'a [u8],
    /// Without the ending.
    pub text: &'a [u8],
    /// Gap-free number in its service, both streams counted together, from 0.
    pub seq: u64,
    /// See [`LineMeta::part`].
    pub part: u32,
    /// See [`LineMeta::partial`].
    pub partial: bool,
}

impl<'a> Chunk<'a> {
    /// The lines with their sequence numbers.
    pub fn iter(&self) -> impl Iterator<Item = Line<'a>> + use<'a> {
        let (bytes, first) = (self.bytes, self.first_seq);
        (0u64..)
            .zip(self.lines)
            .map(move |(i, m)| line(bytes, first + i, m))
    }

    /// All lines in one slice, exactly as written.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        match (self.lines.first(), self.lines.last()) {
            (Some(a), Some(b)) => self
                .bytes
                .get(a.start as usize..(b.start + b.len) as usize)
                .unwrap_or(&[]),
            _ => &[],
        }
    }
}

fn line<'a>(bytes: &'a [u8], seq: u64, m: &LineMeta) -> Line<'a> {
    Line {
        raw: m.raw(bytes),
        text: m.text(bytes),
        seq,
        part: m.part,
        partial: m.partial,
    }
}
