//! The bytes of a segment file: its header and those of its records.
//!
//! All numbers are little-endian. A file starts with a header of 32 bytes:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | `PV 0xFE S` |
//! | 4 | 2 | version, [`VERSION`] |
//! | 6 | 2 | flags, 0 |
//! | 8 | 8 | when it was made, nanoseconds since the Unix epoch |
//! | 16 | 8 | the run that made it |
//! | 24 | 4 | 0 |
//! | 28 | 4 | CRC-32 of the file's number and the bytes before |
//!
//! and goes on with records, one directly after another, each a header of 52 bytes and its payload:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | `PV 0xFF R` |
//! | 4 | 4 | bytes of payload, at most [`MAX_PAYLOAD`] |
//! | 8 | 4 | bytes before compression |
//! | 12 | 4 | log records inside |
//! | 16 | 8 | number of the parcel in its run |
//! | 24 | 8 | the run |
//! | 32 | 8 | time of the first log record, nanoseconds since the Unix epoch |
//! | 40 | 1 | encoding: 0 NDJSON, 1 OTLP, 2 OTLP with maps as bodies |
//! | 41 | 1 | codec: 0 none, 1 gzip, 2 zstd |
//! | 42 | 2 | 0 |
//! | 44 | 4 | CRC-32 of the payload |
//! | 48 | 4 | CRC-32 of the file's number, the header's offset (8 bytes each) and the bytes before |
//!
//! Two checksums, so that headers can be walked without reading payloads. File number and offset are in the header's one, so
//! that a header is one only where it was written: a log line that quotes a spool file can't be taken for a record. Every
//! record says all about itself, so a file whose own header is damaged is read all the same.

use super::{Meta, Tally};
use crate::ship::parcel::{Codec, Encoding, Form};

/// Of the file format. Another one's files are put aside, not read.
pub const VERSION: u16 = 1;

/// Bytes of a file's header.
pub const FILE_HEADER: usize = 32;

/// Bytes of a record's header.
pub const RECORD_HEADER: usize = 52;

/// The longest payload in bytes: what a damaged or hostile length may make us read at most.
pub const MAX_PAYLOAD: usize = 8 * 1024 * 1024;

/// File numbers end here: counting from 0 never gets there. A greater one is none of ours, and would leave none for the next
/// file.
pub const NUMBERS: u64 = 1 << 63;

/// How many forms there are.
pub const FORMS: usize = ENCODINGS.len() * CODECS.len();

/// Each at the place of its code.
const ENCODINGS: [Encoding; 3] = [Encoding::Ndjson, Encoding::Otlp, Encoding::OtlpMap];

/// Each at the place of its code.
const CODECS: [Codec; 3] = [Codec::Identity, Codec::Gzip, Codec::Zstd];

// 0xFE and 0xFF are in no UTF-8 text, so a search over uncompressed logs meets no false start.
const FILE_MAGIC: [u8; 4] = *b"PV\xFES";
const RECORD_MAGIC: [u8; 4] = *b"PV\xFFR";

/// The place of a form in an array of [`FORMS`].
#[must_use]
pub fn form_index(form: Form) -> usize {
    usize::from(encoding_code(form.encoding)) * CODECS.len() + usize::from(codec_code(form.codec))
}

fn encoding_code(encoding: Encoding) -> u8 {
    match encoding {
        Encoding::Ndjson => 0,
        Encoding::Otlp => 1,
        Encoding::OtlpMap => 2,
    }
}

fn codec_code(codec: Codec) -> u8 {
    match codec {
        Codec::Identity => 0,
        Codec::Gzip => 1,
        Codec::Zstd => 2,
    }
}

fn form_of(encoding: u8, codec: u8) -> Option<Form> {
    Some(Form {
        encoding: *ENCODINGS.get(usize::from(encoding))?,
        codec: *CODECS.get(usize::from(codec))?,
    })
}

/// The header of file `number`, made by run `source` at `created_ns`.
#[must_use]
pub fn file_header(number: u64, created_ns: u64, source: u64) -> [u8; FILE_HEADER] {
    let mut out = [0; FILE_HEADER];
    let mut put = Put(&mut out);
    put.bytes(&FILE_MAGIC);
    put.bytes(&VERSION.to_le_bytes());
    put.bytes(&[0; 2]);
    put.bytes(&created_ns.to_le_bytes());
    put.bytes(&source.to_le_bytes());
    put.bytes(&[0; 4]);
    seal(&mut out, &[number]);
    out
}

/// What a file's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// A file of ours.
    Ours,
    /// Whole, but of this other version.
    Version(u16),
    /// Not readable. The records may be, all the same.
    Damaged,
}

/// Judges the header of file `number`.
#[must_use]
pub fn parse_file_header(bytes: &[u8; FILE_HEADER], number: u64) -> Head {
    if !bytes.starts_with(&FILE_MAGIC) || !sealed(bytes, &[number]) {
        return Head::Damaged;
    }
    match u16::from_le_bytes(field(bytes, 4)) {
        VERSION => Head::Ours,
        other => Head::Version(other),
    }
}

/// A record's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// What the record says about itself.
    pub meta: Meta,
    /// Bytes of payload, at most [`MAX_PAYLOAD`].
    pub len: u32,
    /// CRC-32 of the payload.
    pub payload_crc: u32,
}

impl RecordHeader {
    /// Header and payload, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        RECORD_HEADER as u64 + u64::from(self.len)
    }

    /// What it adds to the count of its form.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally {
            records: self.meta.records.into(),
            bytes: self.len.into(),
        }
    }

    /// As written at `offset` of file `number`.
    #[must_use]
    pub fn encode(&self, number: u64, offset: u64) -> [u8; RECORD_HEADER] {
        let Meta {
            seq,
            source,
            form,
            records,
            raw_len,
            first_ts_ns,
        } = self.meta;
        let mut out = [0; RECORD_HEADER];
        let mut put = Put(&mut out);
        put.bytes(&RECORD_MAGIC);
        put.bytes(&self.len.to_le_bytes());
        put.bytes(&raw_len.to_le_bytes());
        put.bytes(&records.to_le_bytes());
        put.bytes(&seq.to_le_bytes());
        put.bytes(&source.to_le_bytes());
        put.bytes(&first_ts_ns.to_le_bytes());
        put.bytes(&[encoding_code(form.encoding), codec_code(form.codec), 0, 0]);
        put.bytes(&self.payload_crc.to_le_bytes());
        seal(&mut out, &[number, offset]);
        out
    }

    /// None when these bytes are no header, or none of this place.
    #[must_use]
    pub fn parse(bytes: &[u8; RECORD_HEADER], number: u64, offset: u64) -> Option<Self> {
        if !bytes.starts_with(&RECORD_MAGIC) || !sealed(bytes, &[number, offset]) {
            return None;
        }
        let [encoding, codec] = field(bytes, 40);
        let header = Self {
            meta: Meta {
                seq: u64::from_le_bytes(field(bytes, 16)),
                source: u64::from_le_bytes(field(bytes, 24)),
                form: form_of(encoding, codec)?,
                records: u32::from_le_bytes(field(bytes, 12)),
                raw_len: u32::from_le_bytes(field(bytes, 8)),
                first_ts_ns: u64::from_le_bytes(field(bytes, 32)),
            },
            len: u32::from_le_bytes(field(bytes, 4)),
            payload_crc: u32::from_le_bytes(field(bytes, 44)),
        };
        (header.len as usize <= MAX_PAYLOAD).then_some(header)
    }
}

/// Writes fields one after another; what doesn't fit is left out.
pub(super) struct Put<'a>(pub(super) &'a mut [u8]);

impl Put<'_> {
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let buf = std::mem::take(&mut self.0);
        if let Some((head, rest)) = buf.split_at_mut_checked(bytes.len()) {
            head.copy_from_slice(bytes);
            self.0 = rest;
        }
    }
}

/// `N` bytes at `at`, or zeros past the end.
pub(super) fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .unwrap_or([0; N])
}

fn checksum(salt: &[u64], bytes: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    for number in salt {
        crc.update(&number.to_le_bytes());
    }
    crc.update(bytes);
    crc.finalize()
}

/// Puts the checksum of `salt` and all bytes but the last four into the last four.
pub(super) fn seal(bytes: &mut [u8], salt: &[u64]) {
    if let Some((body, crc)) = bytes.split_last_chunk_mut::<4>() {
        *crc = checksum(salt, body).to_le_bytes();
    }
}

/// Whether [`seal`] made the last four bytes.
pub(super) fn sealed(bytes: &[u8], salt: &[u64]) -> bool {
    bytes
        .split_last_chunk::<4>()
        .is_some_and(|(body, crc)| checksum(salt, body) == u32::from_le_bytes(*crc))
}
