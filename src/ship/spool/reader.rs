//! One reader: it goes through the files in order, takes what has its form, and knows what it is not done with.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::format::form_index;
use super::segment::{Step, payload, step};
use super::writer::Appended;
use super::{Losses, Position, Segment, Spool, Stats, Stored, Tally};
use crate::ship::parcel::Form;

/// Parcels that a reader was given and is not done with, remembered one by one. Beyond it the last ones are remembered as
/// one. Whoever holds so many has other worries.
pub(super) const MAX_HANDED: usize = 65_536;

/// Where a reader is, and what it has met in this file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) at: Position,
    /// Of its form, in this file, before `at`; damaged or not.
    pub(super) taken: Tally,
    /// Log records of these that were damaged.
    corrupt: u64,
    /// Time of the last parcel before it, 0 when unknown.
    pub(super) ts_ns: u64,
}

impl Place {
    pub(super) fn start_of(segment: u64, ts_ns: u64) -> Self {
        Self {
            at: Position::start_of(segment),
            taken: Tally::default(),
            corrupt: 0,
            ts_ns,
        }
    }
}

/// A parcel given out.
#[derive(Debug)]
struct Handed {
    end: Place,
    records: u64,
}

/// One sink's way through the files.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) cursor: PathBuf,
    form: Form,
    read: Place,
    acked: Place,
    /// What lies between `acked` and `read`, oldest first.
    handed: VecDeque<Handed>,
    /// The file being read.
    file: Option<(u64, File)>,
    /// Log records counted as damaged, by file, so that reading again counts none twice. Only files from `acked` on.
    damage: BTreeMap<u64, u64>,
    pub(super) losses: Losses,
    /// What the cursor file says.
    pub(super) saved: Option<Position>,
}

impl Reader {
    /// A reader at `place`, which is what its cursor file says if `saved` is given.
    pub(super) fn new(cursor: PathBuf, form: Form, place: Place, saved: Option<Position>) -> Self {
        Self {
            cursor,
            form,
            read: place,
            acked: place,
            handed: VecDeque::new(),
            file: None,
            damage: BTreeMap::new(),
            losses: Losses::default(),
            saved,
        }
    }

    /// Everything before it is done.
    pub(super) fn acked(&self) -> Position {
        self.acked.at
    }

    /// Whether this file holds anything that it is not done with.
    pub(super) fn needs(&self, segment: &Segment) -> bool {
        let total = segment.total(self.form).records;
        match self.acked.at.segment.cmp(&segment.number) {
            Ordering::Less => total > 0,
            Ordering::Equal => self.acked.taken.records < total,
            Ordering::Greater => false,
        }
    }

    /// Whether its form is this one.
    pub(super) fn takes(&self, index: usize) -> bool {
        form_index(self.form) == index
    }

    /// The oldest file is removed although it may be needed: what was not read of it is lost.
    pub(super) fn forfeit(&mut self, segment: &Segment) {
        let place = match self.read.at.segment.cmp(&segment.number) {
            Ordering::Less => Place::start_of(segment.number, self.read.ts_ns),
            Ordering::Equal => self.read,
            Ordering::Greater => return self.forget(segment.number),
        };
        let lost = segment.total(self.form).minus(place.taken).records;
        let counted = self.damage.get(&segment.number).copied().unwrap_or(0);
        self.losses.cap += lost.saturating_sub(counted.saturating_sub(place.corrupt));
        self.read = Place::start_of(segment.number + 1, place.ts_ns);
        self.settle();
        self.forget(segment.number);
    }

    /// A file is removed: closes it, for its space is free only then.
    pub(super) fn forget(&mut self, number: u64) {
        self.damage.remove(&number);
        self.file = self.file.take().filter(|(open, _)| *open != number);
    }

    pub(super) fn unread(&self, segments: &VecDeque<Segment>) -> Tally {
        let mut unread = Tally::default();
        let from = Spool::index_of(segments, self.read.at.segment);
        for segment in segments.range(from..) {
            let total = segment.total(self.form);
            unread.add(if segment.number == self.read.at.segment {
                total.minus(self.read.taken)
            } else {
                total
            });
        }
        unread
    }

    /// See [`Stats::oldest_ts_ns`].
    pub(super) fn oldest(&self, segments: &VecDeque<Segment>) -> Option<u64> {
        if let Some(handed) = self.handed.front() {
            return Some(handed.end.ts_ns);
        }
        let first = segments.iter().find(|s| self.needs(s))?;
        Some(first.first_ts_ns.max(self.acked.ts_ns))
    }

    /// With nothing given out, all that was passed over is done too.
    fn settle(&mut self) {
        if self.handed.is_empty() {
            self.acked = self.read;
            self.damage = self.damage.split_off(&self.acked.at.segment);
        }
    }

    /// Passes over the record appended last, as if it had been read. False when there is more to read first.
    pub(super) fn skip(&mut self, last: &Appended, segments: &VecDeque<Segment>) -> bool {
        let Some(segment) = segments.back() else {
            return false;
        };
        if last.form != self.form || self.unread(segments).records != last.records {
            return false;
        }
        let same = self.read.at.segment == last.end.segment;
        self.read = Place {
            at: last.end,
            taken: segment.total(self.form),
            corrupt: if same { self.read.corrupt } else { 0 },
            ts_ns: last.ts_ns,
        };
        self.hand_out(last.records);
        true
    }

    /// Is done with what it was given up to `upto`. False when that changes nothing.
    pub(super) fn ack(&mut self, upto: Position) -> bool {
        let mut moved = false;
        while let Some(handed) = self.handed.pop_front_if(|h| h.end.at <= upto) {
            self.acked = handed.end;
            moved = true;
        }
        self.settle();
        moved
    }

    /// Goes back to where it is not done. What is not there any more is lost.
    pub(super) fn rewind(&mut self, segments: &VecDeque<Segment>) {
        for handed in self.handed.drain(..) {
            let number = handed.end.at.segment;
            if (segments.binary_search_by_key(&number, |s| s.number)).is_err() {
                self.losses.cap += handed.records;
            }
        }
        self.read = self.acked;
    }

    fn hand_out(&mut self, mut records: u64) {
        if self.handed.len() >= MAX_HANDED
            && let Some(last) = self.handed.pop_back()
        {
            records += last.records;
        }
        let end = self.read;
        self.handed.push_back(Handed { end, records });
    }

    fn spoil(&mut self, records: u64, stats: &mut Stats) {
        self.read.corrupt += records;
        if records > 0 {
            let counted = self.damage.entry(self.read.at.segment).or_default();
            let more = self.read.corrupt.saturating_sub(*counted);
            *counted += more;
            self.losses.corrupt += more;
            stats.corrupt_records += more;
        }
    }

    /// Opens the file to read from. False when it is not there any more.
    fn open(&mut self, dir: &Path) -> io::Result<bool> {
        let number = self.read.at.segment;
        if self.file.as_ref().is_none_or(|(open, _)| *open != number) {
            self.file = None;
            match File::open(Spool::segment_path(dir, number)) {
                Ok(file) => self.file = Some((number, file)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    pub(super) fn next(
        &mut self,
        segments: &VecDeque<Segment>,
        dir: &Path,
        stats: &mut Stats,
    ) -> Option<Stored> {
        loop {
            let index = Spool::index_of(segments, self.read.at.segment);
            let Some(segment) = segments.get(index) else {
                self.settle();
                return None;
            };
            if segment.number != self.read.at.segment {
                self.read = Place::start_of(segment.number, self.read.ts_ns);
            }
            let total = segment.total(self.form);
            let done = self.read.taken.records >= total.records;
            if done || self.read.at.offset >= segment.len {
                // What was counted when the file was written or found, and was not met: its headers are damaged.
                self.read.at.offset = segment.len;
                let missed = total.minus(self.read.taken).records;
                self.read.taken = total;
                self.spoil(missed, stats);
                let Some(next) = segments.get(index + 1) else {
                    self.settle();
                    return None;
                };
                self.read = Place::start_of(next.number, self.read.ts_ns);
                continue;
            }
            match self.open(dir) {
                Ok(true) => {}
                Ok(false) => {
                    self.read.at.offset = segment.len;
                    continue;
                }
                // As when there are too many open files: not the data's fault, so it waits.
                Err(_) => {
                    stats.read_errors += 1;
                    return None;
                }
            }
            if let Some(stored) = self.read_one(segment, stats) {
                return Some(stored);
            }
        }
    }

    /// Goes one record on, or to the end. None when it was another's, or damaged.
    fn read_one(&mut self, segment: &Segment, stats: &mut Stats) -> Option<Stored> {
        let (_, file) = self.file.as_ref()?;
        let (start, header) = match step(file, segment.number, self.read.at.offset, segment.len) {
            Ok(Step::Record { start, header, .. }) => (start, header),
            Ok(Step::End { .. }) => {
                self.read.at.offset = segment.len;
                return None;
            }
            Err(_) => {
                stats.read_errors += 1;
                self.read.at.offset = segment.len;
                return None;
            }
        };
        self.read.at.offset = start + header.size();
        if header.meta.form != self.form {
            return None;
        }
        let payload = payload(file, start, &header).unwrap_or_else(|_| {
            stats.read_errors += 1;
            None
        });
        self.read.taken.add(header.tally());
        self.read.ts_ns = header.meta.first_ts_ns;
        let records = header.meta.records.into();
        let Some(payload) = payload else {
            self.spoil(records, stats);
            return None;
        };
        self.hand_out(records);
        Some(Stored {
            meta: header.meta,
            payload: Bytes::from(payload),
            end: self.read.at,
        })
    }
}
