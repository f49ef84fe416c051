//! The types of `http:`: where health and metrics are served.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use crate::units::HumanDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

/// The port that podvisor listens on when nothing else is said.
pub const DEFAULT_PORT: u16 = 4747;

/// Health endpoints and metrics.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Http {
    /// Address and port, or `off`. Default: `0.0.0.0:4747`.
    pub listen: Listen,
    /// How often what the services and the container use is looked at, while somebody scrapes. Default: 10s.
    pub collect_interval: HumanDuration,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: Listen::default(),
            collect_interval: HumanDuration::from_millis(10_000),
        }
    }
}

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// At this address.
    Addr(SocketAddr),
}

impl Listen {
    /// The default, `0.0.0.0:4747`.
    pub const DEFAULT: Self = Self::Addr(SocketAddr::new(
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        DEFAULT_PORT,
    ));
}

impl Default for Listen {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Addr(address) => address.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Address;

        impl Visitor<'_> for Address {
            type Value = Listen;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address such as `0.0.0.0:4747`, or `off`")
            }

            fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Listen, E> {
                // YAML 1.1 editors turn `off` into `false`.
                match truth {
                    false => Ok(Listen::Off),
                    true => Err(E::custom("`true` is no address: write `0.0.0.0:4747`")),
                }
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Listen, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Listen, E> {
                text.parse().map_err(E::custom)
            }
        }

        from.deserialize_any(Address)
    }
}

/// Why a text is no listen address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// Only a port.
    #[error("`{0}` has no address: write `0.0.0.0:{port}`", port = .0.trim_start_matches(':'))]
    OnlyPort(String),
    /// A host name.
    #[error(
        "`{0}` is no address: write an IP address and a port such as `127.0.0.1:4747`, or `off`"
    )]
    Form(String),
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        if text.eq_ignore_ascii_case("off") {
            return Ok(Self::Off);
        }
        let localhost = text
            .strip_prefix("localhost:")
            .map(|port| format!("127.0.0.1:{port}"));
        match localhost.as_deref().unwrap_or(text).parse::<SocketAddr>() {
            Ok(address) => Ok(Self::Addr(address)),
            Err(_) if text.trim_start_matches(':').parse::<u16>().is_ok() => {
                Err(ListenError::OnlyPort(text.to_owned()))
            }
            Err(_) => Err(ListenError::Form(text.to_owned())),
        }
    }
}

impl JsonSchema for Listen {
    fn schema_name() -> Cow<'static, str> {
        "Listen".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An IP address with a port, or `off`.",
            "type": ["string", "boolean"],
            "pattern": r"^(off|Off|OFF|localhost:[0-9]{1,5}|[0-9.]+:[0-9]{1,5}|\[[0-9A-Fa-f:.%]+\]:[0-9]{1,5})$",
            "examples": ["0.0.0.0:4747", "127.0.0.1:4747", "[::]:4747", "off"],
        })
    }
}
