//! Reading, cursors and names; and what the other tests share.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::*;
use crate::ship::parcel::{Codec, Encoding};

pub(super) const FORMS_USED: [Form; 2] = [
    Form {
        encoding: Encoding::Ndjson,
        codec: Codec::Gzip,
    },
    Form {
        encoding: Encoding::Otlp,
        codec: Codec::Zstd,
    },
];
pub(super) const A: Form = FORMS_USED[0];
pub(super) const B: Form = FORMS_USED[1];

/// Files of `segment_bytes`, at most `max_bytes` of them, on a disk with room.
pub(super) fn open(dir: &Path, max_bytes: u64, segment_bytes: u64) -> Spool {
    let options = Options {
        segment_bytes,
        ..Options::new(dir.to_owned(), max_bytes, 7)
    };
    let mut spool = Spool::open(options).unwrap();
    spool.faults.blocks = Some((50, 100));
    spool
}

pub(super) fn roomy(dir: &Path) -> Spool {
    open(dir, 1 << 30, 1 << 20)
}

pub(super) fn meta(seq: u64, form: Form, records: u32) -> Meta {
    Meta {
        seq,
        source: 7,
        form,
        records,
        raw_len: 99,
        first_ts_ns: 1000 + seq,
    }
}

/// Says which parcel it is in every place.
pub(super) fn payload(seq: u64, len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| (seq as usize * 31 + i * 7) as u8)
        .collect()
}

pub(super) fn put(spool: &mut Spool, seq: u64, form: Form, records: u32, len: usize) -> Position {
    spool
        .append(&meta(seq, form, records), &payload(seq, len))
        .unwrap()
}

pub(super) fn drain(spool: &mut Spool, r: ReaderId) -> Vec<u64> {
    std::iter::from_fn(|| spool.next(r))
        .map(|s| {
            assert_eq!(s.payload, payload(s.meta.seq, s.payload.len()));
            s.meta.seq
        })
        .collect()
}

pub(super) fn segment_files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = (fs::read_dir(dir).unwrap())
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "log"))
        .collect();
    files.sort();
    files
}

#[test]
fn what_was_put_in_comes_out_whole_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = roomy(dir.path());
    let r = spool.subscribe("vector", A);
    assert!(spool.next(r).is_none());
    let end = put(&mut spool, 0, A, 3, 100);
    put(&mut spool, 1, B, 5, 0);
    put(&mut spool, 2, A, 1, 200);
    let tally = |records, bytes| Tally { records, bytes };
    assert_eq!(spool.unread(r), tally(4, 300));
    let first = spool.next(r).unwrap();
    assert_eq!(first.meta, meta(0, A, 3));
    assert_eq!(first.payload, payload(0, 100));
    assert_eq!(first.end, end);
    assert_eq!(spool.unread(r), tally(1, 200));
    assert_eq!(drain(&mut spool, r), [2]);
    assert_eq!(spool.unread(r), Tally::default());
    assert_eq!(spool.take_losses(r), Losses::default());
    put(&mut spool, 3, A, 1, 10);
    assert_eq!(drain(&mut spool, r), [3]);
}

#[test]
fn the_folder_is_private_and_locked() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("a/spool");
    let first = roomy(&dir);
    let mode = fs::metadata(&dir).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let again = Spool::open(Options::new(dir.clone(), 1 << 20, 0));
    assert!(matches!(again, Err(OpenError::Busy(path)) if path == dir));
    drop(first);
    assert!(Spool::open(Options::new(dir, 1 << 20, 0)).is_ok());
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_with_its_name() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Spool::open(Options::new(file.join("spool"), 1 << 20, 0)).unwrap_err();
    assert!(error.to_string().contains("file/spool: "), "{error}");
}

#[test]
fn a_reader_goes_on_at_its_cursor() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = roomy(dir.path());
    let (a, _b) = (spool.subscribe("a", A), spool.subscribe("b", A));
    for seq in 0..5 {
        put(&mut spool, seq, A, 1, 10);
    }
    let upto = std::iter::from_fn(|| spool.next(a)).nth(2).unwrap().end;
    drain(&mut spool, a);
    spool.ack(a, upto);
    spool.save(true, Instant::now());
    drop(spool);
    let mut spool = roomy(dir.path());
    assert_eq!(spool.recovered().records, 5);
    let (a, c) = (spool.subscribe("a", A), spool.subscribe("c", A));
    let b = spool.subscribe("b", A);
    assert_eq!(spool.unread(a).records, 2);
    assert_eq!(drain(&mut spool, a), [3, 4]);
    assert_eq!(drain(&mut spool, b), [0, 1, 2, 3, 4]);
    assert_eq!(drain(&mut spool, c), [0, 1, 2, 3, 4]);
}

#[test]
fn cursors_are_written_once_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = roomy(dir.path());
    let (r, now) = (spool.subscribe("a", A), Instant::now());
    let path = cursor::path(dir.path(), "a");
    spool.save(false, now);
    for (seq, after, written) in [(0, 999, false), (1, 1000, true), (2, 1999, false)] {
        let end = put(&mut spool, seq, A, 1, 10);
        drain(&mut spool, r);
        spool.ack(r, end);
        spool.save(false, now + Duration::from_millis(after));
        assert_eq!(cursor::load(&path) == Some(end), written, "{seq}");
    }
}

#[test]
fn cursors_that_cannot_be_read_mean_from_the_oldest() {
    let whole = cursor::encode(Position::start_of(0));
    let far = cursor::encode(Position::start_of(format::NUMBERS));
    for garbage in [
        &b""[..],
        b"garbage",
        &[0; 32],
        &[0xff; 32],
        &[b'x'; 4096],
        &whole[..31],
        &far,
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = roomy(dir.path());
        for seq in 0..3 {
            put(&mut spool, seq, A, 1, 10);
        }
        drop(spool);
        fs::write(cursor::path(dir.path(), "a"), garbage).unwrap();
        let mut spool = roomy(dir.path());
        let r = spool.subscribe("a", A);
        assert_eq!(drain(&mut spool, r), [0, 1, 2]);
    }
}

#[test]
fn a_cursor_between_records_reads_the_one_it_lies_in() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = roomy(dir.path());
    put(&mut spool, 0, A, 1, 10);
    let mut at = put(&mut spool, 1, A, 1, 10);
    at.offset -= 1;
    cursor::store(&cursor::path(dir.path(), "a"), at, false).unwrap();
    let r = spool.subscribe("a", A);
    assert_eq!(drain(&mut spool, r), [1]);
    assert_eq!(spool.take_losses(r), Losses::default());
}

/// A cursor may point behind what the disk kept. New records must not come to lie before it.
#[test]
fn new_files_are_numbered_past_every_cursor() {
    let dir = tempfile::tempdir().unwrap();
    drop(roomy(dir.path()));
    let at = Position {
        segment: 41,
        offset: 4000,
    };
    cursor::store(&cursor::path(dir.path(), "a"), at, false).unwrap();
    let mut spool = roomy(dir.path());
    let r = spool.subscribe("a", A);
    let end = put(&mut spool, 0, A, 1, 10);
    assert_eq!(end.segment, 42);
    assert_eq!(drain(&mut spool, r), [0]);
}

#[test]
fn names_of_sinks_make_safe_and_different_files() {
    let dir = Path::new("/d");
    let long = "x".repeat(500);
    let names = [
        "a",
        "A",
        "a.tmp",
        "../a",
        "a/b",
        "ä",
        "",
        "%2e",
        ".",
        &long,
        &long[1..],
    ];
    let mut files: Vec<_> = names.iter().map(|n| cursor::path(dir, n)).collect();
    for file in &files {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert_eq!(file.parent(), Some(dir));
        assert!(name.starts_with("cur-") && !name.ends_with(".tmp") && name.len() < 200);
    }
    files.sort();
    files.dedup();
    assert_eq!(files.len(), names.len());
}

#[test]
fn files_go_once_nobody_needs_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 1 << 20, 1000);
    let (a, b) = (spool.subscribe("a", A), spool.subscribe("b", B));
    // Three to a file; the second one holds nothing for `b`, the third nothing for `a`.
    for (seq, form) in (0..).zip([A, B, A, A, A, A, B, B, B, A]) {
        put(&mut spool, seq, form, 1, 250);
    }
    assert_eq!(segment_files(dir.path()).len(), 4);
    let first = spool.next(b).unwrap();
    spool.ack(b, first.end);
    assert_eq!(segment_files(dir.path()).len(), 4);
    let ends: Vec<_> = std::iter::from_fn(|| spool.next(a))
        .map(|s| s.end)
        .collect();
    spool.ack(a, ends[4]);
    let left = segment_files(dir.path());
    assert_eq!(left.len(), 2);
    assert!(left[0].ends_with("seg-0000000000000002.log"));
    assert_eq!(drain(&mut spool, b), [6, 7, 8]);
    spool.unsubscribe(b);
    spool.ack(a, ends[5]);
    // The one being written stays until told to clear up.
    assert_eq!(segment_files(dir.path()).len(), 1);
    spool.save(true, Instant::now());
    assert_eq!(segment_files(dir.path()).len(), 0);
    assert_eq!(spool.stats().bytes, 0);
    assert_eq!(spool.stats().unclaimed_records, 3);
    put(&mut spool, 10, A, 1, 10);
    assert_eq!(drain(&mut spool, a), [10]);
}

#[test]
fn what_the_sink_takes_from_memory_is_not_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 1 << 20, 1000);
    let (a, late) = (spool.subscribe("a", A), spool.subscribe("late", A));
    for seq in 0..10 {
        let other = put(&mut spool, 100 + seq, B, 1, 100);
        assert!(!spool.skip_appended(a, other));
        let end = put(&mut spool, seq, A, 2, 100);
        assert!(spool.skip_appended(a, end));
        assert_eq!(spool.unread(a), Tally::default());
        if seq > 0 {
            assert!(!spool.skip_appended(late, end));
        }
    }
    assert!(spool.next(a).is_none());
    // What it had in memory was not sent: it comes from the disk.
    spool.rewind(a);
    assert_eq!(drain(&mut spool, a), (0..10).collect::<Vec<_>>());
    assert_eq!(drain(&mut spool, late), (0..10).collect::<Vec<_>>());
}

#[test]
fn the_age_is_that_of_the_oldest_that_somebody_needs() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = roomy(dir.path());
    let r = spool.subscribe("a", A);
    assert_eq!(spool.stats().oldest_ts_ns, None);
    for seq in 0..3 {
        put(&mut spool, seq, A, 1, 10);
    }
    assert_eq!(spool.stats().oldest_ts_ns, Some(1000));
    let ends: Vec<_> = std::iter::from_fn(|| spool.next(r))
        .map(|s| s.end)
        .collect();
    spool.ack(r, ends[0]);
    assert_eq!(spool.stats().oldest_ts_ns, Some(1001));
    spool.rewind(r);
    // Only the parcel before is known: near it, and not later.
    assert_eq!(spool.stats().oldest_ts_ns, Some(1000));
    drain(&mut spool, r);
    spool.ack(r, ends[2]);
    assert_eq!(spool.stats().oldest_ts_ns, None);
}
