//! Compression of one parcel at a time, with the state kept from one to the next.
//!
//! Every parcel is whole in itself (a gzip member, a zstd frame), so parcels can be joined by
//! concatenation. The encoders are fed whole parcels: fed line by line, gzip takes three times as
//! long for the same bytes.

use flate2::{Compress, Compression, FlushCompress};
use zstd::bulk;

use super::parcel::Codec;

/// gzip's level by default, of 0 to 9. Higher ones cost much time for few bytes.
pub const GZIP_LEVEL: u8 = 2;

/// zstd's level by default, of 1 to 19.
pub const ZSTD_LEVEL: u8 = 3;

/// zstd's levels beyond need more than 8 MiB of window, which receivers refuse (RFC 9659).
const ZSTD_MAX: u8 = 19;

/// The largest window that deflate has, and the smallest that costs nothing in ratio.
const GZIP_WINDOW_BITS: u8 = 15;

/// The compressor failed: out of memory, or a bug.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// In gzip.
    #[error("gzip: {0}")]
    Gzip(#[from] flate2::CompressError),
    /// In gzip, which takes no more and says nothing.
    #[error("gzip makes no progress")]
    Stuck,
    /// In zstd.
    #[error("zstd: {0}")]
    Zstd(#[from] std::io::Error),
}

/// One lane's compressor.
pub struct Packer(State);

enum State {
    Identity,
    Gzip(Box<Compress>),
    Zstd(bulk::Compressor<'static>),
}

impl Packer {
    /// `level` as the codec counts: see [`GZIP_LEVEL`] and [`ZSTD_LEVEL`], which none stands for. One
    /// out of range becomes the nearest in range.
    ///
    /// # Errors
    /// When there is no memory for zstd's state.
    pub fn new(codec: Codec, level: Option<u8>) -> Result<Self, PackError> {
        Ok(Packer(match codec {
            Codec::Identity => State::Identity,
            Codec::Gzip => {
                let level = Compression::new(level.unwrap_or(GZIP_LEVEL).min(9).into());
                State::Gzip(Box::new(Compress::new_gzip(level, GZIP_WINDOW_BITS)))
            }
            Codec::Zstd => {
                let level = level.unwrap_or(ZSTD_LEVEL).clamp(1, ZSTD_MAX);
                State::Zstd(bulk::Compressor::new(level.into())?)
            }
        }))
    }

    /// Replaces what is in `out` by `raw`, compressed. `out` grows to the worst case at most, a
    /// little more than `raw`.
    ///
    /// # Errors
    /// When the compressor fails; then `out` is of no use, but the packer still is.
    pub fn pack(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), PackError> {
        out.clear();
        match &mut self.0 {
            State::Identity => out.extend_from_slice(raw),
            State::Gzip(state) => gzip(state, raw, out)?,
            State::Zstd(state) => {
                out.reserve(zstd::zstd_safe::compress_bound(raw.len()));
                state.compress_to_buffer(raw, out)?;
            }
        }
        Ok(())
    }
}

fn gzip(state: &mut Compress, raw: &[u8], out: &mut Vec<u8>) -> Result<(), PackError> {
    /// Room for the header and the trailer of a member, and some.
    const FRAME: usize = 64;
    state.reset();
    // Logs shrink to less than half; what does not grows the room step by step.
    out.reserve(raw.len() / 2 + FRAME);
    loop {
        let taken = usize::try_from(state.total_in()).unwrap_or(usize::MAX);
        let (rest, before) = (raw.get(taken..).unwrap_or_default(), out.len());
        match state.compress_vec(rest, out, FlushCompress::Finish)? {
            flate2::Status::StreamEnd => return Ok(()),
            _ if out.len() == before && out.len() < out.capacity() => return Err(PackError::Stuck),
            _ => out.reserve(raw.len() / 4 + FRAME),
        }
    }
}

#[cfg(test)]
mod tests;
