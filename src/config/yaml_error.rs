//! Why a text is no tree: one mistake in the YAML itself.

use super::problem::Related;
use super::tree::Place;

/// Why a text is no tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct YamlError {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// Other places that belong to it; their file is left empty.
    pub related: Vec<Related>,
}

impl YamlError {
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            place,
            message: message.into(),
            help: None,
            related: Vec::new(),
        }
    }

    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same at another place.
    pub fn at(mut self, place: &Place) -> Self {
        self.place = place.clone();
        self
    }
}
