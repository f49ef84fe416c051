//! What a crash, a bad disk or a stranger does to the files.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::Instant;

use proptest::prelude::*;

use super::tests::{A, B, drain, meta, open, payload, put, roomy, segment_files};
use super::*;

/// Six parcels of two forms in two files, and a cursor.
struct Sample {
    dir: tempfile::TempDir,
    files: Vec<(PathBuf, Vec<u8>)>,
    /// Where each parcel starts and ends, and its form.
    parcels: Vec<(u64, Position, Form)>,
}

impl Sample {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = open(dir.path(), 1 << 20, 400);
        let r = spool.subscribe("a", A);
        let parcels = (0..6)
            .map(|seq| {
                let form = if seq % 3 == 1 { B } else { A };
                let end = put(&mut spool, seq, form, 10, 60);
                (end.offset - 60 - 52, end, form)
            })
            .collect();
        let first = spool.next(r).unwrap();
        spool.ack(r, first.end);
        spool.save(true, Instant::now());
        drop(spool);
        let mut files: Vec<_> = (fs::read_dir(dir.path()).unwrap())
            .map(|e| e.unwrap().path())
            .map(|path| (path.clone(), fs::read(&path).unwrap()))
            .collect();
        files.sort();
        assert_eq!(segment_files(dir.path()).len(), 2);
        assert_eq!(files.len(), 4);
        Self {
            dir,
            files,
            parcels,
        }
    }

    fn restore(&self) {
        for entry in fs::read_dir(self.dir.path()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for (path, bytes) in &self.files {
            fs::write(path, bytes).unwrap();
        }
    }

    /// The parcel that this byte belongs to.
    fn hit(&self, path: &Path, offset: u64) -> Option<u64> {
        let at = (self.parcels.iter()).position(|(start, end, _)| {
            Spool::segment_path(self.dir.path(), end.segment) == path
                && (*start..end.offset).contains(&offset)
        });
        at.map(|i| i as u64)
    }

    fn expected(&self, form: Form, hit: Option<u64>) -> Vec<u64> {
        (0..6)
            .filter(|seq| self.parcels[*seq as usize].2 == form && Some(*seq) != hit)
            .collect()
    }
}

fn flip(path: &Path, bytes: &[u8], offset: usize, with: u8) {
    let mut bytes = bytes.to_owned();
    bytes[offset] ^= with;
    fs::write(path, bytes).unwrap();
}

/// Every byte of every file, damaged while nobody looks.
#[test]
fn a_byte_flipped_costs_only_the_record_it_was_in() {
    let sample = Sample::new();
    for (path, bytes) in &sample.files {
        for offset in 0..bytes.len() {
            sample.restore();
            // Every bit gets its turn.
            flip(path, bytes, offset, 1 << (offset % 8));
            let hit = sample.hit(path, offset as u64);
            let mut spool = open(sample.dir.path(), 1 << 20, 400);
            let known = spool.subscribe("a", A);
            for (name, form) in [("x", A), ("y", B)] {
                let r = spool.subscribe(name, form);
                let there = spool.unread(r).records;
                let got = drain(&mut spool, r);
                assert_eq!(got, sample.expected(form, hit), "{path:?} {offset}");
                let lost = spool.take_losses(r);
                assert_eq!(there, got.len() as u64 * 10 + lost.corrupt);
                assert_eq!(lost.cap, 0);
            }
            let got = drain(&mut spool, known);
            let all = sample.expected(A, hit);
            assert!(got == all || got.iter().eq(all.iter().filter(|s| **s != 0)));
            let (found, stats) = (spool.recovered(), spool.stats());
            let noticed = found.truncated + stats.corrupt_records;
            assert_eq!(noticed > 0, hit.is_some(), "{path:?} {offset}");
            assert_eq!(found.bad, 0);
            if hit == Some(5) {
                assert_eq!(
                    found.truncated, 1,
                    "no reader stumbles over the very last one"
                );
            }
        }
    }
}

/// The same under a reader's eyes: then the loss is known to the record.
#[test]
fn a_byte_flipped_after_the_start_is_counted_exactly() {
    let sample = Sample::new();
    for (path, bytes) in &sample.files {
        for offset in (0..bytes.len()).step_by(3) {
            sample.restore();
            let mut spool = open(sample.dir.path(), 1 << 20, 400);
            let readers = [("x", A), ("y", B)].map(|(n, form)| (spool.subscribe(n, form), form));
            flip(path, bytes, offset, 0xff);
            let hit = sample.hit(path, offset as u64);
            for (r, form) in readers {
                for _ in 0..2 {
                    assert_eq!(drain(&mut spool, r), sample.expected(form, hit));
                    assert_eq!(spool.unread(r).records, 0);
                    spool.rewind(r);
                }
                let corrupt = match hit {
                    Some(hit) if sample.parcels[hit as usize].2 == form => 10,
                    _ => 0,
                };
                assert_eq!(spool.take_losses(r), Losses { cap: 0, corrupt });
            }
        }
    }
}

/// A crash in the middle of a write, at every byte.
#[test]
fn a_file_cut_anywhere_keeps_all_whole_records_and_takes_new_ones() {
    let sample = Sample::new();
    let path = segment_files(sample.dir.path()).remove(1);
    let whole = fs::read(&path).unwrap().len();
    for len in 0..=whole {
        sample.restore();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(len as u64).unwrap();
        let mut spool = open(sample.dir.path(), 1 << 20, 400);
        put(&mut spool, 6, A, 10, 60);
        let r = spool.subscribe("x", A);
        let mut expected = sample.expected(A, None);
        expected.retain(|seq| {
            let end = sample.parcels[*seq as usize].1;
            end.segment == 0 || end.offset <= len as u64
        });
        expected.push(6);
        assert_eq!(drain(&mut spool, r), expected, "{len}");
        assert_eq!(spool.take_losses(r), Losses::default());
        drop(spool);
        let spool = open(sample.dir.path(), 1 << 20, 400);
        assert_eq!(spool.recovered().truncated, 0, "mended for good");
        assert_eq!(spool.recovered().damaged, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Anything at all in place of a file.
    #[test]
    fn garbage_is_walked_to_its_end(data in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut records = 0;
        let walk = segment::walk(&data[..], 0, data.len() as u64, |_, _| records += 1);
        prop_assert_eq!(records, 0);
        prop_assert_eq!(walk.damaged, 0);
        prop_assert!(!walk.cut_short);
    }

    /// Whole records among garbage are all found, and nothing else.
    #[test]
    fn records_among_garbage_are_found(
        parts in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..200), 0..300usize),
            1..8,
        ),
    ) {
        let mut data = format::file_header(3, 0, 0).to_vec();
        let mut expected = Vec::new();
        for (garbage, len) in parts {
            data.extend(garbage);
            let payload = payload(1, len);
            let header = format::RecordHeader {
                meta: meta(1, B, 1),
                len: len as u32,
                payload_crc: crc32fast::hash(&payload),
            };
            expected.push(data.len() as u64);
            data.extend(header.encode(3, data.len() as u64));
            data.extend(payload);
        }
        let mut found = Vec::new();
        let walk = segment::walk(&data[..], 3, data.len() as u64, |at, _| found.push(at));
        prop_assert_eq!(found, expected);
        prop_assert_eq!(walk.end, data.len() as u64);
    }
}

#[test]
fn a_search_finds_what_lies_across_its_windows() {
    for gap in 65_500..65_700 {
        let mut data = format::file_header(0, 0, 0).to_vec();
        data.resize(gap, b'P');
        let header = format::RecordHeader {
            meta: meta(1, B, 1),
            len: 0,
            payload_crc: 0,
        };
        data.extend(header.encode(0, gap as u64));
        let mut found = Vec::new();
        segment::walk(&data[..], 0, data.len() as u64, |at, _| found.push(at));
        assert_eq!(found, [gap as u64]);
    }
}

#[test]
fn files_of_others_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let names = [
        "notes.txt",
        "seg-1.log",
        "seg-000000000000000G.log",
        "seg-ffffffffffffffff.log",
    ];
    for name in names {
        fs::write(dir.path().join(name), vec![b'x'; 5000]).unwrap();
    }
    fs::create_dir(dir.path().join("seg-0000000000000001.log")).unwrap();
    std::os::unix::fs::symlink("notes.txt", dir.path().join("seg-0000000000000002.log")).unwrap();
    let mut spool = open(dir.path(), 3000, 1000);
    let r = spool.subscribe("a", A);
    assert_eq!(spool.recovered(), Recovered::default());
    // They may be in the way of a number, once.
    for seq in 0..20 {
        let _ = spool.append(&meta(seq, A, 1), &payload(seq, 400));
    }
    assert!(spool.next(r).is_some());
    spool.save(true, Instant::now());
    for name in names {
        assert_eq!(fs::read(dir.path().join(name)).unwrap(), vec![b'x'; 5000]);
    }
    assert!(dir.path().join("seg-0000000000000002.log").is_symlink());
}

#[test]
fn a_newer_version_is_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = roomy(dir.path());
    put(&mut spool, 0, A, 1, 100);
    drop(spool);
    let path = &segment_files(dir.path())[0];
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    let mut header = format::file_header(0, 0, 0);
    header[4] = 2;
    format::seal(&mut header, &[0]);
    file.write_all_at(&header, 0).unwrap();
    let spool = roomy(dir.path());
    assert_eq!(spool.recovered().bad, 1);
    assert!(path.with_extension("bad").exists() && !path.exists());
}

#[test]
fn few_bad_files_are_kept_and_they_are_the_first_to_go() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..6u64 {
        fs::write(Spool::segment_path(dir.path(), number), [b'x'; 500]).unwrap();
    }
    let mut spool = open(dir.path(), 2600, 1000);
    assert_eq!(spool.recovered().bad, 6);
    assert_eq!(spool.stats().bytes, 4 * 500);
    let r = spool.subscribe("a", A);
    for seq in 0..4 {
        assert!(put(&mut spool, seq, A, 1, 400).segment >= 6);
        assert!(spool.stats().bytes <= 2600);
    }
    assert_eq!(drain(&mut spool, r), [0, 1, 2, 3]);
}

#[test]
fn a_file_taken_away_is_a_loss_and_no_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 1 << 20, 1000);
    let r = spool.subscribe("a", A);
    for seq in 0..9 {
        put(&mut spool, seq, A, 2, 250);
    }
    fs::remove_file(&segment_files(dir.path())[1]).unwrap();
    assert_eq!(drain(&mut spool, r), [0, 1, 2, 6, 7, 8]);
    assert_eq!(spool.take_losses(r).corrupt, 6);
    // Reading again finds the same damage, and counts it once.
    spool.rewind(r);
    assert_eq!(drain(&mut spool, r), [0, 1, 2, 6, 7, 8]);
    assert_eq!(spool.take_losses(r).corrupt, 0);
    assert_eq!(spool.stats().corrupt_records, 6);
}

/// A log line that quotes the spool's own file must not be taken for a record, even when what is around it is damaged.
#[test]
fn a_record_quoted_in_another_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = roomy(dir.path());
    put(&mut spool, 0, A, 1, 10);
    let path = segment_files(dir.path()).remove(0);
    let quoted = fs::read(&path).unwrap();
    spool.append(&meta(1, A, 1), &quoted).unwrap();
    put(&mut spool, 2, A, 1, 10);
    drop(spool);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[0], (FILE_HEADER + 52 + 10) as u64)
        .unwrap();
    let mut spool = roomy(dir.path());
    let r = spool.subscribe("a", A);
    assert_eq!(drain(&mut spool, r), [0, 2]);
    assert_eq!(spool.recovered().damaged, 1);
}

/// Damages the payload's last byte of the record that ends here.
fn spoil(spool: &Spool, end: Position) {
    let path = Spool::segment_path(&spool.options.path, end.segment);
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[0xaa], end.offset - 1).unwrap();
}

#[test]
fn a_damaged_end_holds_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 1 << 20, 1000);
    let r = spool.subscribe("a", A);
    let ends: Vec<_> = (0..6).map(|s| put(&mut spool, s, A, 1, 250)).collect();
    spoil(&spool, ends[2]);
    spoil(&spool, ends[5]);
    assert_eq!(drain(&mut spool, r), [0, 1, 3, 4]);
    spool.ack(r, ends[1]);
    assert_eq!(segment_files(dir.path()).len(), 2, "3 and 4 are out");
    spool.ack(r, ends[4]);
    spool.save(true, Instant::now());
    assert_eq!(segment_files(dir.path()).len(), 0);
    assert_eq!(spool.take_losses(r).corrupt, 2);
}

#[test]
fn damage_before_and_after_what_came_from_memory_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = roomy(dir.path());
    let r = spool.subscribe("a", A);
    let end = put(&mut spool, 0, A, 3, 50);
    spoil(&spool, end);
    assert!(drain(&mut spool, r).is_empty());
    let end = put(&mut spool, 1, A, 1, 50);
    assert!(spool.skip_appended(r, end));
    let end = put(&mut spool, 2, A, 3, 50);
    spoil(&spool, end);
    assert!(drain(&mut spool, r).is_empty());
    assert_eq!(spool.take_losses(r).corrupt, 6);
}

#[test]
fn what_is_damaged_and_then_removed_is_lost_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 2200, 1000);
    let r = spool.subscribe("a", A);
    let ends: Vec<_> = (0..6).map(|s| put(&mut spool, s, A, 10, 250)).collect();
    spoil(&spool, ends[1]);
    assert_eq!(drain(&mut spool, r), [0, 2, 3, 4, 5]);
    spool.rewind(r);
    put(&mut spool, 6, A, 10, 250);
    let (cap, corrupt) = (20, 10);
    assert_eq!(spool.take_losses(r), Losses { cap, corrupt });
    assert_eq!(drain(&mut spool, r), [3, 4, 5, 6]);
}
