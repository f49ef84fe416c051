//! What a sink does with the spool: it subscribes, reads its parcels back, and says when it is done with them.

use std::fs::File;

use super::format::FILE_HEADER;
use super::reader::{Place, Reader};
use super::segment::{Step, step};
use super::{Losses, Position, ReaderId, Spool, Stored, Tally, cursor};
use crate::ship::parcel::Form;

impl Spool {
    /// A reader for this sink and form. It goes on where the sink was done, or at the oldest record when that is not known.
    /// Subscribe all sinks before the first [`Self::ack`] or [`Self::save`]: what no reader needs is removed then.
    pub fn subscribe(&mut self, sink: &str, form: Form) -> ReaderId {
        let cursor = cursor::path(&self.options.path, sink);
        let saved = cursor::load(&cursor);
        let place = self.place(saved.unwrap_or(Position::start_of(0)), form);
        let reader = Reader::new(cursor, form, place, saved);
        let free = self.readers.iter().position(Option::is_none);
        let id = free.unwrap_or(self.readers.len());
        match self.readers.get_mut(id) {
            Some(slot) => *slot = Some(reader),
            None => self.readers.push(Some(reader)),
        }
        ReaderId(id)
    }

    /// Ends a reader: it holds no files any more. Its cursor is written, should the sink come back. The id may be given to
    /// another.
    pub fn unsubscribe(&mut self, r: ReaderId) {
        self.save_cursors();
        if let Some(slot) = self.readers.get_mut(r.0) {
            *slot = None;
        }
    }

    /// The place that a cursor stands for. Should it not lie between two records, then before it: rather twice than never.
    fn place(&self, at: Position, form: Form) -> Place {
        let mut place = Place::start_of(at.segment, 0);
        let index = Self::index_of(&self.segments, at.segment);
        let segment = self.segments.get(index);
        let Some(segment) = segment.filter(|s| s.number == at.segment) else {
            return place;
        };
        if at.offset <= FILE_HEADER as u64 {
            return place;
        }
        let Ok(file) = File::open(Self::segment_path(&self.options.path, at.segment)) else {
            return place;
        };
        let end = at.offset.min(segment.len);
        while let Ok(Step::Record { start, header, .. }) =
            step(&file, segment.number, place.at.offset, end)
        {
            place.at.offset = start + header.size();
            if header.meta.form == form {
                place.taken.add(header.tally());
                place.ts_ns = header.meta.first_ts_ns;
            }
        }
        place
    }

    fn reader(&mut self, r: ReaderId) -> Option<&mut Reader> {
        self.readers.get_mut(r.0)?.as_mut()
    }

    /// What was lost for this reader since it was last asked.
    pub fn take_losses(&mut self, r: ReaderId) -> Losses {
        self.reader(r)
            .map(|reader| std::mem::take(&mut reader.losses))
            .unwrap_or_default()
    }

    /// What is on disk for this reader and was not given to it yet.
    #[must_use]
    pub fn unread(&self, r: ReaderId) -> Tally {
        let reader = self.readers.get(r.0).and_then(Option::as_ref);
        reader.map_or(Tally::default(), |r| r.unread(&self.segments))
    }

    /// The next parcel of the reader's form, whole. None when there is no more for now.
    pub fn next(&mut self, r: ReaderId) -> Option<Stored> {
        let reader = self.readers.get_mut(r.0)?.as_mut()?;
        reader.next(&self.segments, &self.options.path, &mut self.stats)
    }

    /// The sink takes the parcel that was just appended, and ends at `at`, from memory: it is as if [`Self::next`] had given
    /// it. False when the reader has others to read first, or the parcel isn't of its form: then it comes in its turn.
    #[must_use]
    pub fn skip_appended(&mut self, r: ReaderId, at: Position) -> bool {
        let Some(last) = self.last.filter(|last| last.end == at) else {
            return false;
        };
        let reader = self.readers.get_mut(r.0).and_then(Option::as_mut);
        reader.is_some_and(|reader| reader.skip(&last, &self.segments))
    }

    /// The sink is done with all it was given up to `upto`. Files that nobody needs any more are removed.
    pub fn ack(&mut self, r: ReaderId, upto: Position) {
        if self.reader(r).is_some_and(|reader| reader.ack(upto)) {
            self.sweep(false);
        }
    }

    /// The sink gives up what it was given and is not done with: [`Self::next`] gives it once more. What is not on disk any
    /// more is lost.
    pub fn rewind(&mut self, r: ReaderId) {
        if let Some(reader) = self.readers.get_mut(r.0).and_then(Option::as_mut) {
            reader.rewind(&self.segments);
        }
    }
}
