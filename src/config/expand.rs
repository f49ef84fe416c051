//! `${VAR}`, `${VAR:-default}` and `${file:/path}` in the values of a tree, before they are typed.
//!
//! What comes out is text, never YAML again: a value can't smuggle in keys.

use std::path::Path;

use super::decode::Mistake;
use super::machine::Machine;
use super::tree::{Kind, NodeId, Step, Tree};
use super::words;

/// The largest file that `${file:…}` reads, in bytes.
pub const MAX_SECRET_BYTES: usize = 64 * 1024;
/// How deep `${A:-${B:-…}}` may nest.
pub const MAX_NESTING: usize = 8;
/// The most bytes that all expansions of one file may come to.
pub const MAX_EXPANDED_BYTES: usize = 4 * 1024 * 1024;

/// Expands every value of the tree; keys stay as they are.
pub(super) fn expand(tree: &mut Tree, machine: &dyn Machine, mistakes: &mut Vec<Mistake>) {
    let mut budget = MAX_EXPANDED_BYTES;
    for id in tree.ids() {
        let node = tree.node(id);
        let Kind::Scalar(scalar) = &node.kind else {
            continue;
        };
        if node.step == Step::IsKey {
            continue;
        }
        let keeps_a_secret =
            !scalar.text.is_empty() && !scalar.is_null() && is_secret_place(tree, id);
        if !scalar.text.contains('$') {
            if keeps_a_secret {
                hide(tree, id);
            }
            continue;
        }
        let in_shell = matches!(node.step, Step::Key(key) if tree.text(key) == "shell");
        let mut expansion = Expansion {
            machine,
            in_shell,
            out: String::with_capacity(scalar.text.len()),
            expanded: false,
            secret: keeps_a_secret,
        };
        let result = expansion.text(&scalar.text, 0);
        let Expansion {
            out,
            expanded,
            secret,
            ..
        } = expansion;
        if let Err(wrong) = result {
            mistakes.push(Mistake {
                node: id,
                message: wrong.message,
                help: wrong.help,
            });
            continue;
        }
        if expanded {
            match budget.checked_sub(out.len()) {
                Some(left) => budget = left,
                None => {
                    mistakes.push(too_much(id));
                    return;
                }
            }
        }
        if let Kind::Scalar(scalar) = &mut tree.node_mut(id).kind {
            scalar.text = out;
            scalar.expanded = expanded;
            scalar.secret = secret;
        }
    }
}

fn hide(tree: &mut Tree, id: NodeId) {
    if let Kind::Scalar(scalar) = &mut tree.node_mut(id).kind {
        scalar.secret = true;
    }
}

/// Whether what stands here is a secret by its key: `bearer`, `password`, a header, a variable such as `API_TOKEN`.
fn is_secret_place(tree: &Tree, id: NodeId) -> bool {
    let node = tree.node(id);
    let Step::Key(key) = node.step else {
        return false;
    };
    let holder = node.parent.map(|parent| tree.node(parent).step);
    let holder = match holder {
        Some(Step::Key(key)) => tree.text(key),
        _ => "",
    };
    match (holder, tree.text(key)) {
        ("headers", _) | (_, "bearer" | "password") => true,
        ("env", name) => names_a_secret(name),
        _ => false,
    }
}

fn too_much(node: NodeId) -> Mistake {
    Mistake {
        node,
        message: format!("the expanded values of this file exceed {MAX_EXPANDED_BYTES} bytes"),
        help: None,
    }
}

/// Why a text can't be expanded.
struct Wrong {
    message: String,
    help: Option<String>,
}

impl Wrong {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: Some(help.into()).filter(|help| !help.is_empty()),
        }
    }
}

struct Expansion<'m> {
    machine: &'m dyn Machine,
    /// Whether this is a `shell:` script, whose own `${…}` forms stay.
    in_shell: bool,
    out: String,
    expanded: bool,
    secret: bool,
}

impl Expansion<'_> {
    /// Appends the expansion of `text`.
    fn text(&mut self, text: &str, depth: usize) -> Result<(), Wrong> {
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            self.out.push_str(&rest[..dollar]);
            let after = &rest[dollar + 1..];
            if let Some(tail) = after.strip_prefix('$') {
                self.out.push('$');
                rest = tail;
            } else if let Some(inside) = after.strip_prefix('{') {
                let Some(end) = closing_brace(inside) else {
                    return Err(Wrong::new(
                        format!("`${{{}` is not closed", words::short(inside)),
                        "add the `}`, or write `$${` for a literal `${`",
                    ));
                };
                self.reference(&inside[..end], depth)?;
                rest = &inside[end + 1..];
            } else {
                self.out.push('$');
                rest = after;
            }
            // Variables are bounded by the kernel, files by us, but they may be named many times.
            if self.out.len() > MAX_EXPANDED_BYTES {
                return Err(Wrong::new("the value is too long once expanded", ""));
            }
        }
        self.out.push_str(rest);
        Ok(())
    }

    /// Appends what stands for `${inside}`.
    fn reference(&mut self, inside: &str, depth: usize) -> Result<(), Wrong> {
        if depth >= MAX_NESTING {
            return Err(Wrong::new(
                format!("`${{…}}` is nested more than {MAX_NESTING} deep"),
                "",
            ));
        }
        if let Some(path) = inside.strip_prefix("file:") {
            return self.file(path, depth);
        }
        let name_end = inside
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(inside.len());
        let (name, operator) = inside.split_at(name_end);
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !is_name || !(operator.is_empty() || operator.starts_with(":-")) {
            if self.in_shell {
                self.out.push_str("${");
                self.out.push_str(inside);
                self.out.push('}');
                return Ok(());
            }
            return Err(Wrong::new(
                format!(
                    "`${{{}}}` is no form that podvisor knows",
                    words::short(inside)
                ),
                "it knows `${VAR}`, `${VAR:-default}` and `${file:/path}`; write `$${` for a literal `${`",
            ));
        }
        self.expanded = true;
        let value = self.machine.env(name);
        match (value, operator.strip_prefix(":-")) {
            (Some(value), None) => self.value(name, &value),
            (Some(value), Some(_)) if !value.is_empty() => self.value(name, &value),
            (_, Some(default)) => return self.text(default, depth + 1),
            (None, None) => {
                let help = if self.in_shell {
                    format!("set it, or write `$${{{name}}}` if the shell is to expand it")
                } else {
                    format!("set it, or give a default: `${{{name}:-…}}`")
                };
                return Err(Wrong::new(
                    format!("the environment variable `{name}` is not set"),
                    help,
                ));
            }
        }
        Ok(())
    }

    fn value(&mut self, name: &str, value: &str) {
        self.secret |= names_a_secret(name);
        self.out.push_str(value);
    }

    fn file(&mut self, path: &str, depth: usize) -> Result<(), Wrong> {
        let start = self.out.len();
        self.text(path, depth + 1)?;
        let path = self.out.split_off(start);
        self.expanded = true;
        self.secret = true;
        if !path.starts_with('/') {
            return Err(Wrong::new(
                format!("`${{file:{path}}}` needs an absolute path"),
                "",
            ));
        }
        let bytes = self
            .machine
            .read(Path::new(&path), MAX_SECRET_BYTES)
            .map_err(|error| {
                Wrong::new(format!("`{path}` can't be read: {}", io_words(&error)), "")
            })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Wrong::new(format!("`{path}` is not UTF-8 text"), ""))?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        self.out.push_str(text.strip_suffix('\r').unwrap_or(text));
        Ok(())
    }
}

/// An I/O error without its number.
pub(super) fn io_words(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => "no such file".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::IsADirectory => "it is a folder".to_owned(),
        ErrorKind::FileTooLarge => "it is too large".to_owned(),
        _ => error.to_string(),
    }
}

/// Where the `}` is that closes a `${`, inner ones skipped.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut previous = ' ';
    for (index, c) in text.char_indices() {
        match c {
            '{' if previous == '$' => depth += 1,
            '}' if depth == 0 => return Some(index),
            '}' => depth -= 1,
            _ => {}
        }
        previous = c;
    }
    None
}

/// Whether a variable's name says that its value is a secret, which messages must not show.
fn names_a_secret(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    [
        "PASS",
        "SECRET",
        "TOKEN",
        "KEY",
        "CREDENTIAL",
        "AUTH",
        "BEARER",
        "DSN",
    ]
    .iter()
    .any(|word| upper.contains(word))
}
