//! YAML text to a tree with places. The only file that knows the YAML library: a change of parser ends here.

use std::collections::HashMap;

use serde_yaml::granit_parser::{
    ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag,
};

use super::keys;
use super::tree::{Kind, Node, NodeId, Place, Scalar, Step, Tree};
use super::yaml_error::YamlError;

/// The largest config file, in bytes.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;
/// The most nodes (scalars, lists, maps, keys) of one file, aliases counted as often as they are used.
pub const MAX_NODES: usize = 100_000;
/// The deepest nesting of lists and maps.
pub const MAX_DEPTH: usize = 64;

/// Reads a text as one YAML document.
///
/// Gives the tree and the errors that don't keep the rest from being read (keys that stand twice), or the one
/// error that does. An empty text is an empty tree.
pub(super) fn parse(text: &str) -> Result<(Tree, Vec<YamlError>), YamlError> {
    let options = serde_yaml::granit_parser::options! {
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
        emit_comments: false,
    };
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| explain(&error, text))?;
        builder.event(event, &span)?;
    }
    Ok((builder.tree, builder.errors))
}

/// What is being built.
#[derive(Default)]
struct Builder {
    tree: Tree,
    open: Vec<Open>,
    anchors: HashMap<usize, NodeId>,
    documents: usize,
    errors: Vec<YamlError>,
}

/// A list or map whose end has not come yet.
struct Open {
    id: NodeId,
    /// The key that waits for its value.
    key: Option<NodeId>,
    is_map: bool,
    anchor: usize,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), YamlError> {
        let place = place_of(span);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(YamlError::new(place, "a second YAML document begins here").with_help(
                        "a config is one document: remove the `---`, or make it a file of its own",
                    ));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                refuse_tag(tag.as_deref(), &place)?;
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let scalar = Scalar {
                    text: text.into_owned(),
                    plain,
                    expanded: false,
                    secret: false,
                };
                let id = self.add(Kind::Scalar(scalar), place)?;
                self.remember(anchor, id);
            }
            Event::SequenceStart(_, anchor, tag) => {
                refuse_tag(tag.as_deref(), &place)?;
                self.open(Kind::List(Vec::new()), place, anchor)?;
            }
            Event::MappingStart(_, anchor, tag) => {
                refuse_tag(tag.as_deref(), &place)?;
                self.open(Kind::Map(Vec::new()), place, anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Alias(anchor) => self.alias(anchor, place)?,
            _ => {}
        }
        Ok(())
    }

    fn remember(&mut self, anchor: usize, id: NodeId) {
        if anchor > 0 {
            self.anchors.insert(anchor, id);
        }
    }

    /// Puts a node below the list or map that is open.
    fn add(&mut self, kind: Kind, place: Place) -> Result<NodeId, YamlError> {
        if self.tree.len() >= MAX_NODES {
            return Err(YamlError::new(
                place,
                format!(
                    "the file has more than {MAX_NODES} values (aliases counted as often as used)"
                ),
            ));
        }
        let Some(open) = self.open.last_mut() else {
            return Ok(self.tree.push(Node {
                parent: None,
                step: Step::Root,
                place,
                kind,
            }));
        };
        let parent = open.id;
        if open.is_map && open.key.is_none() {
            if !matches!(kind, Kind::Scalar(_)) {
                return Err(
                    YamlError::new(place, "a list or map can't be a key").with_help(
                        "if this is a value that begins with `{` or `[`, put it in quotes",
                    ),
                );
            }
            let key = self.tree.push(Node {
                parent: Some(parent),
                step: Step::IsKey,
                place,
                kind,
            });
            open.key = Some(key);
            return Ok(key);
        }
        let step = match open.key.take() {
            Some(key) => Step::Key(key),
            None => Step::Index(match &self.tree.node(parent).kind {
                Kind::List(items) => u32::try_from(items.len()).unwrap_or(u32::MAX),
                Kind::Scalar(_) | Kind::Map(_) => 0,
            }),
        };
        let id = self.tree.push(Node {
            parent: Some(parent),
            step,
            place,
            kind,
        });
        match (&mut self.tree.node_mut(parent).kind, step) {
            (Kind::List(items), _) => items.push(id),
            (Kind::Map(entries), Step::Key(key)) => entries.push((key, id)),
            (Kind::Map(_) | Kind::Scalar(_), _) => {}
        }
        Ok(id)
    }

    fn open(&mut self, kind: Kind, place: Place, anchor: usize) -> Result<(), YamlError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(YamlError::new(place, too_deep()));
        }
        let is_map = matches!(kind, Kind::Map(_));
        let id = self.add(kind, place)?;
        self.open.push(Open {
            id,
            key: None,
            is_map,
            anchor,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), YamlError> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        if open.is_map {
            keys::merge(&mut self.tree, open.id)?;
            keys::refuse_duplicates(&mut self.tree, open.id, &mut self.errors);
        }
        self.remember(open.anchor, open.id);
        Ok(())
    }

    /// Copies what an alias stands for.
    fn alias(&mut self, anchor: usize, place: Place) -> Result<(), YamlError> {
        let Some(target) = self.anchors.get(&anchor).copied() else {
            return Err(YamlError::new(
                place,
                "an alias can't stand inside the value that it names",
            ));
        };
        self.copy(target, &place)
    }

    /// Copies a node and everything below it to where the builder is.
    fn copy(&mut self, from: NodeId, alias: &Place) -> Result<(), YamlError> {
        let node = self.tree.node(from).clone();
        match node.kind {
            Kind::Scalar(_) => {
                self.add(node.kind, node.place)?;
            }
            Kind::List(items) => {
                self.open(Kind::List(Vec::new()), node.place, 0)
                    .map_err(|error| error.at(alias))?;
                for item in items {
                    self.copy(item, alias)?;
                }
                self.open.pop();
            }
            Kind::Map(entries) => {
                self.open(Kind::Map(Vec::new()), node.place, 0)
                    .map_err(|error| error.at(alias))?;
                for (key, value) in entries {
                    self.copy(key, alias)?;
                    self.copy(value, alias)?;
                }
                self.open.pop();
            }
        }
        Ok(())
    }
}

/// Only `!!str` is taken: other tags would change what a value is behind the reader's back.
fn refuse_tag(tag: Option<&Tag>, place: &Place) -> Result<(), YamlError> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema_tag("str") => Err(YamlError::new(
            place.clone(),
            format!("the YAML tag `{}` has no meaning here", tag.original()),
        )
        .with_help("remove it; a value that begins with `!` needs quotes")),
        Some(_) | None => Ok(()),
    }
}

fn too_deep() -> String {
    format!("lists and maps are nested more than {MAX_DEPTH} deep")
}

fn place_of(span: &Span) -> Place {
    let start = span.start.byte_offset().unwrap_or(0);
    let end = span.end.byte_offset().unwrap_or(start).max(start);
    Place {
        span: start..end,
        ..place_of_marker(&span.start)
    }
}

fn place_of_marker(marker: &Marker) -> Place {
    let start = marker.byte_offset().unwrap_or(0);
    Place {
        line: u32::try_from(marker.line()).unwrap_or(u32::MAX),
        column: u32::try_from(marker.col() + 1).unwrap_or(u32::MAX),
        span: start..start + 1,
    }
}

/// The parser's own errors, in words that say what to do.
fn explain(error: &ScanError, text: &str) -> YamlError {
    let place = place_of_marker(error.marker());
    let line = usize::try_from(place.line).unwrap_or(1).saturating_sub(1);
    let has_tab = text
        .lines()
        .nth(line)
        .is_some_and(|line| line.trim_start_matches(' ').starts_with('\t'));
    let (message, help): (String, &str) = match error.kind() {
        _ if has_tab => (
            "a tab can't be used as indentation in YAML".into(),
            "indent with spaces",
        ),
        ErrorKind::TabInIndentation | ErrorKind::TabNotAllowed => {
            ("a tab can't stand here in YAML".into(), "use spaces")
        }
        ErrorKind::UnknownAnchor => (
            "an alias names an anchor that is not defined above".into(),
            "define it with `&name`; text that begins with `*` needs quotes",
        ),
        ErrorKind::RecursionLimitExceeded => (too_deep(), ""),
        ErrorKind::UnclosedQuotedScalar => ("a quote is not closed".into(), ""),
        ErrorKind::InvalidIndentation | ErrorKind::ExpectedBlockMappingKey => (
            "the indentation does not fit the lines above".into(),
            "keys of one map start in the same column",
        ),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => (
            "this is neither `key: value` nor a list element".into(),
            "a `:` and a space must follow the key",
        ),
        ErrorKind::MappingValueNotAllowed => (
            "a second `: ` stands on this line".into(),
            "text that holds `: ` needs quotes",
        ),
        ErrorKind::InvalidColonPlacement => (
            "a `:` can't stand here".into(),
            "is a `[` or `{` above not closed? Text that holds `: ` needs quotes",
        ),
        ErrorKind::ExpectedFlowMappingSeparator => ("a `,` or `}` is missing".into(), ""),
        ErrorKind::ExpectedFlowSequenceSeparator => ("a `,` or `]` is missing".into(), ""),
        ErrorKind::UnclosedFlowCollection { open } => (format!("this `{open}` is not closed"), ""),
        ErrorKind::UnknownQuotedScalarEscape => (
            "this backslash begins no escape that YAML knows".into(),
            "single quotes take a backslash as it is",
        ),
        kind => (format!("not valid YAML: {kind}"), ""),
    };
    YamlError {
        help: (!help.is_empty()).then(|| help.to_owned()),
        ..YamlError::new(place, message)
    }
}
