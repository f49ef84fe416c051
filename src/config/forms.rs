//! Values that may be written in more than one way: ports, limits, dependencies; how they are read, and their schema.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::model::{Dependency, Limit, ServiceName};
use crate::units::ByteSize;

/// Reads a port: a number, or a number as a string (Kubernetes' IntOrString).
pub(super) fn port<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    struct Number;

    impl Visitor<'_> for Number {
        type Value = u16;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a port from 1 to 65535")
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<u16, E> {
            match u16::try_from(number) {
                Ok(port) if port > 0 => Ok(port),
                _ => Err(E::custom(format!("`{number}` is no port: 1 to 65535"))),
            }
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<u16, E> {
            Err(E::custom(format!("`{number}` is no port: 1 to 65535")))
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<u16, E> {
            match text.parse::<u16>() {
                Ok(port) if port > 0 => Ok(port),
                _ if text.starts_with("tcp://") => Err(E::custom(format!(
                    "`{text}` is no port: Kubernetes sets variables such as SERVICE_PORT to addresses; \
                     name your own variable otherwise, or set enableServiceLinks: false",
                ))),
                _ if text.starts_with(|c: char| c.is_ascii_alphabetic()) => Err(E::custom(
                    format!("`{text}` is no port: podvisor has no named ports, write the number",),
                )),
                _ => Err(E::custom(format!("`{text}` is no port: 1 to 65535"))),
            }
        }
    }

    from.deserialize_any(Number)
}

/// Reads the path of a request. Kubernetes takes `healthz` for `/healthz`.
pub(super) fn path<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let path = Option::<String>::deserialize(from)?;
    Ok(
        path.map(|path| match path.starts_with('/') || path.contains("://") {
            true => path,
            false => format!("/{path}"),
        }),
    )
}

/// Reads `dependsOn`: a list of names, or a map from a name to a condition.
pub(super) fn depends_on<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<ServiceName, Dependency>, D::Error> {
    struct Either;

    impl<'de> Visitor<'de> for Either {
        type Value = BTreeMap<ServiceName, Dependency>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(
                "a list of service names, or a map from a name to `{ condition, required }`",
            )
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(BTreeMap::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut all = BTreeMap::new();
            while let Some(name) = seq.next_element::<ServiceName>()? {
                if all.insert(name.clone(), Dependency::default()).is_some() {
                    return Err(de::Error::custom(format!("`{name}` stands here twice")));
                }
            }
            Ok(all)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut all = BTreeMap::new();
            while let Some((name, dependency)) = map.next_entry::<_, Option<Dependency>>()? {
                all.insert(name, dependency.unwrap_or_default());
            }
            Ok(all)
        }
    }

    from.deserialize_any(Either)
}

/// One side of a limit: a number, a size, or `unlimited` (`None`).
struct LimitValue(Option<u64>);

impl<'de> Deserialize<'de> for LimitValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Value;

        impl Visitor<'_> for Value {
            type Value = LimitValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or `unlimited`")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<LimitValue, E> {
                Ok(LimitValue(Some(number)))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<LimitValue, E> {
                match number {
                    -1 => Err(E::custom("`-1` is no limit: write `unlimited`")),
                    _ => Err(E::custom(format!("`{number}` is no limit: it is negative"))),
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<LimitValue, E> {
                if text.eq_ignore_ascii_case("unlimited") || text.eq_ignore_ascii_case("infinity") {
                    return Ok(LimitValue(None));
                }
                match text.parse::<ByteSize>() {
                    Ok(size) => Ok(LimitValue(Some(size.get()))),
                    Err(_) => Err(E::custom(format!(
                        "`{text}` is no limit: write a number, a size such as `64Mi`, or `unlimited`"
                    ))),
                }
            }
        }

        from.deserialize_any(Value)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SoftAndHard {
    soft: LimitValue,
    hard: LimitValue,
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Limit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, `unlimited` or `{ soft, hard }`")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Limit, E> {
                both(de::IntoDeserializer::into_deserializer(number))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Limit, E> {
                both(de::IntoDeserializer::into_deserializer(number))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Limit, E> {
                both(de::IntoDeserializer::into_deserializer(text))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Limit, A::Error> {
                let both = SoftAndHard::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Limit {
                    soft: both.soft.0,
                    hard: both.hard.0,
                })
            }
        }

        from.deserialize_any(Either)
    }
}

/// A single value stands for both sides.
fn both<'de, D: Deserializer<'de>>(from: D) -> Result<Limit, D::Error> {
    let LimitValue(value) = LimitValue::deserialize(from)?;
    Ok(Limit {
        soft: value,
        hard: value,
    })
}

/// The schema of a port.
pub(super) struct Port;

impl JsonSchema for Port {
    fn schema_name() -> Cow<'static, str> {
        "Port".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A port number, also as a string.",
            "type": ["integer", "string"],
            "minimum": 1,
            "maximum": 65535,
            "pattern": "^[0-9]{1,5}$",
        })
    }
}

/// The schema of `dependsOn`.
pub(super) struct DependsOn;

impl JsonSchema for DependsOn {
    fn schema_name() -> Cow<'static, str> {
        "DependsOn".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let dependency = generator.subschema_for::<Dependency>();
        json_schema!({
            "description": "A list of service names, or a map from a name to what to wait for.",
            "anyOf": [
                { "type": "array", "items": { "type": "string" }, "uniqueItems": true },
                { "type": "object", "additionalProperties": { "anyOf": [dependency, { "type": "null" }] } },
            ],
        })
    }
}

impl JsonSchema for Limit {
    fn schema_name() -> Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let value = serde_json::json!({
            "type": ["integer", "string"],
            "minimum": 0,
            "pattern": r"^(unlimited|infinity|[0-9]+(\.[0-9]+)? *([kKMGTP]i?)?B?)$",
        });
        json_schema!({
            "description": "A number, a size such as `64Mi`, `unlimited`, or `{ soft, hard }`.",
            "anyOf": [
                value,
                {
                    "type": "object",
                    "properties": { "soft": value, "hard": value },
                    "required": ["soft", "hard"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}
