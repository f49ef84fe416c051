//! Protobuf's wire format: reading fields without copying, writing them without a second buffer.
//!
//! <https://protobuf.dev/programming-guides/encoding/>. Groups, which proto3 has not, count as
//! malformed.

/// The bytes are no protobuf message, or not the one that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed protobuf message")]
pub struct Malformed;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// int32, int64, bool, enum.
    Varint(u64),
    /// fixed64, double.
    Fixed64(u64),
    /// string, bytes, message.
    Bytes(&'a [u8]),
    /// fixed32, float.
    Fixed32(u32),
}

impl<'a> Value<'a> {
    /// A whole number as protobuf's int64 and bool have it.
    ///
    /// # Errors
    /// When it is of another type; so for the others.
    pub fn varint(self) -> Result<u64, Malformed> {
        match self {
            Value::Varint(n) => Ok(n),
            _ => Err(Malformed),
        }
    }

    /// Eight bytes as a number.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn fixed64(self) -> Result<u64, Malformed> {
        match self {
            Value::Fixed64(n) => Ok(n),
            _ => Err(Malformed),
        }
    }

    /// Four bytes as a number.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn fixed32(self) -> Result<u32, Malformed> {
        match self {
            Value::Fixed32(n) => Ok(n),
            _ => Err(Malformed),
        }
    }

    /// Bytes, or a message yet to be read.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Value::Bytes(b) => Ok(b),
            _ => Err(Malformed),
        }
    }

    /// A string: must be UTF-8, as proto3 has it.
    ///
    /// # Errors
    /// When it is of another type, or not UTF-8.
    pub fn str(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }
}

/// One field of a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field<'a> {
    /// Its number, from 1.
    pub number: u32,
    /// What it holds.
    pub value: Value<'a>,
    /// All its bytes, with the tag.
    pub raw: &'a [u8],
}

/// The fields of one message in turn. After an error it ends.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

/// Reads `message` field by field.
#[must_use]
pub fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let start = std::mem::take(&mut self.rest);
        let Some((number, value, rest)) = field(start) else {
            return Some(Err(Malformed));
        };
        self.rest = rest;
        let raw = start.get(..start.len() - rest.len()).unwrap_or_default();
        Some(Ok(Field { number, value, raw }))
    }
}

fn field(bytes: &[u8]) -> Option<(u32, Value<'_>, &[u8])> {
    let (tag, rest) = varint(bytes)?;
    let tag = u32::try_from(tag).ok()?;
    let number = tag >> 3;
    if number == 0 {
        return None;
    }
    let (value, rest) = match tag & 7 {
        0 => varint(rest).map(|(n, rest)| (Value::Varint(n), rest))?,
        1 => {
            let (n, rest) = rest.split_first_chunk()?;
            (Value::Fixed64(u64::from_le_bytes(*n)), rest)
        }
        2 => {
            let (len, rest) = varint(rest)?;
            let (inner, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            (Value::Bytes(inner), rest)
        }
        5 => {
            let (n, rest) = rest.split_first_chunk()?;
            (Value::Fixed32(u32::from_le_bytes(*n)), rest)
        }
        _ => return None,
    };
    Some((number, value, rest))
}

/// At most ten bytes, at most 64 bits.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut n = 0u64;
    for (i, &b) in bytes.iter().enumerate().take(10) {
        if i == 9 && b > 1 {
            return None;
        }
        n |= u64::from(b & 0x7F) << (7 * i);
        if b < 0x80 {
            return Some((n, bytes.get(i + 1..)?));
        }
    }
    None
}

/// The tag of a varint field (numbers below 16 only, here and below: one byte).
#[must_use]
pub const fn varint_tag(number: u8) -> u8 {
    number << 3
}

/// The tag of an eight-byte field.
#[must_use]
pub const fn fixed64_tag(number: u8) -> u8 {
    number << 3 | 1
}

/// The tag of a string, bytes or message field.
#[must_use]
pub const fn bytes_tag(number: u8) -> u8 {
    number << 3 | 2
}

/// How many bytes `n` takes as a varint, 1 to 10.
#[must_use]
pub fn varint_len(n: u64) -> usize {
    (70 - (n | 1).leading_zeros() as usize) / 7
}

/// Appends `n` as a varint.
#[inline]
pub fn put_varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Appends a string or bytes field.
#[inline]
pub fn put_bytes(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(bytes_tag(number));
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends an eight-byte field.
#[inline]
pub fn put_fixed64(number: u8, n: u64, out: &mut Vec<u8>) {
    out.push(fixed64_tag(number));
    out.extend_from_slice(&n.to_le_bytes());
}

/// Appends a varint field.
#[inline]
pub fn put_number(number: u8, n: u64, out: &mut Vec<u8>) {
    out.push(varint_tag(number));
    put_varint(n, out);
}

/// A message under way: its length is known when it is closed.
#[derive(Debug)]
#[must_use = "the length is missing until it is closed"]
pub struct Open {
    /// Where the length goes.
    at: usize,
    /// Bytes kept free for it.
    width: usize,
}

/// Begins a message field. `expected` is a guess of its length: only if that takes another number of
/// bytes than the true length, the message is moved by the difference when it is closed.
#[inline]
pub fn open(number: u8, expected: usize, out: &mut Vec<u8>) -> Open {
    out.push(bytes_tag(number));
    let at = out.len();
    let width = varint_len(expected as u64);
    out.extend_from_slice(&[0; 10][..width]);
    Open { at, width }
}

/// Ends a message field.
#[inline]
pub fn close(open: Open, out: &mut Vec<u8>) {
    let start = open.at + open.width;
    let len = out.len().saturating_sub(start);
    let width = varint_len(len as u64);
    if width != open.width {
        let end = open.at + width + len;
        out.resize(out.len().max(end), 0);
        out.copy_within(start..start + len, open.at + width);
        out.truncate(end);
    }
    let mut n = len;
    if let Some(place) = out.get_mut(open.at..open.at + width) {
        for byte in place {
            *byte = n as u8 | 0x80;
            n >>= 7;
        }
    }
    if let Some(last) = out.get_mut(open.at + width - 1) {
        *last &= 0x7F;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_come_back(n in prop_oneof![any::<u64>(), 0u64..300, (0u32..64).prop_map(|s| 1 << s)]) {
            let mut out = Vec::new();
            put_varint(n, &mut out);
            prop_assert_eq!(out.len(), varint_len(n));
            prop_assert_eq!(varint(&out), Some((n, &[][..])));
            prop_assert_eq!(prost::encoding::encoded_len_varint(n), varint_len(n));
        }

        #[test]
        fn a_wrong_guess_costs_nothing_but_time(len in 0usize..40_000, guess in 0usize..3_000_000) {
            let mut out = b"before".to_vec();
            let at = open(2, guess, &mut out);
            out.resize(out.len() + len, b'x');
            close(at, &mut out);
            let mut want = b"before".to_vec();
            put_bytes(2, &vec![b'x'; len], &mut want);
            prop_assert_eq!(out, want);
        }

        #[test]
        fn any_bytes_are_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut raw = Vec::new();
            for field in fields(&bytes).flatten() {
                raw.extend_from_slice(field.raw);
            }
            prop_assert!(bytes.starts_with(&raw));
        }
    }

    #[test]
    fn what_is_cut_off_is_malformed() {
        let bad: [&[u8]; 8] = [
            b"\x08",
            b"\x09\0\0\0",
            b"\x0a\x02x",
            b"\x0d\0\0\0",
            b"\x0b",
            b"\x00\x00",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ];
        for bytes in bad {
            let got: Vec<_> = fields(bytes).collect();
            assert_eq!(got, [Err(Malformed)], "{bytes:?}");
        }
    }
}
