//! The words of decode errors: what was expected, what was found, did you mean; and how plain scalars are read.

use serde::de::Unexpected;

use super::tree::{Kind, Scalar};

/// What stands at a node, for "found …".
pub(super) enum Found {
    /// Nothing: `key:` or `~`.
    Nothing,
    /// A scalar in quotes.
    Quoted(String),
    /// A scalar without quotes.
    Plain(String),
    /// A list.
    List,
    /// A map.
    Map,
}

/// What stands at a node.
pub(super) fn found(kind: &Kind) -> Found {
    match kind {
        Kind::List(_) => Found::List,
        Kind::Map(_) => Found::Map,
        Kind::Scalar(scalar) => found_scalar(scalar),
    }
}

fn found_scalar(scalar: &Scalar) -> Found {
    if scalar.is_null() {
        Found::Nothing
    } else if scalar.is_typed() {
        Found::Plain(scalar.text.clone())
    } else {
        Found::Quoted(scalar.text.clone())
    }
}

/// serde's description of what it found, in our terms.
pub(super) fn unexpected(found: &Unexpected<'_>) -> Found {
    match found {
        Unexpected::Unit | Unexpected::Option => Found::Nothing,
        Unexpected::Seq => Found::List,
        Unexpected::Map | Unexpected::StructVariant => Found::Map,
        Unexpected::Str(text) => Found::Quoted((*text).to_owned()),
        Unexpected::Bool(truth) => Found::Plain(truth.to_string()),
        Unexpected::Unsigned(number) => Found::Plain(number.to_string()),
        Unexpected::Signed(number) => Found::Plain(number.to_string()),
        Unexpected::Float(number) => Found::Plain(number.to_string()),
        other => Found::Plain(other.to_string()),
    }
}

/// The message and the advice for a value of the wrong type.
pub(super) fn expected(expected: &str, found: &Found) -> (String, Option<String>) {
    let expected = match expected {
        "a boolean" => "true or false",
        "a sequence" => "a list",
        _ if expected.starts_with("struct ") => "a map",
        other => other,
    };
    let shown = match found {
        Found::Nothing => "nothing".to_owned(),
        Found::List => "a list".to_owned(),
        Found::Map => "a map".to_owned(),
        Found::Quoted(text) => format!("the string \"{}\"", short(text)),
        Found::Plain(text) => format!("`{}`", short(text)),
    };
    let help = match found {
        Found::Nothing if expected == "a string" => {
            Some("give it a value, or `\"\"` if it is to be empty".to_owned())
        }
        Found::Nothing => Some("give it a value, or remove the line".to_owned()),
        Found::Plain(text) | Found::Quoted(text) if expected == "true or false" => truth(text),
        Found::Quoted(text) if expected.starts_with("a whole number") || expected == "a number" => {
            integer(text).map(|_| format!("remove the quotes: {text}"))
        }
        Found::Plain(text) if expected.starts_with("a whole number") && is_octal_like(text) => {
            Some(format!(
                "numbers don't begin with 0: write {}",
                text.trim_start_matches('0')
            ))
        }
        Found::Plain(text) | Found::Quoted(text) if expected.starts_with("a list") => as_list(text),
        Found::List if expected == "a map" => Some("write `name: value`, without `-`".to_owned()),
        Found::Plain(text) if expected == "a map" && CONDITIONS.contains(&text.as_str()) => {
            Some(format!("write `{{ condition: {text} }}`"))
        }
        _ => None,
    };
    (format!("expected {expected}, found {shown}"), help)
}

/// The conditions of a dependency, which are easily written without their key.
const CONDITIONS: [&str; 3] = ["started", "ready", "completed"];

/// A command line as the list that it should be; none where only a shell could tell its words.
fn as_list(text: &str) -> Option<String> {
    let plain = text
        .chars()
        .all(|c| c.is_alphanumeric() || " -_./:=@%+,".contains(c));
    let words: Vec<&str> = text.split_whitespace().collect();
    (plain && !words.is_empty() && text.len() <= 200)
        .then(|| format!("write `[{}]`", words.join(", ")))
}

fn truth(text: &str) -> Option<String> {
    let meant = match text.to_ascii_lowercase().as_str() {
        "yes" | "y" | "on" | "1" | "true" => "true",
        "no" | "n" | "off" | "0" | "false" => "false",
        _ => return None,
    };
    Some(format!("write {meant}, without quotes"))
}

fn is_octal_like(text: &str) -> bool {
    text.len() > 1
        && text.starts_with('0')
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.bytes().any(|byte| byte != b'0')
}

/// `` one of `a`, `b`, `c` ``.
pub(super) fn one_of(names: &[&str]) -> String {
    format!("one of {}", list(names))
}

fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// "did you mean …?", or all the choices when none is near and there are few.
pub fn suggest(name: &str, known: &[&str], what: &str) -> Option<String> {
    if let Some(near) = nearest(name, known.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    (!known.is_empty()).then(|| format!("{what}: {}", list(known)))
}

/// The known name that is nearest to `name`, if any is near enough to be a slip of the finger.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = simplified(name);
    // A third of the letters, at least one: beyond that it is another word.
    let limit = (wanted.chars().count() / 3).clamp(1, 4);
    known
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&wanted, &simplified(candidate));
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, candidate)| (*distance, *candidate))
        .map(|(_, candidate)| candidate)
}

/// `depends_on`, `depends-on` and `dependson` are all near `dependsOn`.
fn simplified(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .flat_map(char::to_lowercase)
        .take(64)
        .collect()
}

/// A text short enough for a message.
pub(super) fn short(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A plain scalar as a boolean: YAML 1.2's own words only, so `yes` and `on` are text.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// A plain scalar as a whole number: decimal, `0x…` or `0o…`. `0755` is none, since YAML 1.1 and 1.2 disagree on it.
pub(super) fn integer(text: &str) -> Option<i128> {
    if let Some(hex) = text.strip_prefix("0x") {
        return digits(hex, 16);
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return digits(octal, 8);
    }
    let (sign, number) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    if is_octal_like(number) {
        return None;
    }
    digits(number, 10).map(|number| sign * number)
}

fn digits(text: &str, radix: u32) -> Option<i128> {
    // from_str_radix takes a sign of its own, which may not stand here.
    if text.is_empty() || text.len() > 30 || !text.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    i128::from_str_radix(text, radix).ok()
}

/// A plain scalar as a finite number.
pub(super) fn float(text: &str) -> Option<f64> {
    let numeric = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'))
        && text.bytes().any(|byte| byte.is_ascii_digit());
    if !numeric {
        return None;
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}
