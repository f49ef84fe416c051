//! Taking secrets out of a record before anything else looks at it.
//!
//! What is redacted is the text as a whole, so that neither the message nor a parsed field nor an id can leak. A JSON
//! object stays one as long as the replacement fits where it lands; else the record goes on as text. A line longer than
//! `maxLine` is redacted piece by piece: a secret across the cut may be missed.
//!
//! A record that no rule matches is not copied.

use regex::bytes::{CaptureLocations, Regex};

use super::secrets;

/// What takes a secret's place where the rule does not say.
pub const MASK: &str = "[redacted]";

/// A redacted text is cut at this many times the length of the longest record, so that no rule can blow it up.
const MAX_GROWTH: usize = 2;

/// A buffer of at most this capacity is kept for the next record; a larger one is given back.
const KEEP_BUFFER: usize = 64 * 1024;

/// A rule that is known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Builtin {
    /// Mail addresses.
    Email,
    /// IPv4 addresses.
    Ipv4,
    /// Numbers of 13 to 19 digits, in groups or not, that pass the Luhn check.
    CreditCard,
    /// What follows `Bearer`, and any JSON Web Token.
    Bearer,
    /// The values of `password`, `secret`, `token`, `apiKey` and their like: `key=value`, `key: "value"`, in JSON.
    Password,
    /// AWS' access key ids, and secret access keys that are called so.
    AwsKey,
}

impl Builtin {
    /// All, in the order of the documentation.
    pub const ALL: [Builtin; 6] = [
        Builtin::Email,
        Builtin::Ipv4,
        Builtin::CreditCard,
        Builtin::Bearer,
        Builtin::Password,
        Builtin::AwsKey,
    ];

    /// The word in the config.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Builtin::Email => "email",
            Builtin::Ipv4 => "ipv4",
            Builtin::CreditCard => "creditCard",
            Builtin::Bearer => "bearer",
            Builtin::Password => "password",
            Builtin::AwsKey => "awsKey",
        }
    }
}

/// Why a rule can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RedactError {
    /// The pattern is no regular expression.
    #[error(transparent)]
    Pattern(#[from] regex::Error),
    /// The replacement names a group that the pattern does not have.
    #[error("the replacement names the group `{0}`, which the pattern does not have")]
    NoGroup(String),
    /// A brace without its end.
    #[error("the replacement has `${{` without `}}`")]
    OpenBrace,
}

/// The rules, in order: each sees what the ones before it left.
#[derive(Debug, Clone, Default)]
pub struct Redact {
    rules: Vec<Rule>,
    done: Vec<u8>,
    next: Vec<u8>,
}

impl Redact {
    /// Adds a rule. In `replacement`, `$1`, `$name` and `${name}` are groups of the pattern and `$$` is `$`.
    ///
    /// # Errors
    /// The pattern is no regular expression, or the replacement does not fit it.
    pub fn rule(&mut self, pattern: &str, replacement: &str) -> Result<(), RedactError> {
        self.rules.push(Rule::new(pattern, replacement, None)?);
        Ok(())
    }

    /// Adds a rule that is known by name.
    ///
    /// # Errors
    /// Never, unless the pattern does not suit the version of the regular expressions.
    pub fn builtin(&mut self, builtin: Builtin) -> Result<(), RedactError> {
        let check: Option<Check> = match builtin {
            Builtin::CreditCard => Some(secrets::card),
            _ => None,
        };
        for (pattern, replacement) in secrets::patterns(builtin) {
            self.rules.push(Rule::new(pattern, replacement, check)?);
        }
        Ok(())
    }

    /// No rules.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// `text` with everything replaced, if there was anything. `max_bytes` is the length of the longest record.
    pub fn apply(&mut self, text: &[u8], max_bytes: usize) -> Option<&[u8]> {
        let limit = max_bytes.saturating_mul(MAX_GROWTH);
        let mut changed = false;
        for rule in &mut self.rules {
            let from = if changed { &self.done } else { text };
            if rule.rewrite(from, &mut self.next, limit) {
                std::mem::swap(&mut self.done, &mut self.next);
                changed = true;
            }
        }
        if !changed {
            return None;
        }
        for buffer in [&mut self.next, &mut self.done] {
            if buffer.capacity() > KEEP_BUFFER.max(buffer.len()) {
                buffer.shrink_to(KEEP_BUFFER);
            }
        }
        Some(&self.done)
    }
}

/// Which part of a match is the secret, if any.
type Check = fn(&[u8]) -> Option<(usize, usize)>;

#[derive(Debug, Clone)]
struct Rule {
    regex: Regex,
    replacement: Vec<Piece>,
    /// Narrows what matches.
    check: Option<Check>,
    places: CaptureLocations,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Group(usize),
}

impl Rule {
    fn new(pattern: &str, replacement: &str, check: Option<Check>) -> Result<Self, RedactError> {
        let regex = Regex::new(pattern)?;
        let replacement = pieces(replacement, &regex)?;
        let places = regex.capture_locations();
        Ok(Rule {
            regex,
            replacement,
            check,
            places,
        })
    }

    /// Where the next match from `at` on lies, with its groups in `places` if the replacement needs them.
    fn find(&mut self, text: &[u8], at: usize) -> Option<(usize, usize)> {
        let found = if self
            .replacement
            .iter()
            .any(|p| matches!(p, Piece::Group(_)))
        {
            self.regex.captures_read_at(&mut self.places, text, at)
        } else {
            self.regex.find_at(text, at)
        };
        found.map(|m| (m.start(), m.end()))
    }

    /// The part of what matched at `start` that passes the check, if any does.
    fn narrow(&self, matched: &[u8], start: usize) -> Option<(usize, usize)> {
        let (from, to) = match self.check {
            None => (0, matched.len()),
            Some(check) => check(matched)?,
        };
        Some((start + from, start + to))
    }

    /// Writes `text` with its matches replaced to `out`, at most `limit` bytes. False if there was no match.
    fn rewrite(&mut self, text: &[u8], out: &mut Vec<u8>, limit: usize) -> bool {
        out.clear();
        let (mut copied, mut at) = (0, 0);
        while at <= text.len() && out.len() <= limit {
            let Some((start, end)) = self.find(text, at) else {
                break;
            };
            let matched = text.get(start..end).unwrap_or(&[]);
            let Some((start, end)) = self.narrow(matched, start) else {
                at = start + 1;
                continue;
            };
            // An empty match must not be found again, nor right behind another.
            at = if end > start { end } else { end + 1 };
            if start == end && start == copied && copied > 0 {
                continue;
            }
            out.extend_from_slice(text.get(copied..start).unwrap_or(&[]));
            for piece in &self.replacement {
                match piece {
                    Piece::Text(bytes) => out.extend_from_slice(bytes),
                    Piece::Group(i) => {
                        let place = self.places.get(*i).and_then(|(a, b)| text.get(a..b));
                        out.extend_from_slice(place.unwrap_or(&[]));
                    }
                }
            }
            copied = end;
        }
        if copied == 0 && out.is_empty() {
            return false;
        }
        out.extend_from_slice(text.get(copied..).unwrap_or(&[]));
        out.truncate(limit);
        true
    }
}

/// A replacement, cut into what is copied and what is looked up.
fn pieces(replacement: &str, regex: &Regex) -> Result<Vec<Piece>, RedactError> {
    let mut pieces = Vec::new();
    let mut text = Vec::new();
    let mut rest = replacement;
    while let Some((before, after)) = rest.split_once('$') {
        text.extend_from_slice(before.as_bytes());
        let (name, then) = if let Some(braced) = after.strip_prefix('{') {
            braced.split_once('}').ok_or(RedactError::OpenBrace)?
        } else if let Some(then) = after.strip_prefix('$') {
            text.push(b'$');
            rest = then;
            continue;
        } else {
            let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = after.find(|c| !inside(c)).unwrap_or(after.len());
            after.split_at(end)
        };
        rest = then;
        if name.is_empty() {
            text.push(b'$');
            continue;
        }
        let index = match name.parse::<usize>() {
            Ok(index) => (index < regex.captures_len()).then_some(index),
            Err(_) => regex.capture_names().position(|n| n == Some(name)),
        };
        let index = index.ok_or_else(|| RedactError::NoGroup(name.to_owned()))?;
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(Piece::Group(index));
    }
    text.extend_from_slice(rest.as_bytes());
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests;
