//! The secrets that are known by name: how they look, and what takes their place.

use super::redact::Builtin;

/// Names whose values are secrets, also at the end of longer names such as `DB_PASSWORD`.
macro_rules! keys {
    () => {
        r"(?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)"
    };
}

/// Patterns and their replacements, applied in order. They need no Unicode tables: all of these are ASCII.
pub(super) fn patterns(builtin: Builtin) -> &'static [(&'static str, &'static str)] {
    match builtin {
        Builtin::Email => &[(
            r"(?-u)\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+\b",
            "[redacted]",
        )],
        Builtin::Ipv4 => &[(
            r"(?-u)\b(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\b",
            "[redacted]",
        )],
        Builtin::CreditCard => &[(r"(?-u)\b[0-9](?:[ -]?[0-9]){12,18}\b", "[redacted]")],
        Builtin::Bearer => &[
            (r"(?i-u)(\bbearer[ \t]+)[A-Za-z0-9._~+/=-]+", "$1[redacted]"),
            (
                r"(?-u)\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*",
                "[redacted]",
            ),
        ],
        Builtin::Password => &[
            // JSON within a JSON string: `\"password\":\"…\"`.
            (
                concat!(r"(?i-u)(", keys!(), r#"\\+"\s*:\s*\\+")[^"\\]+"#),
                "$1[redacted]",
            ),
            // JSON, whatever type the value has, so that it stays JSON.
            (
                concat!(
                    r"(?i-u)(",
                    keys!(),
                    r#""\s*:\s*)(?:"(?:[^"\\]|\\.)*"|[^\s"\[{,}\]]+)"#
                ),
                r#"$1"[redacted]""#,
            ),
            (
                concat!(r"(?i-u)(", keys!(), r#"'?\s*[=:]\s*)"(?:[^"\\]|\\.)*""#),
                r#"$1"[redacted]""#,
            ),
            (
                concat!(r"(?i-u)(", keys!(), r"'?\s*[=:]\s*)'(?:[^'\\]|\\.)*'"),
                "$1'[redacted]'",
            ),
            (
                concat!(
                    r"(?i-u)(",
                    keys!(),
                    r#"(?:[ \t]*=[ \t]*|:[ \t]*))[^\s"'\\,;&\[{}\])]+"#
                ),
                "$1[redacted]",
            ),
        ],
        Builtin::AwsKey => &[
            (
                r"(?-u)\b(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ANVA)[A-Z0-9]{16}\b",
                "[redacted]",
            ),
            (
                r#"(?i-u)(aws_?(?:secret)?_?(?:access)?_?key['"\\]*\s*[=:]\s*['"\\]*)[A-Za-z0-9/+]{40}"#,
                "$1[redacted]",
            ),
        ],
    }
}

/// The longest part of `text`, digits in groups, that is a card's number: whole groups, 13 to 19 digits, the last one
/// right. What stands beside the number (`12/28`, an order's number) is often in the same match.
pub(super) fn card(text: &[u8]) -> Option<(usize, usize)> {
    let digit = |i: usize| text.get(i).is_some_and(u8::is_ascii_digit);
    let starts = (0..text.len()).filter(|&i| digit(i) && (i == 0 || !digit(i - 1)));
    for start in starts {
        let ends = (start + 1..=text.len()).rev();
        for end in ends.filter(|&i| digit(i - 1) && !digit(i)) {
            if luhn(text.get(start..end)?) {
                return Some((start, end));
            }
        }
    }
    None
}

/// The check of a card number's last digit (ISO/IEC 7812-1), and of how many there are.
fn luhn(text: &[u8]) -> bool {
    let digits = text.iter().rev().filter(|b| b.is_ascii_digit());
    let count = digits.clone().count();
    let sum: u32 = digits
        .zip([0, 1].into_iter().cycle())
        .map(|(digit, doubled)| {
            let value = u32::from(digit - b'0') << doubled;
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    (13..=19).contains(&count) && sum.is_multiple_of(10)
}
