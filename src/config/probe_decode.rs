//! How a probe is read: one check beside its numbers, ports as numbers or strings.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

use super::model::Limit;
use super::probe::Probe;

/// Reads a port.
pub(super) fn port<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    u16::deserialize(from)
}

/// The schema of a port.
pub(super) fn port_schema(generator: &mut SchemaGenerator) -> Schema {
    u16::json_schema(generator)
}

macro_rules! later {
    ($($t:ty),*) => {$(
        impl<'de> Deserialize<'de> for $t {
            fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
                Err(serde::de::Error::custom("not yet"))
            }
        }
        impl JsonSchema for $t {
            fn schema_name() -> std::borrow::Cow<'static, str> { stringify!($t).into() }
            fn json_schema(_: &mut SchemaGenerator) -> Schema { Schema::default() }
        }
    )*};
}
later!(Probe, Limit);
