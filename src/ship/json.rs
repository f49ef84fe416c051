//! Is a line one JSON object that every strict parser takes, and what does it say at its top level?
//!
//! One pass, nothing is allocated or unescaped. The check is stricter than RFC 8259, because one bad line spoils a whole
//! request at a receiver that parses it: where parsers differ, the answer is no and the line is sent as text. Since a
//! line break between two tokens is refused too, an object may be put into a line of NDJSON as it stands.

mod keys;
#[cfg(test)]
mod tests;

use keys::{Found, Key};

/// Objects and arrays within each other. `serde_json` gives up at 128, and the line will lie within an object or two.
pub const MAX_DEPTH: u8 = 64;

/// Digits that a number may have before the point, after its exponent is applied: all of them fit in an `f64`.
const MAX_MAGNITUDE: usize = 308;

/// A string or a number, as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// The inside of a string, still escaped, without the quotes.
    Text(&'a [u8]),
    /// A number.
    Number(&'a [u8]),
}

impl<'a> Scalar<'a> {
    /// What stands there, of a string without the quotes.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Scalar::Text(bytes) | Scalar::Number(bytes) => bytes,
        }
    }

    fn text(self) -> Option<&'a [u8]> {
        match self {
            Scalar::Text(bytes) => Some(bytes),
            Scalar::Number(_) => None,
        }
    }
}

/// What an object says at its top level, under the names that loggers use. A value of another type is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Object<'a> {
    /// The first present of `level_name`, `levelname`, `level`, `severity`, `lvl`, `log.level` (also as ECS' nested
    /// `log: {level}`), `loglevel`, `severityText`, `@l`. The names come before a `level` that is a number beside them.
    pub level: Option<Scalar<'a>>,
    /// The level stands under `severity`, where small numbers are syslog's.
    pub under_severity: bool,
    /// The first present of `message`, `msg`, `@m`, `log`, `event`: inside of the string, still escaped.
    pub message: Option<&'a [u8]>,
    /// The first present of `time`, `timestamp`, `ts`, `@timestamp`, `@t`.
    pub time: Option<Scalar<'a>>,
    /// The first present of `trace_id`, `traceId`, `traceID`, `trace.id`.
    pub trace_id: Option<&'a [u8]>,
    /// The first present of `span_id`, `spanId`, `spanID`, `span.id`.
    pub span_id: Option<&'a [u8]>,
    /// W3C's `traceparent`.
    pub traceparent: Option<&'a [u8]>,
}

/// The object that `line` is, if it is one, the whole of it, but for blanks around it.
#[must_use]
pub fn scan(line: &[u8]) -> Option<Object<'_>> {
    let bytes = trim(line);
    if bytes.first() != Some(&b'{') || std::str::from_utf8(bytes).is_err() {
        return None;
    }
    let mut scanner = Scanner {
        bytes,
        at: 0,
        found: Found::default(),
    };
    scanner.value(0, Place::Top)?;
    (scanner.at == bytes.len()).then(|| scanner.found.object())
}

/// Without blanks around it.
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// What a value is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The object that the line is.
    Top,
    /// The object under `log`.
    Log,
    /// Anything else.
    Inner,
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    found: Found<'a>,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next byte that is no blank. Line breaks count as no blanks, see the module's head.
    fn next(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t') = self.peek() {
            self.at += 1;
        }
        self.peek()
    }

    fn since(&self, start: usize) -> Option<&'a [u8]> {
        self.bytes.get(start..self.at)
    }

    /// Steps over one value, `depth` levels deep. The outer answer is whether it is sound, the inner what it is if we
    /// may want it. The recursion is bounded by [`MAX_DEPTH`].
    fn value(&mut self, depth: u8, place: Place) -> Option<Option<Scalar<'a>>> {
        match self.next()? {
            b'"' => self.string().map(|text| Some(Scalar::Text(text))),
            b'{' => self.object(depth + 1, place).map(|()| None),
            b'[' => self.array(depth + 1).map(|()| None),
            b't' => self.literal(b"true").map(|()| None),
            b'f' => self.literal(b"false").map(|()| None),
            b'n' => self.literal(b"null").map(|()| None),
            _ => self.number().map(|text| Some(Scalar::Number(text))),
        }
    }

    fn object(&mut self, depth: u8, place: Place) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.at += 1;
        if self.next()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            if self.next()? != b'"' {
                return None;
            }
            let name = self.string()?;
            if self.next()? != b':' {
                return None;
            }
            self.at += 1;
            let key = match place {
                Place::Top => keys::key(name),
                Place::Log if name == b"level" => Some(Key::Level(keys::LOG_LEVEL)),
                Place::Log | Place::Inner => None,
            };
            let inner = match (place, key) {
                (Place::Top, Some(Key::Message(keys::LOG_MESSAGE))) => Place::Log,
                _ => Place::Inner,
            };
            let value = self.value(depth, inner)?;
            if let (Some(key), Some(value)) = (key, value) {
                self.found.offer(key, value);
            }
            match self.next()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    fn array(&mut self, depth: u8) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.at += 1;
        if self.next()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.value(depth, Place::Inner)?;
            match self.next()? {
                b',' => self.at += 1,
                b']' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    fn literal(&mut self, word: &[u8]) -> Option<()> {
        let rest = self.bytes.get(self.at..)?;
        self.at += word.len();
        rest.starts_with(word).then_some(())
    }

    /// From the opening quote to behind the closing one: what is between.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.at += 1;
        let start = self.at;
        loop {
            self.at += plain_run(self.bytes.get(self.at..)?);
            match self.peek()? {
                b'"' => break,
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
        let inside = self.since(start);
        self.at += 1;
        inside
    }

    fn escape(&mut self) -> Option<()> {
        self.at += 1;
        let kind = self.peek()?;
        self.at += 1;
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => match self.unit()? {
                // The first half of a pair, which must be followed by the second.
                0xD800..=0xDBFF => {
                    self.literal(b"\\u")?;
                    (0xDC00..=0xDFFF).contains(&self.unit()?).then_some(())
                }
                0xDC00..=0xDFFF => None,
                _ => Some(()),
            },
            _ => None,
        }
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u32> {
        let digits = self.bytes.get(self.at..self.at + 4)?;
        self.at += 4;
        digits.iter().try_fold(0, |unit, &digit| {
            Some(unit * 16 + char::from(digit).to_digit(16)?)
        })
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let zero = self.peek() == Some(b'0');
        let mut magnitude = self.digits();
        if magnitude == 0 || zero && magnitude > 1 {
            return None;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return None;
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            let negative = self.peek() == Some(b'-');
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            let at = self.at;
            self.digits();
            let exponent = exponent(self.since(at)?)?;
            if !negative {
                magnitude += exponent;
            }
        }
        if magnitude > MAX_MAGNITUDE {
            return None;
        }
        self.since(start)
    }
}

/// Three digits are enough for every `f64`.
fn exponent(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || digits.len() > 3 {
        return None;
    }
    Some(
        digits
            .iter()
            .fold(0, |n, digit| n * 10 + usize::from(digit - b'0')),
    )
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Marks bytes equal to `b`. A borrow can only mark bytes above a true hit, and the lowest is taken.
fn eq(w: u64, b: u8) -> u64 {
    let x = w ^ (ONES * u64::from(b));
    x.wrapping_sub(ONES) & !x
}

/// How many leading bytes are neither a quote nor a backslash nor a control character: eight at a time.
fn plain_run(s: &[u8]) -> usize {
    let (words, rest) = s.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let w = u64::from_le_bytes(*word);
        let control = w.wrapping_sub(ONES * 0x20) & !w;
        let hit = (control | eq(w, b'"') | eq(w, b'\\')) & HIGHS;
        if hit != 0 {
            return i * 8 + hit.trailing_zeros() as usize / 8;
        }
    }
    let plain = |b: &u8| *b >= 0x20 && *b != b'"' && *b != b'\\';
    words.len() * 8 + rest.iter().take_while(|b| plain(b)).count()
}
