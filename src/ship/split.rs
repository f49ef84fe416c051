//! Taking parcels apart again, which only errors make necessary: a batch that was too large, or that
//! one bad record spoils, is halved until it passes.

use std::io::Read;
use std::ops::Range;

use super::otlp::slice;
use super::parcel::{Codec, Encoding};

/// zstd's largest window that is taken, as a power of two: 8 MiB (RFC 9659), more than we use.
const ZSTD_WINDOW_LOG: u32 = 23;

/// A parcel could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// Not what the codec writes, or damaged.
    #[error("damaged: {0}")]
    Damaged(#[from] std::io::Error),
    /// A decompression bomb, or another one's parcel.
    #[error("more than {0} bytes when unpacked")]
    TooLong(usize),
}

/// Unpacks one parcel, or several that were joined, to at most `max` bytes.
///
/// # Errors
/// When the bytes are not whole, or are more than `max` when unpacked.
pub fn decompress(codec: Codec, bytes: &[u8], max: usize) -> Result<Vec<u8>, UnpackError> {
    match codec {
        Codec::Identity => read(bytes, max),
        Codec::Gzip => read(flate2::bufread::MultiGzDecoder::new(bytes), max),
        Codec::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(bytes)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            read(decoder, max)
        }
    }
}

fn read(from: impl Read, max: usize) -> Result<Vec<u8>, UnpackError> {
    let mut out = Vec::new();
    let limit = (max as u64).saturating_add(1);
    from.take(limit).read_to_end(&mut out)?;
    if out.len() > max {
        return Err(UnpackError::TooLong(max));
    }
    Ok(out)
}

/// How many records `raw`, unpacked, holds.
#[must_use]
pub fn count(encoding: Encoding, raw: &[u8]) -> u32 {
    match encoding {
        Encoding::Ndjson => u32::try_from(lines(raw).count()).unwrap_or(u32::MAX),
        Encoding::Otlp | Encoding::OtlpMap => slice::count(raw),
    }
}

/// The records numbered `records`, counted from 0 as they lie in `raw`, unpacked, as a body of their
/// own. What OTLP says about their resources and scopes goes with them.
#[must_use]
pub fn slice(encoding: Encoding, raw: &[u8], records: Range<u32>) -> Vec<u8> {
    match encoding {
        Encoding::Ndjson => lines(raw)
            .skip(records.start as usize)
            .take(records.len())
            .collect::<Vec<_>>()
            .concat(),
        Encoding::Otlp | Encoding::OtlpMap => slice::slice(raw, records),
    }
}

/// The lines with their ends, but for empty ones.
fn lines(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    raw.split_inclusive(|b| *b == b'\n')
        .filter(|line| !line.trim_ascii().is_empty())
}

#[cfg(test)]
mod tests;
