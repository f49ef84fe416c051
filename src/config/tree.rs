//! A config file as a tree in which every node knows its place and keeps the text that was written.

use std::ops::Range;

/// The number of a node within its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NodeId(u32);

/// Where a node stands in its file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Bytes of the file.
    pub span: Range<usize>,
}

/// One node.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// The list or map that holds it.
    pub parent: Option<NodeId>,
    /// Its place in that list or map.
    pub step: Step,
    /// Where it stands; for an alias, where the anchored text stands.
    pub place: Place,
    /// What it is.
    pub kind: Kind,
}

/// How a node is reached from its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It is the root.
    Root,
    /// It is the value of this key.
    Key(NodeId),
    /// It is a key itself.
    IsKey,
    /// It is an element of a list.
    Index(u32),
}

/// What a node is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// Text, a number, true, false or nothing: which of these depends on what is asked for.
    Scalar(Scalar),
    /// A list.
    List(Vec<NodeId>),
    /// Keys with their values, in file order; merge keys are resolved, no key stands twice.
    Map(Vec<(NodeId, NodeId)>),
}

/// A scalar as it was written.
#[derive(Debug, Clone)]
pub(super) struct Scalar {
    /// Its text, after YAML escapes and `${…}` expansion; never a typed value printed again, so `1.10` stays `1.10`.
    pub text: String,
    /// Whether it was written without quotes, so that it may be a number, true, false or nothing.
    pub plain: bool,
    /// Whether `${…}` was expanded in it.
    pub expanded: bool,
    /// Whether its text may be a secret that no message shows.
    pub secret: bool,
}

impl Scalar {
    /// Whether the text may be read as a number or boolean: written plain, or made by an expansion (inside
    /// `{ port: "${PORT}" }` YAML itself demands the quotes).
    pub fn is_typed(&self) -> bool {
        self.plain || self.expanded
    }

    /// Whether it is nothing: `key:` without a value, `~` or `null`.
    pub fn is_null(&self) -> bool {
        self.plain
            && !self.expanded
            && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

/// A file as nodes.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    /// How many nodes it has.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Adds a node and gives its number.
    pub fn push(&mut self, node: Node) -> NodeId {
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(node);
        id
    }

    /// The root, if the file says anything.
    pub fn root(&self) -> Option<NodeId> {
        self.nodes
            .iter()
            .position(|node| node.step == Step::Root)
            .and_then(|index| u32::try_from(index).ok())
            .map(NodeId)
    }

    /// The node of that number.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// The node of that number, to be changed.
    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }

    /// Every node's number.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)).map(NodeId)
    }

    /// The scalar at a node, if it is one.
    pub fn scalar(&self, id: NodeId) -> Option<&Scalar> {
        match &self.node(id).kind {
            Kind::Scalar(scalar) => Some(scalar),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// The entries of a map; none for anything else.
    pub fn entries(&self, id: NodeId) -> &[(NodeId, NodeId)] {
        match &self.node(id).kind {
            Kind::Map(entries) => entries,
            Kind::Scalar(_) | Kind::List(_) => &[],
        }
    }

    /// The text of a scalar; empty for anything else.
    pub fn text(&self, id: NodeId) -> &str {
        self.scalar(id).map_or("", |scalar| scalar.text.as_str())
    }

    /// The entry of a map with this key.
    pub fn entry(&self, map: NodeId, key: &str) -> Option<(NodeId, NodeId)> {
        self.entries(map)
            .iter()
            .find(|(name, _)| self.text(*name) == key)
            .copied()
    }

    /// Where a message about this node points: at a scalar itself, at a map's or list's key.
    pub fn pointer(&self, id: NodeId) -> &Place {
        let node = self.node(id);
        match (&node.kind, node.step) {
            (Kind::List(_) | Kind::Map(_), Step::Key(key)) => &self.node(key).place,
            (Kind::Scalar(scalar), Step::Key(key)) if scalar.is_null() => &self.node(key).place,
            _ => &node.place,
        }
    }

    /// The path of a node: `services.web.args[1]`. Keys that hold more than letters, digits, `-` and `_` are quoted.
    pub fn path(&self, id: NodeId) -> String {
        let mut steps = Vec::new();
        let mut at = Some(id);
        while let Some(id) = at {
            let node = self.node(id);
            match node.step {
                Step::Root => {}
                Step::Index(index) => steps.push(format!("[{index}]")),
                Step::Key(key) => steps.push(key_step(self.text(key))),
                Step::IsKey => steps.push(key_step(self.text(id))),
            }
            at = node.parent;
        }
        let path: String = steps.into_iter().rev().collect();
        path.strip_prefix('.').map(str::to_owned).unwrap_or(path)
    }

    /// Whether `id` is `ancestor` or stands below it.
    pub fn is_below(&self, id: NodeId, ancestor: NodeId) -> bool {
        let mut at = Some(id);
        while let Some(id) = at {
            if id == ancestor {
                return true;
            }
            at = self.node(id).parent;
        }
        false
    }
}

/// One key as a step of a path.
pub(super) fn key_step(key: &str) -> String {
    let simple = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if simple {
        format!(".{key}")
    } else {
        format!("[{key:?}]")
    }
}
