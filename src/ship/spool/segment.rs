//! Records found in the bytes of one segment file. Pure but for reading: nothing here knows of folders or readers.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::format::{FILE_HEADER, RECORD_HEADER, RecordHeader};

/// Bytes that the search for the next record reads at once.
const SEARCH_WINDOW: usize = 64 * 1024;

/// What can be read at an offset: a file, or bytes in memory.
pub trait ReadAt {
    /// Fills `buf` or fails.
    ///
    /// # Errors
    /// `UnexpectedEof` past the end, and what the system says.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for File {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buf, offset)
    }
}

impl ReadAt for [u8] {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).ok().and_then(|at| self.get(at..));
        let Some(found) = from.and_then(|rest| rest.get(..buf.len())) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        buf.copy_from_slice(found);
        Ok(())
    }
}

/// What lies at or after an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A record: its header is whole, its payload lies within the file but was not looked at.
    Record {
        /// Offset of its header.
        start: u64,
        /// The header.
        header: RecordHeader,
        /// Damaged bytes before it.
        skipped: u64,
    },
    /// No more records.
    End {
        /// Damaged bytes up to the end.
        skipped: u64,
    },
}

/// The first record at or after `offset` of file `number`, which is `len` bytes long. Damage is passed over.
///
/// # Errors
/// What reading came to.
pub fn step(data: &(impl ReadAt + ?Sized), number: u64, offset: u64, len: u64) -> io::Result<Step> {
    let mut bytes = [0; RECORD_HEADER];
    if offset + RECORD_HEADER as u64 <= len {
        data.read_exact_at(&mut bytes, offset)?;
        if let Some(header) = fitting(&bytes, number, offset, len) {
            return Ok(Step::Record {
                start: offset,
                header,
                skipped: 0,
            });
        }
    }
    let found = search(data, number, offset + 1, len)?;
    Ok(match found {
        Some((start, header)) => Step::Record {
            start,
            header,
            skipped: start - offset,
        },
        None => Step::End {
            skipped: len.saturating_sub(offset),
        },
    })
}

fn fitting(
    bytes: &[u8; RECORD_HEADER],
    number: u64,
    offset: u64,
    len: u64,
) -> Option<RecordHeader> {
    RecordHeader::parse(bytes, number, offset).filter(|h| offset + h.size() <= len)
}

fn search(
    data: &(impl ReadAt + ?Sized),
    number: u64,
    mut offset: u64,
    len: u64,
) -> io::Result<Option<(u64, RecordHeader)>> {
    let mut window = Vec::new();
    while offset + RECORD_HEADER as u64 <= len {
        let size = (len - offset).min(SEARCH_WINDOW as u64);
        window.resize(size as usize, 0);
        data.read_exact_at(&mut window, offset)?;
        for (at, bytes) in (offset..).zip(window.array_windows()) {
            if let Some(header) = fitting(bytes, number, at, len) {
                return Ok(Some((at, header)));
            }
        }
        offset += size - (RECORD_HEADER as u64 - 1);
    }
    Ok(None)
}

/// What a walk over a whole file found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Walk {
    /// End of the last record: what follows is no use.
    pub end: u64,
    /// Stretches of damage between records.
    pub damaged: u64,
    /// Bytes in them.
    pub damaged_bytes: u64,
    /// Reading failed before the file's end, so it may hold more.
    pub cut_short: bool,
}

/// Hands every record of file `number` with its offset to `each`, without reading payloads.
pub fn walk(
    data: &(impl ReadAt + ?Sized),
    number: u64,
    len: u64,
    mut each: impl FnMut(u64, &RecordHeader),
) -> Walk {
    let mut walk = Walk {
        end: FILE_HEADER as u64,
        ..Walk::default()
    };
    while walk.end < len {
        match step(data, number, walk.end, len) {
            Ok(Step::Record {
                start,
                header,
                skipped,
            }) => {
                walk.damaged += u64::from(skipped > 0);
                walk.damaged_bytes += skipped;
                walk.end = start + header.size();
                each(start, &header);
            }
            Ok(Step::End { .. }) => break,
            Err(_) => {
                walk.cut_short = true;
                break;
            }
        }
    }
    walk
}

/// The payload of a record whose header is at `start`; None when its checksum is wrong.
///
/// # Errors
/// What reading came to.
pub fn payload(
    data: &(impl ReadAt + ?Sized),
    start: u64,
    header: &RecordHeader,
) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; header.len as usize];
    data.read_exact_at(&mut bytes, start + RECORD_HEADER as u64)?;
    Ok((crc32fast::hash(&bytes) == header.payload_crc).then_some(bytes))
}
