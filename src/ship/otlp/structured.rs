//! JSON into OTLP's values, straight from text to wire.
//!
//! The text was checked to be strict JSON before; should it not be, the answer is none, and what was
//! appended is to be cut off. So it is for an object in which a name occurs twice, since OTLP wants
//! its keys unique, and for one of more than [`MAX_KEYS`] names.

use super::value::MAX_DEPTH;
use super::wire::{close, open, put_fixed64, put_number};

/// Appends the fields of the `AnyValue` that `text`, one JSON value, becomes. None if it is no JSON
/// or more than [`MAX_DEPTH`] deep.
///
/// Whole numbers that fit become int64, all others doubles; null becomes an empty value.
#[must_use]
pub fn value(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut json = Json { text, at: 0 };
    json.value(0, out)?;
    (json.token().is_none()).then_some(())
}

/// Names that an object may have: OpenTelemetry's own default limit for attributes.
const MAX_KEYS: usize = 128;

/// The names of one object, as hashes: one that only looks the same costs the record its map.
struct Keys {
    seen: [u64; MAX_KEYS],
    len: usize,
}

impl Keys {
    fn new() -> Self {
        Keys {
            seen: [0; MAX_KEYS],
            len: 0,
        }
    }

    /// None if it was there already, or is one too many. FNV-1a.
    fn add(&mut self, key: &[u8]) -> Option<()> {
        let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        if self.seen.get(..self.len)?.contains(&hash) {
            return None;
        }
        *self.seen.get_mut(self.len)? = hash;
        self.len += 1;
        Some(())
    }
}

struct Json<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Json<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The next byte that is not white space; it stays the next.
    fn token(&mut self) -> Option<u8> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.peek()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.token()? == byte).then(|| self.at += 1)
    }

    fn value(&mut self, depth: u8, out: &mut Vec<u8>) -> Option<()> {
        match self.token()? {
            b'{' if depth < MAX_DEPTH => self.object(depth + 1, out),
            b'[' if depth < MAX_DEPTH => self.array(depth + 1, out),
            b'"' => self.string(1, out),
            b't' => self.word(b"true").map(|()| put_number(2, 1, out)),
            b'f' => self.word(b"false").map(|()| put_number(2, 0, out)),
            b'n' => self.word(b"null"),
            b'-' | b'0'..=b'9' => self.number(out),
            _ => None,
        }
    }

    fn object(&mut self, depth: u8, out: &mut Vec<u8>) -> Option<()> {
        self.expect(b'{')?;
        let list = open(6, 0, out);
        let (mut first, mut keys) = (true, Keys::new());
        while self.more(b'}', &mut first)? {
            let entry = open(1, 0, out);
            let key = out.len();
            self.token()?;
            self.string(1, out)?;
            keys.add(out.get(key..)?)?;
            self.expect(b':')?;
            let value = open(2, 0, out);
            self.value(depth, out)?;
            close(value, out);
            close(entry, out);
        }
        close(list, out);
        Some(())
    }

    fn array(&mut self, depth: u8, out: &mut Vec<u8>) -> Option<()> {
        self.expect(b'[')?;
        let list = open(5, 0, out);
        let mut first = true;
        while self.more(b']', &mut first)? {
            let item = open(1, 0, out);
            self.value(depth, out)?;
            close(item, out);
        }
        close(list, out);
        Some(())
    }

    /// Whether another entry follows before `end`. Steps over the comma, or the end.
    fn more(&mut self, end: u8, first: &mut bool) -> Option<bool> {
        let token = self.token()?;
        if token == end {
            self.at += 1;
            return Some(false);
        }
        if !std::mem::take(first) {
            self.expect(b',')?;
        }
        Some(true)
    }

    /// The string here, as a string field.
    fn string(&mut self, number: u8, out: &mut Vec<u8>) -> Option<()> {
        let rest = self.text.get(self.at..)?.strip_prefix(b"\"")?;
        self.at += 1;
        let clean = memchr::memchr2(b'"', b'\\', rest)?;
        let field = open(number, clean, out);
        let start = out.len();
        loop {
            let rest = self.text.get(self.at..)?;
            let clean = memchr::memchr2(b'"', b'\\', rest)?;
            out.extend_from_slice(rest.get(..clean)?);
            self.at += clean + 1;
            if rest.get(clean) == Some(&b'"') {
                break;
            }
            self.escape(out)?;
        }
        std::str::from_utf8(out.get(start..)?).ok()?;
        close(field, out);
        Some(())
    }

    /// What follows a backslash.
    fn escape(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let byte = self.peek()?;
        self.at += 1;
        let plain = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 0x08,
            b'f' => 0x0C,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let c = self.unicode()?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return Some(());
            }
            _ => return None,
        };
        out.push(plain);
        Some(())
    }

    /// The digits after `\u`, and those of the second half of a surrogate pair. Half a pair becomes
    /// U+FFFD.
    fn unicode(&mut self) -> Option<char> {
        let unit = self.hex4()?;
        if !(0xD800..0xDC00).contains(&unit) {
            return Some(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let after = self.at;
        if self.text.get(after..)?.starts_with(b"\\u") {
            self.at += 2;
            let low = self.hex4()?;
            if (0xDC00..0xE000).contains(&low) {
                return char::from_u32(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00));
            }
            self.at = after;
        }
        Some(char::REPLACEMENT_CHARACTER)
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        digits
            .iter()
            .try_fold(0, |n, d| Some(n << 4 | char::from(*d).to_digit(16)?))
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let found = self.text.get(self.at..)?.starts_with(word);
        found.then(|| self.at += word.len())
    }

    fn number(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let rest = self.text.get(self.at..)?;
        let part = |b: &u8| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let len = rest.iter().position(|b| !part(b)).unwrap_or(rest.len());
        let number = std::str::from_utf8(rest.get(..len)?).ok()?;
        self.at += len;
        match number.parse::<i64>() {
            Ok(n) => put_number(3, n.cast_unsigned(), out),
            Err(_) => put_fixed64(4, number.parse::<f64>().ok()?.to_bits(), out),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests;
