//! How bad a line of plain text is, if it says so in a place where programs put their level.
//!
//! The head of the line is read word by word for as long as it looks like what loggers write before the message: stamps,
//! numbers, boxes, names, `key=value` pairs. A level word counts there and nowhere else, so that prose such as "no error
//! found" says nothing. Most lines are given up after a few words, which is also what makes this cheap.

use super::word::{self, Need, decimal, syslog};
use crate::ship::record::Severity;

/// A level further from the start of its line than this many bytes is not found.
pub const HEAD: usize = 256;

/// Words of a head. An access log or a table of numbers ends here.
const MAX_WORDS: usize = 16;

/// Names of the level in `key=value` lines.
const KEYS: [&[u8]; 7] = [
    b"level",
    b"lvl",
    b"severity",
    b"loglevel",
    b"log.level",
    b"levelname",
    b"log_level",
];

/// The level of `line`, with the word or number by which it says so. The line's first line counts, if it has several.
#[must_use]
pub fn text(line: &[u8]) -> Option<(Severity, &[u8])> {
    let line = line.get(..HEAD).unwrap_or(line);
    marked(line).or_else(|| Head::new(line).level())
}

/// Forms that have a letter or a number for the level at the very start.
fn marked(line: &[u8]) -> Option<(Severity, &[u8])> {
    match line {
        // syslog and systemd: `<30>text`, sd-daemon(3).
        [b'<', rest @ ..] => {
            let end = rest.iter().take(4).position(|&b| b == b'>')?;
            let digits = rest.get(..end)?;
            let priority = decimal(digits).filter(|&n| n < 192)?;
            Some((syslog(priority), digits))
        }
        // klog and glog: `I1123 10:20:30.123456`.
        [b'I' | b'W' | b'E' | b'F', a, b, c, d, b' ', h, i, b':', ..]
            if [a, b, c, d, h, i].iter().all(|b| b.is_ascii_digit()) =>
        {
            letter(line.get(..1)?)
        }
        // Ruby: `I, [2026-11-23T10:20:30.123456 #1]  INFO -- : text`.
        [
            b'D' | b'I' | b'W' | b'E' | b'F' | b'A',
            b',',
            b' ',
            b'[',
            ..,
        ] => letter(line.get(..1)?),
        // Tornado and Jupyter: `[I 2026-11-23 10:20:30.123 ServerApp] text`.
        [b'[', b'D' | b'I' | b'W' | b'E' | b'C', b' ', digit, ..] if digit.is_ascii_digit() => {
            letter(line.get(1..2)?)
        }
        _ => None,
    }
}

fn letter(text: &[u8]) -> Option<(Severity, &[u8])> {
    let severity = match text {
        b"D" => Severity::DEBUG,
        b"I" => Severity::INFO,
        b"W" => Severity::WARN,
        b"E" => Severity::ERROR,
        b"F" | b"C" => Severity::FATAL,
        _ => return None,
    };
    Some((severity, text))
}

/// The head of one line, read word by word.
struct Head<'a> {
    line: &'a [u8],
    at: usize,
    /// Inside of a box.
    boxed: bool,
    /// A stamp, a number or a box was seen: this is a logger's line.
    stamped: bool,
    /// A plain word was seen outside of boxes. One may be a logger's or a host's name, two are prose.
    named: bool,
    /// What stands before the next word.
    before: Edge,
}

/// What a word touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    /// Space, or an end of the line.
    Space,
    Tab,
    Open,
    Close,
    /// A colour sequence.
    Colour,
    Other,
}

/// What is behind a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It belongs to the head.
    Head,
    /// The message has begun.
    Prose,
}

impl<'a> Head<'a> {
    fn new(line: &'a [u8]) -> Self {
        Head {
            line,
            at: 0,
            boxed: false,
            stamped: false,
            named: false,
            before: Edge::Space,
        }
    }

    fn level(mut self) -> Option<(Severity, &'a [u8])> {
        for _ in 0..MAX_WORDS {
            self.separators();
            let start = self.at;
            self.at += self.word_len();
            let word = self.line.get(start..self.at)?;
            if word.is_empty() {
                return None;
            }
            if let Some(equals) = memchr::memchr(b'=', word) {
                let (key, value) = (word.get(..equals)?, word.get(equals + 1..)?);
                let value = self.value(value)?;
                if KEYS.contains(&key)
                    && let Some((severity, _)) = word::word(value)
                {
                    return Some((severity, value));
                }
                continue;
            }
            if let Some(found) = self.named_level(word) {
                return Some(found);
            }
            if self.judge(word) == Verdict::Prose {
                return None;
            }
        }
        None
    }

    fn rest(&self) -> &'a [u8] {
        self.line.get(self.at..).unwrap_or(&[])
    }

    /// Steps over what is between words and remembers what the next word touches.
    fn separators(&mut self) {
        self.before = if self.at == 0 {
            Edge::Space
        } else {
            Edge::Other
        };
        loop {
            let (edge, len) = edge(self.rest());
            match edge {
                Edge::Other => return,
                Edge::Open => (self.boxed, self.stamped) = (true, true),
                Edge::Close => self.boxed = false,
                _ => {}
            }
            // A padded word in a box still touches the box.
            if !(edge == Edge::Space && self.before == Edge::Open) {
                self.before = edge;
            }
            if len == 0 {
                return;
            }
            self.at += len;
        }
    }

    fn word_len(&self) -> usize {
        let ends = |b: &u8| {
            matches!(
                b,
                b' ' | b'\t' | b'\n' | b'[' | b']' | b'<' | b'>' | b'|' | b'"' | b'\'' | 0x1b
            )
        };
        let rest = self.rest();
        rest.iter().position(ends).unwrap_or(rest.len())
    }

    /// The value of a pair, of which `word` was read; a quoted one is read on to its end.
    fn value(&mut self, word: &'a [u8]) -> Option<&'a [u8]> {
        let [b'"', quoted @ ..] = self.rest() else {
            return Some(word);
        };
        let mut end = 0;
        loop {
            end += memchr::memchr2(b'"', b'\\', quoted.get(end..)?)?;
            if quoted.get(end) == Some(&b'"') {
                break;
            }
            end += 2;
        }
        self.at += end + 2;
        quoted.get(..end)
    }

    /// `word` as a level, if it stands as one.
    fn named_level(&self, word: &'a [u8]) -> Option<(Severity, &'a [u8])> {
        let mut core = word;
        let mut channel = false;
        // Monolog's `channel.LEVEL:` and, in a box, Apache's `core:error`.
        if let [.., b':'] = word
            && let Some(dot) = memchr::memrchr(b'.', word)
        {
            (core, channel) = (word.get(dot + 1..)?, true);
        } else if self.boxed
            && let Some(colon) = memchr::memchr(b':', word)
            && colon + 1 < word.len()
        {
            core = word.get(colon + 1..)?;
        }
        let len = core.iter().take_while(|b| b.is_ascii_alphabetic()).count();
        let len = len + usize::from(matches!(core.get(len), Some(b'1'..=b'5')));
        if !(3..=11).contains(&len) {
            return None;
        }
        let (core, tail) = core.split_at_checked(len)?;
        let (severity, need) = word::word(core)?;
        let after = edge(self.rest()).0;
        let closes = after == Edge::Close || after == Edge::Space && self.rest_closes();
        let in_box = tail.is_empty() && self.before == Edge::Open && closes
            || self.boxed && tail.is_empty() && core.len() < word.len() && closes;
        let tab = |edge| edge == Edge::Tab || edge == Edge::Space && self.at == self.line.len();
        let alone = tail.is_empty()
            && (self.before == Edge::Tab && tab(after)
                || self.before == Edge::Colour && after == Edge::Colour);
        if in_box || need <= Need::Bare && alone {
            return Some((severity, core));
        }
        let colon = tail.first() == Some(&b':') || tail.is_empty() && self.colon_follows();
        if need == Need::Boxed || need == Need::Mark && !colon {
            return None;
        }
        let upper = core
            .iter()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if upper {
            let sound = matches!(
                tail.first(),
                None | Some(b':' | b',' | b'/' | b';' | b')' | b'-')
            );
            // A hyphen makes a compound of what follows it at once (`ERROR-PRONE`).
            return (sound && tail.first().is_none_or(|&b| b != b'-' || tail.len() == 1))
                .then_some((severity, core));
        }
        if self.named || channel {
            return None;
        }
        // `Fatal error:` of PHP and Go is a level of two words.
        let two = tail.is_empty() && severity == Severity::FATAL && self.error_follows();
        (two || colon && tail.len() <= 1).then_some((severity, core))
    }

    /// Blanks, then the end of the box.
    fn rest_closes(&self) -> bool {
        let rest = self.rest().trim_ascii_start();
        self.boxed && matches!(rest.first(), Some(b']' | b'>'))
    }

    /// A colon behind a colour sequence.
    fn colon_follows(&self) -> bool {
        let mut rest = self.rest();
        while let (Edge::Colour, len) = edge(rest) {
            rest = rest.get(len..).unwrap_or(&[]);
        }
        rest.len() < self.rest().len() && rest.first() == Some(&b':')
    }

    fn error_follows(&self) -> bool {
        let next = self.rest().get(..7).unwrap_or(&[]);
        next.eq_ignore_ascii_case(b" error:")
    }

    /// Whether a word that is no level still belongs to the head.
    fn judge(&mut self, word: &[u8]) -> Verdict {
        if matches!(self.rest().first(), Some(b'"' | b'\'')) {
            return Verdict::Prose;
        }
        if word.iter().any(u8::is_ascii_digit) {
            self.stamped = true;
            return Verdict::Head;
        }
        // `app[12]:` is a program.
        if self.boxed || calendar(word) || self.rest().first() == Some(&b'[') {
            return Verdict::Head;
        }
        let letters = |w: &[u8]| w.iter().all(u8::is_ascii_alphabetic);
        match word {
            [.., b',' | b'.' | b'!' | b'?' | b';'] if word.len() > 1 => return Verdict::Prose,
            // JSON behind a prefix. `{taskinstance.py}` is a name.
            _ if word.contains(&b'{') && !word.ends_with(b"}") => return Verdict::Prose,
            // Punctuation, or the name of a logger, a user or a program.
            _ if !letters(word) => return Verdict::Head,
            // A zone, `AM`, `PHP`.
            _ if word.len() <= 5 && word.iter().all(u8::is_ascii_uppercase) => {
                return Verdict::Head;
            }
            _ => {}
        }
        if self.stamped && !self.named {
            self.named = true;
            return Verdict::Head;
        }
        Verdict::Prose
    }
}

/// What `rest` begins with, and how long that is.
fn edge(rest: &[u8]) -> (Edge, usize) {
    match rest {
        [] => (Edge::Space, 0),
        [b' ' | b'|', ..] => (Edge::Space, 1),
        [b'\t', ..] => (Edge::Tab, 1),
        [b'[' | b'<', ..] => (Edge::Open, 1),
        [b']' | b'>', ..] => (Edge::Close, 1),
        [0x1b, b'[', sequence @ ..] => {
            let end = sequence
                .iter()
                .position(|b| !b.is_ascii_digit() && *b != b';');
            match end {
                Some(end) if sequence.get(end) == Some(&b'm') => (Edge::Colour, end + 3),
                _ => (Edge::Other, 0),
            }
        }
        _ => (Edge::Other, 0),
    }
}

/// A month or a day of the week, as in `Nov 23` and `Mon Nov 23`.
fn calendar(word: &[u8]) -> bool {
    matches!(
        word,
        b"Jan"
            | b"Feb"
            | b"Mar"
            | b"Apr"
            | b"May"
            | b"Jun"
            | b"Jul"
            | b"Aug"
            | b"Sep"
            | b"Oct"
            | b"Nov"
            | b"Dec"
            | b"Mon"
            | b"Tue"
            | b"Wed"
            | b"Thu"
            | b"Fri"
            | b"Sat"
            | b"Sun"
            | b"Mon,"
            | b"Tue,"
            | b"Wed,"
            | b"Thu,"
            | b"Fri,"
            | b"Sat,"
            | b"Sun,"
    )
}

#[cfg(test)]
mod tests;
