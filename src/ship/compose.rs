//! A request's body from its parts: parcels as they are, or, after a refusal, some of a parcel's records.

use std::rc::Rc;

use bytes::Bytes;

use super::compress::Packer;
use super::delivery::{Part, Request};
use super::sink::Entry;
use super::split;

/// No parcel is larger before compression: one line of 16 MiB, escaped, and its envelope.
const MAX_RAW: usize = 128 * 1024 * 1024;

/// The bodies, to be sent one after the other as one.
pub(super) fn compose(request: &Request<Rc<Entry>>) -> Option<Vec<Bytes>> {
    request.parts.iter().map(part_bytes).collect()
}

fn part_bytes(part: &Part<Rc<Entry>>) -> Option<Bytes> {
    let parcel = &part.handle.parcel;
    let Some(range) = &part.range else {
        return Some(parcel.bytes.clone());
    };
    let form = parcel.form;
    let raw = split::decompress(form.codec, &parcel.bytes, MAX_RAW).ok()?;
    let some = split::slice(form.encoding, &raw, range.clone());
    let mut packed = Vec::new();
    let mut packer = Packer::new(form.codec, None).ok()?;
    packer.pack(&some, &mut packed).ok()?;
    Some(packed.into())
}
