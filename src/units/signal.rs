//! Signals by name and number.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A signal, by number; written as `SIGTERM`, `TERM`, `15` or `SIGRTMIN+3`, in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignalName(pub i32);

impl SignalName {
    /// SIGHUP.
    pub const HUP: Self = Self(1);
    /// SIGINT.
    pub const INT: Self = Self(2);
    /// SIGKILL.
    pub const KILL: Self = Self(9);
    /// SIGTERM.
    pub const TERM: Self = Self(15);
    /// SIGSTOP.
    pub const STOP: Self = Self(19);

    /// The signal's number.
    pub const fn number(self) -> i32 {
        self.0
    }
}

/// The first real-time signal. glibc, Docker and systemd count from 34; musl keeps one more for itself and
/// counts from 35. Users mean the former, whatever podvisor is linked with.
const RTMIN: i32 = 34;
/// The last real-time signal.
const RTMAX: i32 = 64;

/// Names by number, from 1; Linux on every architecture that podvisor is built for.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// Other names of the same signals.
const ALIASES: [(&str, i32); 5] = [
    ("IOT", 6),
    ("CLD", 17),
    ("POLL", 29),
    ("RTMIN", RTMIN),
    ("RTMAX", RTMAX),
];

/// Why a text is no signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no signal: write a name such as `SIGTERM`, `INT` or `SIGRTMIN+3`, or a number from 1 to 64"
)]
pub struct SignalError(String);

impl FromStr for SignalName {
    type Err = SignalError;

    fn from_str(text: &str) -> Result<Self, SignalError> {
        let upper = text.trim().to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let number = if name.bytes().all(|byte| byte.is_ascii_digit()) {
            name.parse().ok()
        } else if let Some(offset) = name.strip_prefix("RTMIN+") {
            small(offset).map(|n| RTMIN + n)
        } else if let Some(offset) = name.strip_prefix("RTMAX-") {
            small(offset).map(|n| RTMAX - n)
        } else {
            by_name(name)
        };
        match number {
            // 32 and 33 are the C library's own.
            Some(n) if (1..=31).contains(&n) || (RTMIN..=RTMAX).contains(&n) => Ok(Self(n)),
            _ => Err(SignalError(text.into())),
        }
    }
}

/// An offset from SIGRTMIN or SIGRTMAX.
fn small(text: &str) -> Option<i32> {
    text.parse::<u8>()
        .ok()
        .map(i32::from)
        .filter(|n| *n <= RTMAX - RTMIN)
}

fn by_name(name: &str) -> Option<i32> {
    NAMES
        .iter()
        .zip(1..)
        .map(|(known, number)| (*known, number))
        .chain(ALIASES)
        .find(|(known, _)| *known == name)
        .map(|(_, number)| number)
}

/// The name of a signal, such as `SIGTERM` or `SIGRTMIN+3`; its number when it has none.
pub fn signal_label(signal: i32) -> String {
    let named = usize::try_from(signal - 1)
        .ok()
        .and_then(|index| NAMES.get(index));
    match (named, signal) {
        (Some(name), _) => format!("SIG{name}"),
        (None, RTMIN) => "SIGRTMIN".to_owned(),
        (None, RTMIN..=RTMAX) => format!("SIGRTMIN+{}", signal - RTMIN),
        (None, _) => signal.to_string(),
    }
}

impl fmt::Display for SignalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&signal_label(self.0))
    }
}

impl Serialize for SignalName {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SignalName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = SignalName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a signal such as `SIGTERM`, `INT` or 15")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<SignalName, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<SignalName, E> {
                number.to_string().parse().map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<SignalName, E> {
                number.to_string().parse().map_err(E::custom)
            }
        }

        from.deserialize_any(Visitor)
    }
}

impl JsonSchema for SignalName {
    fn schema_name() -> Cow<'static, str> {
        "Signal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A signal by name or number: `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`.",
            "type": ["string", "integer"],
            "pattern": r"^([sS][iI][gG])?([A-Za-z]+[12]?|[rR][tT][mM][iI][nN]\+[0-9]+|[rR][tT][mM][aA][xX]-[0-9]+|[0-9]+)$",
            "minimum": 1,
            "maximum": 64,
            "examples": ["SIGTERM", "INT", "SIGRTMIN+3", 15],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_numbers_in_any_case() {
        for (text, expected) in [
            ("SIGTERM", 15),
            ("term", 15),
            ("SigInt", 2),
            ("15", 15),
            ("SIGRTMIN+3", 37),
            ("rtmin+0", 34),
            ("RTMAX-1", 63),
            ("SIGUSR1", 10),
            ("WINCH", 28),
        ] {
            assert_eq!(text.parse(), Ok(SignalName(expected)), "{text}");
        }
        for text in [
            "",
            "SIG",
            "SIGTERMINATE",
            "0",
            "65",
            "32",
            "RTMIN+31",
            "RTMIN+-1",
            "-9",
        ] {
            assert!(text.parse::<SignalName>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_label_is_read_back() {
        for number in (1..=31).chain(34..=64) {
            assert_eq!(signal_label(number).parse(), Ok(SignalName(number)));
        }
        assert_eq!(signal_label(15), "SIGTERM");
        assert_eq!(signal_label(37), "SIGRTMIN+3");
        assert_eq!(signal_label(32), "32");
        assert_eq!(signal_label(-4), "-4");
    }
}
