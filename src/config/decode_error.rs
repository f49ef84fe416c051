//! The error that serde's derives raise while a node is decoded, in our words.

use std::fmt;

use serde::de;

use super::tree::NodeId;
use super::words;

/// An error on its way out: it gets its node at the innermost decoder that it passes.
#[derive(Debug)]
pub(super) struct DecodeError {
    /// The node; `None` until a decoder has added its own.
    pub node: Option<NodeId>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

impl DecodeError {
    pub fn new(message: impl Into<String>, help: Option<String>) -> Self {
        Self {
            node: None,
            message: message.into(),
            help,
        }
    }

    /// The same with a node, unless it has one.
    pub fn at(mut self, node: NodeId) -> Self {
        self.node.get_or_insert(node);
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string(), None)
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let (message, help) = words::expected(&expected.to_string(), &words::unexpected(&found));
        Self::new(message, help)
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(
            format!("unknown field `{field}`"),
            words::suggest(field, expected, "fields here"),
        )
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(
            format!("`{variant}` is not known here"),
            words::suggest(variant, expected, "choices"),
        )
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("`{field}` is missing"), None)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(format!("`{field}` stands here twice"), None)
    }
}
