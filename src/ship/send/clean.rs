//! What others say, made fit for the log: short, on one line, without what must stay secret.

use std::cmp::Reverse;
use std::collections::VecDeque;

/// What is kept of a message, in bytes.
pub const MAX_MESSAGE: usize = 256;
/// A secret shorter than this is not looked for: it would take ordinary words with it.
const MIN_SECRET: usize = 4;

/// Tokens of the same file that are remembered: an answer may still speak of the one before.
const MAX_TOKENS: usize = 2;

/// Takes out secrets, control characters and excess.
#[derive(Clone, Default)]
pub struct Clean {
    secrets: Vec<String>,
    tokens: VecDeque<String>,
}

impl Clean {
    /// One that knows no secrets yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes `secret` out of every message from now on.
    pub fn hide(&mut self, secret: &str) {
        self.secrets.push(secret.to_owned());
    }

    /// The same for one that takes the place of another now and then.
    pub fn hide_token(&mut self, token: &str) {
        if self.tokens.back().is_none_or(|last| last != token) {
            self.tokens.push_back(token.to_owned());
        }
        if self.tokens.len() > MAX_TOKENS {
            self.tokens.pop_front();
        }
    }

    /// `text` on one line, [`MAX_MESSAGE`] bytes at most, without the secrets.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let secrets = self.secrets.iter().chain(&self.tokens);
        let mut secrets: Vec<&String> = secrets.filter(|s| s.len() >= MIN_SECRET).collect();
        // The longest first: one may be a part of another.
        secrets.sort_by_key(|secret| Reverse(secret.len()));
        let mut text = text.to_owned();
        for secret in secrets {
            text = text.replace(secret.as_str(), "***");
        }
        let mut line = String::with_capacity(text.len().min(MAX_MESSAGE));
        for word in text.split(|c: char| c.is_control() || c.is_whitespace()) {
            if line.len() > MAX_MESSAGE {
                break;
            }
            if !line.is_empty() && !word.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if line.len() > MAX_MESSAGE {
            let room = MAX_MESSAGE - '…'.len_utf8();
            line.truncate(line.floor_char_boundary(room));
            line.push('…');
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_short_line() {
        let clean = Clean::new();
        assert_eq!(clean.text(" a\r\n\tb\x1b[31m c "), "a b [31m c");
        let long = clean.text(&"é".repeat(400));
        assert!(
            long.len() <= MAX_MESSAGE && long.len() > MAX_MESSAGE - 5,
            "{}",
            long.len()
        );
        assert!(long.ends_with("é…"));
        assert_eq!(clean.text(&"x".repeat(MAX_MESSAGE)).len(), MAX_MESSAGE);
    }

    #[test]
    fn secrets_are_taken_out_before_it_is_cut() {
        let mut clean = Clean::new();
        for secret in ["token", "token-of-mine", "abc", ""] {
            clean.hide(secret);
        }
        assert_eq!(
            clean.text("bad token-of-mine, token or abc"),
            "bad ***, *** or abc"
        );
        let straddling = format!("{}token-of-mine", "x".repeat(MAX_MESSAGE - 6));
        assert!(!clean.text(&straddling).contains("token"));
    }

    #[test]
    fn only_the_last_tokens_are_remembered() {
        let mut clean = Clean::new();
        clean.hide("fixed");
        for token in ["token-1", "token-2", "token-2", "token-3"] {
            clean.hide_token(token);
        }
        let text = clean.text("fixed token-1 token-2 token-3");
        assert_eq!(text, "*** token-1 *** ***");
    }
}
