//! Cursor files: up to where each sink is done. Hints only: what can't be read is as if it were not there.
//!
//! 32 bytes, little-endian: `PV 0xFC C`, version (2 bytes), 2 zeros, file number (8), offset in it (8), 4 zeros, and CRC-32 of
//! what is before.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Position;
use super::format::{NUMBERS, Put, field, seal, sealed};

const SIZE: usize = 32;
const MAGIC: [u8; 4] = *b"PV\xFCC";
const VERSION: u16 = 1;

/// Names of cursor files start so.
pub const PREFIX: &str = "cur-";

/// Unfinished cursor files end so. No sink's file does: a dot is not among the characters kept.
pub const UNFINISHED: &str = ".tmp";

/// The longest name of a sink, in bytes as encoded, that is kept as it is. File names end at 255.
const MAX_NAME: usize = 150;

/// The cursor file of a sink. Letters, digits, `-` and `_` stay; anything else becomes `%` and two hex digits.
#[must_use]
pub fn path(dir: &Path, sink: &str) -> PathBuf {
    let mut name = String::from(PREFIX);
    for byte in sink.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    if name.len() > PREFIX.len() + MAX_NAME {
        name.truncate(PREFIX.len() + MAX_NAME);
        // No `%` is followed by another in what the loop makes, so no shorter name can be the same.
        name.push_str(&format!("%%{:08x}", crc32fast::hash(sink.as_bytes())));
    }
    dir.join(name)
}

/// What a cursor file says, when it is whole.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Position> {
    let bytes: &[u8; SIZE] = bytes.try_into().ok()?;
    let ours = bytes.starts_with(&MAGIC) && u16::from_le_bytes(field(bytes, 4)) == VERSION;
    let at = Position {
        segment: u64::from_le_bytes(field(bytes, 8)),
        offset: u64::from_le_bytes(field(bytes, 16)),
    };
    (ours && sealed(bytes, &[]) && at.segment < NUMBERS).then_some(at)
}

/// The bytes of a cursor file.
#[must_use]
pub fn encode(at: Position) -> [u8; SIZE] {
    let mut out = [0; SIZE];
    let mut put = Put(&mut out);
    put.bytes(&MAGIC);
    put.bytes(&VERSION.to_le_bytes());
    put.bytes(&[0; 2]);
    put.bytes(&at.segment.to_le_bytes());
    put.bytes(&at.offset.to_le_bytes());
    seal(&mut out, &[]);
    out
}

/// Reads one; None when there is none, or none that can be trusted.
#[must_use]
pub fn load(path: &Path) -> Option<Position> {
    use std::io::Read as _;
    let mut bytes = Vec::with_capacity(SIZE + 1);
    let file = File::open(path).ok()?;
    // One byte more than it should be, and no more of a file that isn't ours.
    file.take(SIZE as u64 + 1).read_to_end(&mut bytes).ok()?;
    parse(&bytes)
}

/// Writes one whole or not at all.
///
/// # Errors
/// What the system says. The file is as it was then.
pub fn store(path: &Path, at: Position, sync: bool) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(UNFINISHED);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(&encode(at))?;
    if sync {
        file.sync_data()?;
    }
    fs::rename(&unfinished, path)
}
