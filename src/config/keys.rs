//! The keys of a map: merge keys spread, keys that stand twice refused.

use std::collections::{HashMap, HashSet};

use super::problem::Related;
use super::tree::{Kind, NodeId, Tree};
use super::yaml_error::YamlError;

/// Spreads the values of `<<` keys into the map: its own keys win, earlier maps win over later ones.
pub(super) fn merge(tree: &mut Tree, map: NodeId) -> Result<(), YamlError> {
    let is_merge = |tree: &Tree, key: NodeId| {
        tree.scalar(key)
            .is_some_and(|scalar| scalar.plain && scalar.text == "<<")
    };
    if !tree
        .entries(map)
        .iter()
        .any(|(key, _)| is_merge(tree, *key))
    {
        return Ok(());
    }
    let (merges, mut own): (Vec<_>, Vec<_>) = tree
        .entries(map)
        .iter()
        .copied()
        .partition(|(key, _)| is_merge(tree, *key));
    let mut known: HashSet<String> = own
        .iter()
        .map(|(key, _)| tree.text(*key).to_owned())
        .collect();
    for (_, value) in merges {
        let sources = match &tree.node(value).kind {
            Kind::List(items) => items.clone(),
            Kind::Map(_) | Kind::Scalar(_) => vec![value],
        };
        for source in sources {
            let node = tree.node(source);
            if !matches!(node.kind, Kind::Map(_)) {
                let error =
                    YamlError::new(node.place.clone(), "`<<` takes a map or a list of maps");
                return Err(error.with_help("write `<<: *name`, where `&name` marks a map"));
            }
            for (key, value) in tree.entries(source).to_vec() {
                if known.insert(tree.text(key).to_owned()) {
                    tree.node_mut(key).parent = Some(map);
                    tree.node_mut(value).parent = Some(map);
                    own.push((key, value));
                }
            }
        }
    }
    if let Kind::Map(entries) = &mut tree.node_mut(map).kind {
        *entries = own;
    }
    Ok(())
}

/// Notes every key that stands twice; the first one stays.
pub(super) fn refuse_duplicates(tree: &mut Tree, map: NodeId, errors: &mut Vec<YamlError>) {
    let entries = tree.entries(map);
    let mut first: HashMap<&str, NodeId> = HashMap::with_capacity(entries.len());
    let mut kept = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let name = tree.text(*key);
        let Some(earlier) = first.get(name) else {
            first.insert(name, *key);
            kept.push((*key, *value));
            continue;
        };
        let earlier = &tree.node(*earlier).place;
        let mut error = YamlError::new(
            tree.node(*key).place.clone(),
            format!("`{name}` stands here a second time"),
        );
        error.related.push(Related {
            label: "first".to_owned(),
            file: String::new(),
            line: earlier.line,
            column: earlier.column,
            span: earlier.span.clone(),
        });
        errors.push(error);
    }
    if kept.len() < entries.len()
        && let Kind::Map(entries) = &mut tree.node_mut(map).kind
    {
        *entries = kept;
    }
}
