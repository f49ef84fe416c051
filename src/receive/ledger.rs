//! The books: what was received, what came twice and what is missing, in bounded memory.
//!
//! podvisor numbers the records of each service without gaps from 0, anew in every run. So per path,
//! run and service it is enough to know the highest number and the gaps below it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use serde::Serialize;

use super::cut;
use super::decode::Seen;

/// Gaps that are remembered per path, run and service.
pub const MAX_GAPS: usize = 1024;
/// Paths, runs and services that are followed.
pub const MAX_TRACKS: usize = 1024;
/// What is kept of a path, a run or the name of a service, in bytes.
const MAX_NAME: usize = 256;

/// What was received so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests with records that were answered, well or ill, or cut off.
    pub requests: u64,
    /// Those of them that were not answered with success.
    pub failed: u64,
    /// Records that were kept, those that came twice among them.
    pub records: u64,
    /// Bytes of the bodies that records were kept from, unpacked.
    pub bytes: u64,
    /// Bytes of the same bodies as they were sent.
    pub wire_bytes: u64,
    /// Records that had come before: same path, `source_id`, service and `seq`.
    pub duplicates: u64,
    /// Numbers that were passed over between the first and the last.
    pub missing: u64,
    /// Places where numbers are missing.
    pub gaps: u64,
    /// Records without a number, of a service too many, or from a gap that was forgotten.
    pub untold: u64,
    /// By the name of the service.
    pub services: BTreeMap<String, ServiceCounts>,
}

/// What was received of one service, over all runs and paths.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ServiceCounts {
    /// As [`Counts::records`].
    pub records: u64,
    /// As [`Counts::duplicates`].
    pub duplicates: u64,
    /// As [`Counts::missing`].
    pub missing: u64,
    /// As [`Counts::gaps`].
    pub gaps: u64,
    /// The lowest number.
    pub first: Option<u64>,
    /// The highest number.
    pub last: Option<u64>,
}

/// Keeps the books.
#[derive(Debug, Default)]
pub struct Ledger {
    /// All but what the tracks know.
    counts: Counts,
    tracks: HashMap<String, Track>,
    /// The key under way, kept for its memory.
    key: String,
}

impl Ledger {
    /// A request was answered so, or not at all.
    pub fn request(&mut self, success: bool) {
        self.counts.requests += 1;
        self.counts.failed += u64::from(!success);
    }

    /// A body was kept, or some of it.
    pub fn body(&mut self, wire: usize, unpacked: usize) {
        self.counts.wire_bytes += wire as u64;
        self.counts.bytes += unpacked as u64;
    }

    /// A record was kept, sent to `path`.
    pub fn record(&mut self, path: &str, seen: &Seen<'_>) {
        self.counts.records += 1;
        self.key.clear();
        for part in [path, &seen.source, &seen.service] {
            self.key.push_str(cut(part, MAX_NAME));
            self.key.push('\n');
        }
        if !self.tracks.contains_key(&self.key) {
            if self.tracks.len() == MAX_TRACKS {
                self.counts.untold += 1;
                return;
            }
            let track = Track::new(cut(&seen.service, MAX_NAME));
            self.tracks.insert(self.key.clone(), track);
        }
        let Some(track) = self.tracks.get_mut(&self.key) else {
            return;
        };
        track.records += 1;
        match seen.seq.map_or(Note::Untold, |seq| track.note(seq)) {
            Note::New => {}
            Note::Duplicate => track.duplicates += 1,
            Note::Untold => self.counts.untold += 1,
        }
    }

    /// The books as they stand.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut all = self.counts.clone();
        for track in self.tracks.values() {
            let (missing, gaps) = track.missing();
            all.duplicates += track.duplicates;
            all.missing += missing;
            all.gaps += gaps;
            let service = all.services.entry(track.service.clone()).or_default();
            service.records += track.records;
            service.duplicates += track.duplicates;
            service.missing += missing;
            service.gaps += gaps;
            service.first = service.first.into_iter().chain(track.first).min();
            service.last = service.last.max(track.next.checked_sub(1));
        }
        all
    }
}

/// What is known of a number.
#[derive(Debug, PartialEq, Eq)]
enum Note {
    New,
    Duplicate,
    Untold,
}

/// The numbers of one path, run and service.
#[derive(Debug)]
struct Track {
    service: String,
    records: u64,
    duplicates: u64,
    first: Option<u64>,
    /// One above the highest number.
    next: u64,
    /// What is missing below: start to end, the end excluded. One that starts at 0 is what was sent
    /// before anybody listened.
    holes: BTreeMap<u64, u64>,
    /// Below this number, holes were forgotten.
    forgotten_below: u64,
    /// Numbers in them, and how many holes.
    forgotten: (u64, u64),
}

impl Track {
    fn new(service: &str) -> Self {
        Track {
            service: service.to_owned(),
            records: 0,
            duplicates: 0,
            first: None,
            next: 0,
            holes: BTreeMap::new(),
            forgotten_below: 0,
            forgotten: (0, 0),
        }
    }

    fn note(&mut self, seq: u64) -> Note {
        let Some(after) = seq.checked_add(1) else {
            return Note::Untold;
        };
        self.first = self.first.into_iter().chain([seq]).min();
        if seq >= self.next {
            self.hole(self.next..seq);
            self.next = after;
            return Note::New;
        }
        let around = self.holes.range(..=seq).next_back();
        match around.map(|(start, end)| *start..*end) {
            Some(hole) if hole.contains(&seq) => {
                self.holes.remove(&hole.start);
                self.hole(hole.start..seq);
                self.hole(after..hole.end);
                Note::New
            }
            _ if seq < self.forgotten_below => Note::Untold,
            _ => Note::Duplicate,
        }
    }

    fn hole(&mut self, hole: Range<u64>) {
        if hole.is_empty() {
            return;
        }
        self.holes.insert(hole.start, hole.end);
        if self.holes.len() > MAX_GAPS
            && let Some((start, end)) = self.holes.pop_first()
        {
            self.forgotten_below = end;
            if start > 0 {
                self.forgotten.0 += end - start;
                self.forgotten.1 += 1;
            }
        }
    }

    /// Numbers missing, and in how many gaps.
    fn missing(&self) -> (u64, u64) {
        let inner = self.holes.range(1..);
        inner.fold(self.forgotten, |(missing, gaps), (start, end)| {
            (missing + (end - start), gaps + 1)
        })
    }
}

#[cfg(test)]
mod tests;
