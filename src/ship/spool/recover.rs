//! What a start finds in the folder, and repairs. No file in it can make the start fail.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::format::{FILE_HEADER, Head, NUMBERS, RECORD_HEADER, RecordHeader, parse_file_header};
use super::segment::{ReadAt, payload, walk};
use super::{Position, Recovered, Segment, Spool, cursor};

/// Files put aside that are kept, newest.
const MAX_BAD: usize = 4;

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) segments: VecDeque<Segment>,
    pub(super) bad: VecDeque<(PathBuf, u64)>,
    pub(super) next_number: u64,
    pub(super) recovered: Recovered,
}

/// The names in a folder that mean something.
#[derive(Debug, Default)]
struct Listing {
    segments: Vec<u64>,
    bad: Vec<u64>,
    cursors: Vec<PathBuf>,
}

/// Looks through `dir`, which nobody else uses.
///
/// # Errors
/// The folder can't be read.
pub(super) fn recover(dir: &Path) -> io::Result<Found> {
    let mut listing = list(dir)?;
    listing.segments.sort_unstable();
    let cursors: Vec<_> = (listing.cursors.iter())
        .filter_map(|path| Some((path, cursor::load(path)?)))
        .collect();
    let used = (listing.segments.iter().chain(&listing.bad).copied())
        .chain(cursors.iter().map(|(_, at)| at.segment));
    let next_number = used.max().map_or(0, |n| n.saturating_add(1));

    let mut recovered = Recovered::default();
    let mut segments = VecDeque::new();
    let last = listing.segments.last().copied();
    for &number in &listing.segments {
        match recover_segment(dir, number, Some(number) == last, &mut recovered) {
            Ok(Outcome::Use(segment)) => segments.push_back(segment),
            Ok(Outcome::Empty) => {}
            Ok(Outcome::Bad) => {
                recovered.bad += 1;
                let from = Spool::segment_path(dir, number);
                if fs::rename(from, bad_path(dir, number)).is_ok() {
                    listing.bad.push(number);
                }
            }
            // Left where it is: it may be readable next time.
            Err(_) => recovered.bad += 1,
        }
    }
    recovered.segments = segments.len();
    recovered.bytes = segments.iter().map(|s| s.len).sum();
    let totals = segments.iter().flat_map(|s| &s.totals);
    recovered.records = totals.map(|t| t.records).sum();
    forget_old(&cursors, segments.front());
    Ok(Found {
        segments,
        bad: keep_some(dir, listing.bad),
        next_number,
        recovered,
    })
}

fn list(dir: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        // No links, pipes or folders: they are none of ours.
        if !entry.file_type().is_ok_and(|t| t.is_file()) {
            continue;
        }
        if name.starts_with(cursor::PREFIX) {
            if name.ends_with(cursor::UNFINISHED) {
                // Left by a crash, and worth nothing. Should it stay, the next write replaces it.
                let _ = fs::remove_file(entry.path());
            } else {
                listing.cursors.push(entry.path());
            }
        } else if let Some((number, ending)) = numbered(name) {
            match ending {
                "log" => listing.segments.push(number),
                "bad" => listing.bad.push(number),
                _ => {}
            }
        }
    }
    Ok(listing)
}

/// `seg-<16 hex digits>.<ending>`, exactly as we write it.
fn numbered(name: &str) -> Option<(u64, &str)> {
    let (digits, ending) = name.strip_prefix("seg-")?.split_once('.')?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (format!("{number:016x}") == digits && number < NUMBERS).then_some((number, ending))
}

fn bad_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("seg-{number:016x}.bad"))
}

enum Outcome {
    Use(Segment),
    /// Nothing was in it, and it is removed.
    Empty,
    /// Nothing in it is readable.
    Bad,
}

fn recover_segment(
    dir: &Path,
    number: u64,
    last: bool,
    recovered: &mut Recovered,
) -> io::Result<Outcome> {
    let path = Spool::segment_path(dir, number);
    let file = OpenOptions::new().read(true).write(true).open(&path)?;
    let len = file.metadata()?.len();
    let mut bytes = [0; FILE_HEADER];
    let head = match ReadAt::read_exact_at(&file, &mut bytes, 0) {
        Ok(()) => parse_file_header(&bytes, number),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Head::Damaged,
        Err(e) => return Err(e),
    };
    if let Head::Version(_) = head {
        return Ok(Outcome::Bad);
    }
    let (segment, cut_short) = index(&file, number, len, last, recovered);
    if segment.len > FILE_HEADER as u64 {
        if !cut_short && segment.len < len {
            recovered.truncated += 1;
            recovered.truncated_bytes += len - segment.len;
            // Failing that, the useless end stays: nothing is ever written behind it.
            let _ = file.set_len(segment.len);
        }
        return Ok(Outcome::Use(segment));
    }
    if cut_short {
        return Err(io::ErrorKind::Other.into());
    }
    // A crash in the middle of the first write leaves a good header, or hardly anything.
    let torn = (last && head == Head::Ours) || len <= (FILE_HEADER + RECORD_HEADER) as u64;
    if !torn {
        return Ok(Outcome::Bad);
    }
    if len > FILE_HEADER as u64 {
        recovered.truncated += 1;
        recovered.truncated_bytes += len - FILE_HEADER as u64;
    }
    fs::remove_file(&path)?;
    Ok(Outcome::Empty)
}

/// Walks over the headers. Of the last file's last record the payload is read too: with or without fsync, that is where a
/// crash tears. The second value is true when reading failed before the end.
fn index(
    file: &File,
    number: u64,
    len: u64,
    last: bool,
    recovered: &mut Recovered,
) -> (Segment, bool) {
    let mut segment = Segment::new(number);
    let mut before_last = segment;
    let mut newest: Option<(u64, RecordHeader)> = None;
    let walk = walk(file, number, len, |start, header| {
        before_last = segment;
        segment.count(header, start + header.size());
        newest = Some((start, *header));
    });
    recovered.damaged += walk.damaged;
    recovered.damaged_bytes += walk.damaged_bytes;
    let torn = last
        && newest.is_some_and(|(start, header)| matches!(payload(file, start, &header), Ok(None)));
    if torn {
        segment = before_last;
    }
    (segment, walk.cut_short)
}

/// Removes cursors that lie before everything there is: they say nothing more.
fn forget_old(cursors: &[(&PathBuf, Position)], oldest: Option<&Segment>) {
    let Some(oldest) = oldest else { return };
    for (path, at) in cursors {
        if at.segment < oldest.number {
            let _ = fs::remove_file(path);
        }
    }
}

fn keep_some(dir: &Path, mut numbers: Vec<u64>) -> VecDeque<(PathBuf, u64)> {
    numbers.sort_unstable();
    let surplus = numbers.len().saturating_sub(MAX_BAD);
    let mut kept = VecDeque::new();
    for (i, number) in numbers.into_iter().enumerate() {
        let path = bad_path(dir, number);
        if i < surplus && Spool::unlink(&path).is_ok() {
            continue;
        }
        let size = fs::metadata(&path).map_or(0, |m| m.len());
        kept.push_back((path, size));
    }
    kept
}
