//! The cap, the full disk, and what goes when.

use std::time::{Duration, Instant};

use super::tests::{A, B, drain, meta, open, payload, put, roomy, segment_files};
use super::*;

#[test]
fn over_the_cap_the_oldest_go_and_are_counted_for_who_had_not_read_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 2200, 1000);
    let (a, b) = (spool.subscribe("a", A), spool.subscribe("b", B));
    for seq in 0..6 {
        put(&mut spool, seq, A, 10 + seq as u32, 250);
    }
    let first = spool.next(a).unwrap();
    // Needs room: the first file of three goes, of which `a` has one in its hands.
    put(&mut spool, 6, B, 1, 250);
    assert_eq!(segment_files(dir.path()).len(), 2);
    assert!(spool.stats().bytes <= 2200);
    let cap = |cap| Losses { cap, corrupt: 0 };
    assert_eq!(spool.take_losses(a), cap(11 + 12));
    assert_eq!(spool.take_losses(a), cap(0));
    assert_eq!(spool.take_losses(b), cap(0));
    spool.rewind(a);
    assert_eq!(spool.take_losses(a), cap(10));
    assert_eq!(drain(&mut spool, a), [3, 4, 5]);
    spool.ack(a, first.end);
    assert_eq!(drain(&mut spool, b), [6]);
}

#[test]
fn what_can_never_fit_is_refused_and_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 2000, 1000);
    let r = spool.subscribe("a", A);
    put(&mut spool, 0, A, 1, 100);
    let error = spool.append(&meta(1, A, 1), &payload(1, 1917)).unwrap_err();
    assert!(matches!(error, AppendError::TooLarge(1917)));
    assert_eq!(drain(&mut spool, r), [0]);
    put(&mut spool, 1, A, 1, 1916);
    assert_eq!(spool.stats().bytes, 2000);
    assert_eq!(drain(&mut spool, r), [1]);
}

#[test]
fn a_record_that_does_not_fit_on_the_disk_leaves_no_trace() {
    for room in [0, 1, 51, 52, 53, 151] {
        for no_truncate in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let mut spool = roomy(dir.path());
            let r = spool.subscribe("a", A);
            put(&mut spool, 0, A, 1, 100);
            let bytes = spool.stats().bytes;
            spool.faults.room = Some(room);
            spool.faults.no_truncate = no_truncate;
            let error = spool.append(&meta(1, A, 1), &payload(1, 100)).unwrap_err();
            assert!(matches!(error, AppendError::Io(_)), "{error}");
            assert_eq!(spool.stats().bytes, bytes);
            assert_eq!(spool.stats().write_errors, 1);
            spool.faults.room = None;
            assert_eq!(drain(&mut spool, r), [0]);
            put(&mut spool, 2, A, 1, 100);
            assert_eq!(drain(&mut spool, r), [2]);
            assert_eq!(
                segment_files(dir.path()).len(),
                1 + usize::from(no_truncate)
            );
            drop(spool);
            let mut spool = roomy(dir.path());
            let r = spool.subscribe("b", A);
            assert_eq!(drain(&mut spool, r), [0, 2]);
            assert_eq!(spool.recovered().records, 2);
        }
    }
}

#[test]
fn a_file_that_cannot_be_started_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = roomy(dir.path());
    spool.faults.room = Some(31);
    assert!(spool.append(&meta(0, A, 1), b"x").is_err());
    assert_eq!(segment_files(dir.path()).len(), 0);
    assert_eq!(spool.stats().bytes, 0);
    spool.faults.room = None;
    put(&mut spool, 0, A, 1, 1);
}

#[test]
fn the_last_of_the_disk_is_left_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = roomy(dir.path());
    put(&mut spool, 0, A, 1, 100);
    spool.faults.blocks = Some((4, 100));
    put(&mut spool, 1, A, 1, 100);
    // Looked at now and then only; but once it was low, each time.
    let large = vec![0; 1 << 20];
    let error = spool.append(&meta(2, A, 1), &large).unwrap_err();
    assert!(matches!(error, AppendError::DiskFull));
    assert_eq!(error.to_string(), "less than 5% of the disk is free");
    assert!(spool.append(&meta(1, A, 1), b"x").is_err());
    spool.faults.blocks = Some((5, 100));
    assert!(spool.append(&meta(1, A, 1), b"x").is_ok());
}

#[test]
fn fsync_changes_nothing_but_the_waiting() {
    for fsync in [Fsync::Always, Fsync::Interval(Duration::from_secs(1))] {
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options::new(dir.path().to_owned(), 1 << 20, 7);
        (options.fsync, options.segment_bytes) = (fsync, 500);
        let mut spool = Spool::open(options).unwrap();
        spool.faults.blocks = Some((50, 100));
        let r = spool.subscribe("a", A);
        for seq in 0..10 {
            put(&mut spool, seq, A, 1, 100);
            spool.save(false, Instant::now());
        }
        assert_eq!(drain(&mut spool, r), (0..10).collect::<Vec<_>>());
        assert_eq!(spool.stats().write_errors, 0);
    }
}

/// Prints how long opening takes: headers only, so it is a matter of the number of records.
#[test]
fn a_thousand_files_are_opened_in_no_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 1 << 30, 1000);
    for seq in 0..3000 {
        put(&mut spool, seq, A, 1, 250);
    }
    assert_eq!(segment_files(dir.path()).len(), 1000);
    drop(spool);
    let start = Instant::now();
    let mut spool = open(dir.path(), 1 << 30, 1000);
    println!("opened 1000 files in {:?}", start.elapsed());
    assert_eq!(spool.recovered().segments, 1000);
    let r = spool.subscribe("a", A);
    assert_eq!(spool.unread(r).records, 3000);
}

#[test]
fn there_are_never_too_many_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 1 << 30, 1);
    let r = spool.subscribe("a", A);
    // As if they were there: making so many takes seconds.
    for _ in 0..MAX_SEGMENTS {
        let mut segment = Segment::new(spool.next_number);
        segment.totals[form_index(A)].records = 3;
        spool.segments.push_back(segment);
        spool.bytes += segment.len;
        spool.next_number += 1;
    }
    for seq in 0..10 {
        put(&mut spool, seq, A, 1, 1);
    }
    assert_eq!(spool.stats().segments, MAX_SEGMENTS);
    assert_eq!(spool.take_losses(r).cap, 30);
}

#[test]
fn the_cap_may_take_the_very_file_being_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 2000, 1 << 20);
    let r = spool.subscribe("a", A);
    for seq in 0..10 {
        put(&mut spool, seq, A, 1, 500);
        assert!(spool.stats().bytes <= 2000);
    }
    assert_eq!(drain(&mut spool, r), [9]);
    assert_eq!(spool.take_losses(r).cap, 9);
}

/// Otherwise the space of what was removed would not be free.
#[test]
fn removed_files_are_not_kept_open() {
    let dir = tempfile::tempdir().unwrap();
    let removed_and_open = || {
        let links = std::fs::read_dir("/proc/self/fd").unwrap();
        links
            .filter_map(|l| std::fs::read_link(l.ok()?.path()).ok())
            .filter(|to| to.starts_with(dir.path()) && !to.exists())
            .count()
    };
    let mut spool = open(dir.path(), 3000, 1000);
    let (r, slow) = (spool.subscribe("a", A), spool.subscribe("slow", A));
    for seq in 0..6 {
        put(&mut spool, seq, A, 1, 250);
    }
    assert!(spool.next(slow).is_some());
    let third = std::iter::from_fn(|| spool.next(r)).nth(2).unwrap();
    for seq in 6..12 {
        put(&mut spool, seq, A, 1, 250);
    }
    assert_eq!(removed_and_open(), 0);
    spool.unsubscribe(slow);
    spool.ack(r, third.end);
    let last = std::iter::from_fn(|| spool.next(r)).last().unwrap();
    spool.ack(r, last.end);
    spool.save(true, Instant::now());
    assert_eq!(segment_files(dir.path()).len(), 0);
    assert_eq!(removed_and_open(), 0);
}

#[test]
fn what_a_reader_was_given_is_remembered_within_bounds() {
    let mut segments = VecDeque::from([Segment::new(0)]);
    let mut reader = Reader::new(PathBuf::new(), A, reader::Place::start_of(0, 0), None);
    let given = reader::MAX_HANDED + 100;
    let mut ends = Vec::new();
    for i in 0..given as u64 {
        let header = format::RecordHeader {
            meta: meta(i, A, 1),
            len: 0,
            payload_crc: 0,
        };
        let end = Position {
            segment: 0,
            offset: segments[0].len + header.size(),
        };
        segments[0].count(&header, end.offset);
        let last = Appended {
            end,
            form: A,
            records: 1,
            ts_ns: i,
        };
        assert!(reader.skip(&last, &segments));
        ends.push(end);
    }
    let remembered = reader::MAX_HANDED;
    assert!(reader.ack(ends[remembered - 2]));
    // The rest is one, and done when its last is done.
    assert!(!reader.ack(ends[given - 2]));
    assert_eq!(reader.acked(), ends[remembered - 2]);
    segments.clear();
    reader.rewind(&segments);
    assert_eq!(reader.losses.cap, 101);
}
