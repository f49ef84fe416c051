//! Writing: one record at a time at the end of one file, within the bounds, and what has to go for it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nix::sys::statvfs::statvfs;

use super::format::{FILE_HEADER, MAX_PAYLOAD, RECORD_HEADER, RecordHeader, file_header};
use super::{
    AppendError, Fsync, MAX_SEGMENTS, Meta, Position, SAVE_EVERY, Segment, Spool, Tally, cursor,
};
use crate::ship::parcel::Form;

/// What must stay free of the filesystem. The kubelet evicts pods when a node's disk gets near full, by default at 10 %.
pub(super) const MIN_FREE_PERCENT: u64 = 5;

/// Free space is looked at once for so many bytes written.
const FREE_CHECK_BYTES: u64 = 1024 * 1024;

/// The file being written: the last of the segments.
#[derive(Debug)]
pub(super) struct Active {
    file: File,
    unsynced: bool,
}

/// The record that was appended last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Appended {
    pub(super) end: Position,
    pub(super) form: Form,
    pub(super) records: u64,
    pub(super) ts_ns: u64,
}

/// A disk's misbehaviour, for tests.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Bytes that the disk still takes.
    pub(super) room: Option<u64>,
    /// Free and all blocks, in place of the real ones.
    pub(super) blocks: Option<(u64, u64)>,
    /// A file can't be cut off.
    pub(super) no_truncate: bool,
}

/// Takes the lock; None when another has it.
pub(super) fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

fn nearly_full(free: u64, all: u64) -> bool {
    u128::from(free) * 100 < u128::from(all) * u128::from(MIN_FREE_PERCENT)
}

impl Spool {
    /// Writes a parcel of at least one log record at the end. Over [`super::Options::max_bytes`] the oldest files go first;
    /// see [`Self::take_losses`].
    ///
    /// # Errors
    /// See [`AppendError`]. What was written of it is cut off again.
    pub fn append(&mut self, meta: &Meta, payload: &[u8]) -> Result<Position, AppendError> {
        let size = (RECORD_HEADER + payload.len()) as u64;
        let fits = size + FILE_HEADER as u64 <= self.options.max_bytes;
        if payload.len() > MAX_PAYLOAD || !fits {
            return Err(AppendError::TooLarge(payload.len()));
        }
        let header = RecordHeader {
            meta: *meta,
            len: payload.len() as u32,
            payload_crc: crc32fast::hash(payload),
        };
        let written = self.try_append(&header, payload);
        self.stats.write_errors += u64::from(written.is_err());
        written
    }

    fn try_append(
        &mut self,
        header: &RecordHeader,
        payload: &[u8],
    ) -> Result<Position, AppendError> {
        let size = header.size();
        self.check_free(size)?;
        let filled = self.segments.back().map_or(0, |s| s.len);
        if filled > FILE_HEADER as u64 && filled + size > self.options.segment_bytes {
            self.close();
        }
        self.make_room(size + FILE_HEADER as u64)?;
        let mut active = match self.active.take() {
            Some(active) => active,
            None => self.create()?,
        };
        let Some(segment) = self.segments.back_mut() else {
            return Err(io::Error::other("no file is open").into());
        };
        let start = segment.len;
        let head = header.encode(segment.number, start);
        #[cfg(test)]
        let written = self.faults.write(&mut active.file, &head, payload);
        #[cfg(not(test))]
        let written = write(&mut active.file, &head, payload);
        let synced = match (&written, self.options.fsync) {
            (Ok(()), Fsync::Always) => active.file.sync_data(),
            _ => Ok(()),
        };
        let unsynced = synced.is_err();
        if let Err(e) = written.and(synced) {
            #[cfg(test)]
            let cut = self.faults.truncate(&active.file, start);
            #[cfg(not(test))]
            let cut = active.file.set_len(start);
            // What can't be cut off stays the file's end, and the next start sees to it. And after a failed fsync nobody knows
            // what the file holds.
            let usable = cut.is_ok() && !unsynced;
            self.active = usable.then_some(active);
            return Err(e.into());
        }
        active.unsynced = self.options.fsync != Fsync::Always;
        self.active = Some(active);
        self.bytes += size;
        segment.count(header, start + size);
        let end = Position {
            segment: segment.number,
            offset: segment.len,
        };
        self.last = Some(Appended {
            end,
            form: header.meta.form,
            records: header.meta.records.into(),
            ts_ns: header.meta.first_ts_ns,
        });
        Ok(end)
    }

    fn check_free(&mut self, size: u64) -> Result<(), AppendError> {
        self.since_free_check = self.since_free_check.saturating_add(size);
        if self.since_free_check < FREE_CHECK_BYTES {
            return Ok(());
        }
        let blocks = statvfs(&self.options.path)
            .ok()
            .map(|fs| (fs.blocks_available(), fs.blocks()));
        #[cfg(test)]
        let blocks = self.faults.blocks.or(blocks);
        // A filesystem that doesn't tell shows at writing that it is full.
        if blocks.is_some_and(|(free, all)| nearly_full(free, all)) {
            self.since_free_check = u64::MAX;
            return Err(AppendError::DiskFull);
        }
        self.since_free_check = 0;
        Ok(())
    }

    /// Removes the oldest until `need` bytes more are within the bounds.
    fn make_room(&mut self, need: u64) -> io::Result<()> {
        let max = self.options.max_bytes;
        while self.bytes.saturating_add(need) > max || self.segments.len() >= MAX_SEGMENTS {
            if let Some((path, size)) = self.bad.front() {
                Self::unlink(path)?;
                self.bytes = self.bytes.saturating_sub(*size);
                self.bad.pop_front();
            } else if let Some(oldest) = self.segments.front().copied() {
                Self::unlink(&Self::segment_path(&self.options.path, oldest.number))?;
                self.segments.pop_front();
                self.bytes = self.bytes.saturating_sub(oldest.len);
                if self.segments.is_empty() {
                    self.active = None;
                }
                for reader in self.readers.iter_mut().flatten() {
                    reader.forfeit(&oldest);
                }
            } else {
                break;
            }
        }
        Ok(())
    }

    fn create(&mut self) -> io::Result<Active> {
        let number = self.next_number;
        self.next_number = number.saturating_add(1);
        let path = Self::segment_path(&self.options.path, number);
        let mut file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let created_ns = now.map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX));
        let header = file_header(number, created_ns, self.options.source);
        #[cfg(test)]
        let written = self.faults.write(&mut file, &header, &[]);
        #[cfg(not(test))]
        let written = write(&mut file, &header, &[]);
        if let Err(e) = written {
            // Should it stay, the next start removes it.
            let _ = fs::remove_file(&path);
            return Err(e);
        }
        if self.options.fsync != Fsync::Never {
            // So that the name survives too.
            let synced = File::open(&self.options.path).and_then(|dir| dir.sync_all());
            self.stats.write_errors += u64::from(synced.is_err());
        }
        self.segments.push_back(Segment::new(number));
        self.bytes += FILE_HEADER as u64;
        Ok(Active {
            file,
            unsynced: false,
        })
    }

    /// Ends the file being written.
    fn close(&mut self) {
        self.sync();
        self.active = None;
    }

    /// Forces what was written to the disk, if that is wanted at all. After a failure the file is not written any more.
    fn sync(&mut self) {
        let Some(active) = &mut self.active else {
            return;
        };
        if self.options.fsync == Fsync::Never || !active.unsynced {
            return;
        }
        active.unsynced = false;
        if active.file.sync_data().is_err() {
            self.stats.write_errors += 1;
            self.active = None;
        }
    }

    /// Removes what no reader needs. The file being written stays, unless `all` is set.
    pub(super) fn sweep(&mut self, all: bool) {
        if self.readers.iter().all(Option::is_none) {
            return;
        }
        let keep = if self.active.is_some() && !all {
            self.segments.back().map(|s| s.number)
        } else {
            None
        };
        let newest = self.segments.back().map(|s| s.number);
        self.segments.retain(|segment| {
            let needed = self.readers.iter().flatten().any(|r| r.needs(segment));
            if needed || keep == Some(segment.number) {
                return true;
            }
            if Self::unlink(&Self::segment_path(&self.options.path, segment.number)).is_err() {
                self.stats.write_errors += 1;
                return true;
            }
            self.bytes = self.bytes.saturating_sub(segment.len);
            for (form, Tally { records, .. }) in segment.totals.iter().enumerate() {
                if !self.readers.iter().flatten().any(|r| r.takes(form)) {
                    self.stats.unclaimed_records += records;
                }
            }
            for reader in self.readers.iter_mut().flatten() {
                reader.forget(segment.number);
            }
            false
        });
        if self.segments.back().map(|s| s.number) != newest {
            self.active = None;
        }
    }

    /// The regular work: cursors, at most once a second unless `force`, fsync as configured, and removal of what nobody needs,
    /// with `force` also of the file being written.
    pub fn save(&mut self, force: bool, now: Instant) {
        if let Fsync::Interval(interval) = self.options.fsync {
            let since = self.synced.map(|then| now.saturating_duration_since(then));
            if force || since.is_none_or(|d| d >= interval) {
                self.synced = Some(now);
                self.sync();
            }
        }
        let since = self.saved.map(|then| now.saturating_duration_since(then));
        if force || since.is_none_or(|d| d >= SAVE_EVERY) {
            self.saved = Some(now);
            self.save_cursors();
            self.sweep(force);
        }
    }

    pub(super) fn save_cursors(&mut self) {
        let sync = self.options.fsync != Fsync::Never;
        for reader in self.readers.iter_mut().flatten() {
            let at = reader.acked();
            if reader.saved == Some(at) {
                continue;
            }
            match cursor::store(&reader.cursor, at, sync) {
                Ok(()) => reader.saved = Some(at),
                Err(_) => self.stats.write_errors += 1,
            }
        }
    }
}

/// Header and payload at once. A short write is the disk's last word before it is full.
fn write(file: &mut File, head: &[u8], payload: &[u8]) -> io::Result<()> {
    let want = head.len() + payload.len();
    loop {
        match file.write_vectored(&[IoSlice::new(head), IoSlice::new(payload)]) {
            Ok(n) if n == want => return Ok(()),
            Ok(_) => return Err(io::ErrorKind::StorageFull.into()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
impl Faults {
    fn write(&mut self, file: &mut File, head: &[u8], payload: &[u8]) -> io::Result<()> {
        let want = head.len() + payload.len();
        match &mut self.room {
            Some(room) if (*room as usize) < want => {
                let all = [head, payload].concat();
                write(file, &all[..*room as usize], &[])?;
                *room = 0;
                Err(io::ErrorKind::StorageFull.into())
            }
            room => {
                *room = room.map(|r| r - want as u64);
                write(file, head, payload)
            }
        }
    }

    fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        if self.no_truncate {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        file.set_len(len)
    }
}
