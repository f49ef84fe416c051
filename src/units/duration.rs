//! Durations as users write them: `500ms`, `10s`, `1h30m`; Go's grammar, and days.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration as users write it: `500ms`, `10s`, `5m`, `1h30m`, `0`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration(pub Duration);

/// The longest duration that is accepted: ten years. Longer ones overflow clocks, and are mistakes.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Every unit with its length in nanoseconds, longest first.
const UNITS: [(&str, u64); 7] = [
    ("d", 24 * 3_600_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing at all.
    #[error("a duration is missing: write `10s`, `500ms` or `5m`")]
    Empty,
    /// A bare number.
    #[error("`{0}` has no unit: write `{0}s`, `500ms` or `5m`")]
    NoUnit(String),
    /// A unit that does not exist.
    #[error("`{unit}` in `{text}` is no unit of time: use d, h, m, s, ms, us or ns")]
    Unit {
        /// What was written.
        text: String,
        /// The part that is no unit.
        unit: String,
    },
    /// A sign.
    #[error("`{0}` is negative: a duration can't be")]
    Negative(String),
    /// Not of the form number, unit, number, unit…
    #[error("`{0}` is not a duration: write `10s`, `500ms` or `1h30m`")]
    Form(String),
    /// More than ten years.
    #[error("`{0}` is too long: ten years is the most")]
    TooLong(String),
}

impl HumanDuration {
    /// So many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The duration itself.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl From<HumanDuration> for Duration {
    fn from(value: HumanDuration) -> Self {
        value.0
    }
}

impl FromStr for HumanDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(DurationError::Empty);
        }
        if text.starts_with('-') {
            return Err(DurationError::Negative(text.into()));
        }
        if text.bytes().all(|byte| byte == b'0') {
            return Ok(Self::default());
        }
        if text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
        {
            return Err(DurationError::NoUnit(text.into()));
        }
        let mut nanos: u128 = 0;
        let mut rest = text;
        while !rest.is_empty() {
            let (part, after) = one_part(text, rest)?;
            nanos = nanos.saturating_add(part);
            rest = after;
        }
        if nanos > LONGEST.as_nanos() {
            return Err(DurationError::TooLong(text.into()));
        }
        // At most ten years of nanoseconds, which fit 64 bits.
        Ok(Self(Duration::from_nanos(
            u64::try_from(nanos).unwrap_or(u64::MAX),
        )))
    }
}

/// Reads one `number unit` off the front of `rest`; gives its nanoseconds and what is left.
fn one_part<'a>(text: &str, rest: &'a str) -> Result<(u128, &'a str), DurationError> {
    let form = || DurationError::Form(text.into());
    let number_end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .ok_or_else(form)?;
    let (number, tail) = rest.split_at(number_end);
    let unit_end = tail
        .find(|c: char| c.is_ascii_digit() || c == '.')
        .unwrap_or(tail.len());
    let (unit, after) = tail.split_at(unit_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(form());
    }
    let scale = match unit {
        "µs" | "μs" => 1_000,
        _ => UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, nanos)| *nanos)
            .ok_or_else(|| DurationError::Unit {
                text: text.into(),
                unit: unit.into(),
            })?,
    };
    if whole.len() > 18 || fraction.len() > 18 {
        return Err(DurationError::TooLong(text.into()));
    }
    let whole: u128 = if whole.is_empty() {
        0
    } else {
        whole.parse().map_err(|_| form())?
    };
    let mut nanos = whole.saturating_mul(u128::from(scale));
    if !fraction.is_empty() {
        let digits: u128 = fraction.parse().map_err(|_| form())?;
        let divisor = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(18));
        nanos = nanos.saturating_add(digits.saturating_mul(u128::from(scale)) / divisor);
    }
    Ok((nanos, after))
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.as_nanos();
        if left == 0 {
            return f.write_str("0s");
        }
        for (name, nanos) in UNITS {
            let count = left / u128::from(nanos);
            // A day is written as 24h: hours are what Go and Kubernetes print.
            if name == "d" || count == 0 {
                continue;
            }
            left %= u128::from(nanos);
            write!(f, "{count}{name}")?;
        }
        Ok(())
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = HumanDuration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as `10s`, `500ms` or `5m`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<HumanDuration, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<HumanDuration, E> {
                number.to_string().parse().map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<HumanDuration, E> {
                number.to_string().parse().map_err(E::custom)
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<HumanDuration, E> {
                number.to_string().parse().map_err(E::custom)
            }
        }

        from.deserialize_any(Visitor)
    }
}

impl JsonSchema for HumanDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // The bounds concern integers only: a bare 0 is the one number that needs no unit.
        json_schema!({
            "description": "A duration: `500ms`, `10s`, `5m`, `1h30m`; `0` needs no unit.",
            "type": ["string", "integer"],
            "pattern": r"^([0-9]+(\.[0-9]*)?(d|h|m|s|ms|us|µs|ns))+$|^0$",
            "minimum": 0,
            "maximum": 0,
            "examples": ["500ms", "10s", "5m", "1h30m"],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(text: &str) -> u128 {
        text.parse::<HumanDuration>().unwrap().0.as_millis()
    }

    #[test]
    fn reads_what_users_write() {
        for (text, expected) in [
            ("0", 0),
            ("0s", 0),
            ("500ms", 500),
            ("10s", 10_000),
            ("1.5s", 1_500),
            (".5s", 500),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
            (" 10s ", 10_000),
        ] {
            assert_eq!(millis(text), expected, "{text}");
        }
    }

    #[test]
    fn says_what_would_be_right() {
        for (text, expected) in [
            ("", "a duration is missing: write `10s`, `500ms` or `5m`"),
            ("10", "`10` has no unit: write `10s`, `500ms` or `5m`"),
            (
                "10 s",
                "` s` in `10 s` is no unit of time: use d, h, m, s, ms, us or ns",
            ),
            (
                "10sec",
                "`sec` in `10sec` is no unit of time: use d, h, m, s, ms, us or ns",
            ),
            ("-1s", "`-1s` is negative: a duration can't be"),
            (
                "soon",
                "`soon` is not a duration: write `10s`, `500ms` or `1h30m`",
            ),
            (
                "1h30",
                "`1h30` is not a duration: write `10s`, `500ms` or `1h30m`",
            ),
            (
                "9999999999h",
                "`9999999999h` is too long: ten years is the most",
            ),
            (
                "1..5s",
                "`1..5s` is not a duration: write `10s`, `500ms` or `1h30m`",
            ),
        ] {
            let error = text.parse::<HumanDuration>().unwrap_err();
            assert_eq!(error.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn prints_as_go_does() {
        assert_eq!(HumanDuration::from_millis(0).to_string(), "0s");
        assert_eq!(HumanDuration::from_millis(90_500).to_string(), "1m30s500ms");
        assert_eq!(HumanDuration::from_secs(86_400).to_string(), "24h");
    }

    proptest! {
        #[test]
        fn what_it_prints_it_reads(nanos in 0..300_000_000_000_000_000_u64) {
            let duration = HumanDuration(Duration::from_nanos(nanos));
            prop_assert_eq!(duration.to_string().parse::<HumanDuration>().unwrap(), duration);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,24}|[0-9.]{1,30}[a-zµ]{0,3}") {
            let _ = text.parse::<HumanDuration>();
        }
    }
}
