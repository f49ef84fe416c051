//! Tree to types: serde's own derives, with every error collected instead of the first only.
//!
//! serde stops at the first error. So: note it with its node, cut that node out, decode again. What is an echo of
//! a cut (a field that is missing because its value was cut) is not noted. Services are decoded one by one, so the
//! cost of an error is one service, and a broken one does not hide the others.

use std::collections::HashSet;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};

use super::decode_error::DecodeError;
use super::tree::{Kind, NodeId, Scalar, Tree};
use super::words;

/// The most errors that are collected for one config; beyond, they are only counted.
pub const MAX_PROBLEMS: usize = 100;

/// Nodes that were cut out since they hold errors.
pub(super) type Cuts = HashSet<NodeId>;

/// One mistake at one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    /// The node.
    pub node: NodeId,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

/// Decodes one node, gathering every mistake. `None` when the node as a whole can't be used.
pub(super) fn decode<T: DeserializeOwned>(
    tree: &Tree,
    node: NodeId,
    cuts: &mut Cuts,
    mistakes: &mut Vec<Mistake>,
) -> Option<T> {
    loop {
        let from = NodeDecoder { tree, cuts, node };
        let error = match T::deserialize(from) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let at = error.node.unwrap_or(node);
        // Nearly always the first: walking up from each cut is cheaper than marking every ancestor at each cut.
        let is_echo = cuts.iter().any(|cut| tree.is_below(*cut, at));
        if !is_echo {
            mistakes.push(Mistake {
                node: at,
                message: error.message,
                help: error.help,
            });
        }
        if at == node || mistakes.len() >= MAX_PROBLEMS {
            cuts.insert(node);
            return None;
        }
        cuts.insert(at);
    }
}

/// serde's view of one node.
#[derive(Clone, Copy)]
struct NodeDecoder<'de> {
    tree: &'de Tree,
    cuts: &'de Cuts,
    node: NodeId,
}

impl<'de> NodeDecoder<'de> {
    fn kind(self) -> &'de Kind {
        &self.tree.node(self.node).kind
    }

    fn below(self, node: NodeId) -> Self {
        Self { node, ..self }
    }

    /// "expected `what`, found `what is there`".
    fn mismatch(self, expected: &str) -> DecodeError {
        let (message, help) = words::expected(expected, &words::found(self.kind()));
        DecodeError::new(message, help).at(self.node)
    }

    /// The scalar, if it may be read as a number or boolean.
    fn typed(self) -> Option<&'de Scalar> {
        match self.kind() {
            Kind::Scalar(scalar) if scalar.is_typed() && !scalar.is_null() => Some(scalar),
            _ => None,
        }
    }

    fn integer<T: TryFrom<i128>>(self, expected: &str) -> Result<T, DecodeError> {
        let Some(scalar) = self.typed() else {
            return Err(self.mismatch("a whole number"));
        };
        match words::integer(&scalar.text) {
            Some(number) => T::try_from(number)
                .map_err(|_| self.mismatch(&format!("a whole number {expected}"))),
            None => Err(self.mismatch("a whole number")),
        }
    }

    fn text(self) -> Result<&'de str, DecodeError> {
        match self.kind() {
            Kind::Scalar(scalar) if !scalar.is_null() => Ok(&scalar.text),
            _ => Err(self.mismatch("a string")),
        }
    }

    fn items<V: Visitor<'de>>(
        self,
        items: &'de [NodeId],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor
            .visit_seq(Items {
                parent: self,
                rest: items.iter(),
            })
            .map_err(|error| error.at(self.node))
    }

    fn entries<V: Visitor<'de>>(
        self,
        entries: &'de [(NodeId, NodeId)],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor
            .visit_map(Entries {
                parent: self,
                rest: entries.iter(),
                value: None,
            })
            .map_err(|error| error.at(self.node))
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $t:ty, $expected:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            let number = self.integer::<$t>($expected)?;
            visitor.$visit(number).map_err(|error: DecodeError| error.at(self.node))
        }
    )*};
}

impl<'de> Deserializer<'de> for NodeDecoder<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let scalar = match self.kind() {
            Kind::List(items) => return self.items(items, visitor),
            Kind::Map(entries) => return self.entries(entries, visitor),
            Kind::Scalar(scalar) => scalar,
        };
        let text = scalar.text.as_str();
        let result = if scalar.is_null() {
            visitor.visit_unit()
        } else if !scalar.is_typed() {
            visitor.visit_borrowed_str(text)
        } else if let Some(truth) = words::boolean(text) {
            visitor.visit_bool(truth)
        } else if let Some(number) = words::integer(text) {
            match (u64::try_from(number), i64::try_from(number)) {
                (Ok(number), _) => visitor.visit_u64(number),
                (_, Ok(number)) => visitor.visit_i64(number),
                _ => visitor.visit_borrowed_str(text),
            }
        } else {
            match words::float(text) {
                Some(number) => visitor.visit_f64(number),
                None => visitor.visit_borrowed_str(text),
            }
        };
        result.map_err(|error: DecodeError| error.at(self.node))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let truth = self.typed().and_then(|scalar| words::boolean(&scalar.text));
        match truth {
            Some(truth) => visitor
                .visit_bool(truth)
                .map_err(|error: DecodeError| error.at(self.node)),
            None => Err(self.mismatch("true or false")),
        }
    }

    integers! {
        deserialize_u8 visit_u8 u8, "from 0 to 255";
        deserialize_u16 visit_u16 u16, "from 0 to 65535";
        deserialize_u32 visit_u32 u32, "from 0 to 4294967295";
        deserialize_u64 visit_u64 u64, "from 0";
        deserialize_i8 visit_i8 i8, "from -128 to 127";
        deserialize_i16 visit_i16 i16, "from -32768 to 32767";
        deserialize_i32 visit_i32 i32, "of 32 bits";
        deserialize_i64 visit_i64 i64, "of 64 bits";
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let number = self.typed().and_then(|scalar| words::float(&scalar.text));
        match number {
            Some(number) => visitor
                .visit_f64(number)
                .map_err(|error: DecodeError| error.at(self.node)),
            None => Err(self.mismatch("a number")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor
            .visit_borrowed_str(self.text()?)
            .map_err(|error: DecodeError| error.at(self.node))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        // A key is text whatever it looks like, also when it is empty or `~`.
        visitor
            .visit_borrowed_str(self.tree.text(self.node))
            .map_err(|error: DecodeError| error.at(self.node))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.kind() {
            Kind::Scalar(scalar) if scalar.is_null() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.kind() {
            Kind::List(items) => self.items(items, visitor),
            // `args:` with nothing below it, as when all its elements are commented out.
            Kind::Scalar(scalar) if scalar.is_null() => self.items(&[], visitor),
            Kind::Scalar(_) | Kind::Map(_) => Err(self.mismatch("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.kind() {
            Kind::Map(entries) => self.entries(entries, visitor),
            Kind::Scalar(scalar) if scalar.is_null() => self.entries(&[], visitor),
            Kind::Scalar(_) | Kind::List(_) => Err(self.mismatch("a map")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.kind() {
            Kind::Scalar(scalar) if !scalar.is_null() => visitor
                .visit_enum(scalar.text.as_str().into_deserializer())
                .map_err(|error: DecodeError| error.at(self.node)),
            _ => Err(self.mismatch(&words::one_of(variants))),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { i128 u128 bytes byte_buf unit unit_struct tuple tuple_struct }
}

/// The elements of a list, without those that were cut.
struct Items<'de> {
    parent: NodeDecoder<'de>,
    rest: std::slice::Iter<'de, NodeId>,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let cuts = self.parent.cuts;
        match self.rest.find(|item| !cuts.contains(item)) {
            Some(item) => seed
                .deserialize(self.parent.below(*item))
                .map(Some)
                .map_err(|error| error.at(*item)),
            None => Ok(None),
        }
    }
}

/// The entries of a map, without those whose key or value was cut.
struct Entries<'de> {
    parent: NodeDecoder<'de>,
    rest: std::slice::Iter<'de, (NodeId, NodeId)>,
    value: Option<NodeId>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        let cuts = self.parent.cuts;
        let next = self
            .rest
            .find(|(key, value)| !cuts.contains(key) && !cuts.contains(value));
        let Some((key, value)) = next else {
            return Ok(None);
        };
        self.value = Some(*value);
        let key_text = KeyDecoder(self.parent.below(*key));
        seed.deserialize(key_text)
            .map(Some)
            .map_err(|error| error.at(*key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        let Some(value) = self.value.take() else {
            return Err(DecodeError::new(
                "a value was asked for before its key",
                None,
            ));
        };
        seed.deserialize(self.parent.below(value))
            .map_err(|error| error.at(value))
    }
}

/// A key: always text, but an enum where one is asked for.
struct KeyDecoder<'de>(NodeDecoder<'de>);

impl<'de> Deserializer<'de> for KeyDecoder<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.0.deserialize_identifier(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
