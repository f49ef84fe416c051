//! Sizes in bytes as users write them: Kubernetes' quantities, with or without the `B`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A size in bytes as users write it: `64KiB`, `1Mi`, `10MB`, `4096`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

/// Why a text is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Nothing at all.
    #[error("a size is missing: write `64KiB`, `1Mi` or `10MB`")]
    Empty,
    /// A sign.
    #[error("`{0}` is negative: a size can't be")]
    Negative(String),
    /// Kubernetes' milli.
    #[error(
        "`{0}`: `m` is a thousandth in Kubernetes' quantities: write `M` or `Mi` for megabytes"
    )]
    Milli(String),
    /// A unit that does not exist.
    #[error(
        "`{unit}` in `{text}` is no unit of size: use KiB, MiB, GiB (1024) or kB, MB, GB (1000)"
    )]
    Unit {
        /// What was written.
        text: String,
        /// The part that is no unit.
        unit: String,
    },
    /// Not a number with a unit.
    #[error("`{0}` is not a size: write `64KiB`, `1Mi` or `10MB`")]
    Form(String),
    /// More than 64 bits hold.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

impl ByteSize {
    /// So many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Every unit with its length in bytes. Binary ones first: `Display` takes the first that fits evenly.
const UNITS: [(&str, u64); 10] = [
    ("Pi", 1 << 50),
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("P", 1_000_000_000_000_000),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("k", 1_000),
];

impl FromStr for ByteSize {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SizeError::Empty);
        }
        if text.starts_with('-') {
            return Err(SizeError::Negative(text.into()));
        }
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let scale = scale_of(text, unit.trim_start())?;
        let form = || SizeError::Form(text.into());
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || fraction.contains('.') {
            return Err(form());
        }
        if whole.len() > 20 || fraction.len() > 15 {
            return Err(SizeError::TooLarge(text.into()));
        }
        let mut bytes = whole.parse::<u128>().map_err(|_| form())? * u128::from(scale);
        if !fraction.is_empty() {
            let digits: u128 = fraction.parse().map_err(|_| form())?;
            let divisor = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(15));
            bytes += digits * u128::from(scale) / divisor;
        }
        u64::try_from(bytes)
            .map(Self)
            .map_err(|_| SizeError::TooLarge(text.into()))
    }
}

/// The number of bytes in a unit, as it was written.
fn scale_of(text: &str, unit: &str) -> Result<u64, SizeError> {
    let bare = match unit {
        "" | "B" => return Ok(1),
        "m" => return Err(SizeError::Milli(text.into())),
        _ => unit.strip_suffix('B').unwrap_or(unit),
    };
    let bare = if bare == "K" { "k" } else { bare };
    UNITS
        .iter()
        .find(|(name, _)| *name == bare)
        .map(|(_, bytes)| *bytes)
        .ok_or_else(|| {
            if text
                .bytes()
                .next()
                .is_some_and(|byte| byte.is_ascii_digit())
            {
                SizeError::Unit {
                    text: text.into(),
                    unit: unit.into(),
                }
            } else {
                SizeError::Form(text.into())
            }
        })
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let even = UNITS
            .iter()
            .find(|(_, bytes)| self.0 > 0 && self.0.is_multiple_of(*bytes));
        match even {
            Some((name, bytes)) => write!(f, "{}{name}B", self.0 / bytes),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as `64KiB`, `1Mi` or `10MB`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
                bytes.to_string().parse().map_err(E::custom)
            }
        }

        from.deserialize_any(Visitor)
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A size in bytes: `4096`, `64KiB` or `64Ki` (1024), `10MB` or `10M` (1000).",
            "type": ["string", "integer"],
            "pattern": r"^[0-9]+(\.[0-9]+)? *([kKMGTP]i?)?B?$",
            "minimum": 0,
            "examples": ["64KiB", "1Mi", "10MB", 4096],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_users_write() {
        for (text, expected) in [
            ("0", 0),
            ("4096", 4096),
            ("64KiB", 65_536),
            ("64Ki", 65_536),
            ("1Mi", 1_048_576),
            ("10MB", 10_000_000),
            ("10M", 10_000_000),
            ("1k", 1_000),
            ("1K", 1_000),
            ("1.5Gi", 1_610_612_736),
            ("100B", 100),
            ("2 MiB", 2_097_152),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(expected)), "{text}");
        }
    }

    #[test]
    fn says_what_would_be_right() {
        for (text, expected) in [
            ("", "a size is missing: write `64KiB`, `1Mi` or `10MB`"),
            (
                "10m",
                "`10m`: `m` is a thousandth in Kubernetes' quantities: write `M` or `Mi` for megabytes",
            ),
            (
                "10mb",
                "`mb` in `10mb` is no unit of size: use KiB, MiB, GiB (1024) or kB, MB, GB (1000)",
            ),
            ("-1", "`-1` is negative: a size can't be"),
            ("big", "`big` is not a size: write `64KiB`, `1Mi` or `10MB`"),
            ("99999999Pi", "`99999999Pi` is too large"),
        ] {
            let error = text.parse::<ByteSize>().unwrap_err();
            assert_eq!(error.to_string(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_it_prints_it_reads(bytes in any::<u64>(), shift in 0..50_u32) {
            for size in [ByteSize(bytes), ByteSize((bytes >> 50) << shift)] {
                prop_assert_eq!(size.to_string().parse::<ByteSize>().unwrap(), size);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,24}|[0-9.]{1,40}[a-zA-Z]{0,3}") {
            let _ = text.parse::<ByteSize>();
        }
    }
}
