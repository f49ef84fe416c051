//! What no single value shows: rules that hold between values, between services, and with this machine.
//!
//! All of them are checked, whatever the others found. A rule about something that is absent is left alone in a
//! service with decode errors, since what is absent may only have been misspelt.

mod command;
mod graph;
mod identity;
mod lifecycle;
mod output;
mod plane;
mod probe;
mod shutdown;

use super::assemble::{Assembled, Home, Parsed};
use super::decode::Mistake;
use super::machine::Machine;
use super::model::{Service, ServiceName};
use super::problem::{Problem, Severity};
use super::root::Config;
use super::tree::{Kind, NodeId, Step, Tree};

/// Checks a whole config and notes every problem.
pub(super) fn check(
    files: &[Parsed],
    assembled: &Assembled,
    complete: bool,
    machine: &dyn Machine,
    problems: &mut Vec<Problem>,
) {
    let mut checker = Checker {
        files,
        assembled,
        complete,
        machine,
        problems,
    };
    checker.names();
    let accounts = identity::Accounts::read(machine);
    for (name, service) in &assembled.config.services {
        let Some(home) = assembled.services.get(name) else {
            continue;
        };
        let mut scope = Scope {
            checker: &mut checker,
            home: *home,
        };
        command::check(&mut scope, service);
        lifecycle::check(&mut scope, service);
        probe::check(&mut scope, service, &assembled.config.http);
        identity::check(&mut scope, service, &accounts);
    }
    graph::check(&mut checker);
    shutdown::check(&mut checker);
    plane::check(&mut checker);
}

/// What the checks look at, and where they note what they find.
struct Checker<'a> {
    files: &'a [Parsed],
    assembled: &'a Assembled,
    /// Whether every file could be read as YAML.
    complete: bool,
    machine: &'a dyn Machine,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Checker<'a> {
    fn config(&self) -> &'a Config {
        &self.assembled.config
    }

    /// The services that can be used, in name order.
    fn services(&self) -> impl Iterator<Item = (&'a ServiceName, &'a Service)> + use<'a> {
        self.assembled.config.services.iter()
    }

    fn in_kubernetes(&self) -> bool {
        self.machine.env("KUBERNETES_SERVICE_HOST").is_some()
    }

    /// A service's place.
    fn service<'c>(&'c mut self, name: &str) -> Option<Scope<'c, 'a>> {
        let home = *self.assembled.services.get(name)?;
        Some(Scope {
            checker: self,
            home,
        })
    }

    /// A section's place.
    fn section<'c>(&'c mut self, name: &str) -> Option<Scope<'c, 'a>> {
        let home = *self.assembled.sections.get(name)?;
        Some(Scope {
            checker: self,
            home,
        })
    }

    fn names(&mut self) {
        // A mistake told already, such as a misspelt `services`, says it better.
        let untold = self
            .problems
            .iter()
            .all(|problem| problem.severity == Severity::Warning);
        if untold && self.complete && self.assembled.services.is_empty() {
            let file = self.files.first().map_or("", |file| &file.source.name);
            let mut problem = Problem::of_file(file, "there are no services")
                .with_help("name at least one below `services:`");
            if self.files.is_empty() {
                problem.help = None;
            }
            self.problems.push(problem);
        }
        for (name, home) in &self.assembled.services {
            if !is_service_name(name) {
                let mut scope = Scope {
                    checker: self,
                    home: *home,
                };
                let message = format!("`{name}` can't be the name of a service");
                scope.note(Severity::Error, home.key, message).help(
                    "names have letters, digits, `-`, `_` and `.`, begin and end with a letter or digit, \
                     and have 63 characters at most",
                );
            }
        }
    }
}

/// Whether a text may name a service: it stands in metrics, paths and prefixes.
fn is_service_name(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    bytes.len() <= 63
        && bytes.iter().copied().all(inside)
        && edge(bytes.first())
        && edge(bytes.last())
}

/// One service or section: finds the places of its values.
struct Scope<'c, 'a> {
    checker: &'c mut Checker<'a>,
    home: Home,
}

impl Scope<'_, '_> {
    fn tree(&self) -> &Tree {
        &self.checker.files[self.home.file].tree
    }

    /// The node at a path, and whether it is there; else the nearest one above it. What was cut is not there.
    fn locate(&self, path: &[&str]) -> (NodeId, bool) {
        let cuts = &self.checker.files[self.home.file].cuts;
        let mut at = self.home.value;
        for step in path {
            let next = match &self.tree().node(at).kind {
                Kind::Map(_) => self.tree().entry(at, step).map(|(_, value)| value),
                Kind::List(items) => step
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| items.get(index).copied()),
                Kind::Scalar(_) => None,
            };
            match next {
                Some(next) if !cuts.contains(&next) => at = next,
                Some(_) | None => return (at, false),
            }
        }
        (at, true)
    }

    /// Whether the user wrote something there.
    fn is_written(&self, path: &[&str]) -> bool {
        self.locate(path).1
    }

    /// Whether something was cut out of this service or section, so that what is absent may only be misspelt.
    fn is_incomplete(&self) -> bool {
        let parsed = &self.checker.files[self.home.file];
        parsed
            .cuts
            .iter()
            .any(|cut| parsed.tree.is_below(*cut, self.home.value))
    }

    fn error(&mut self, path: &[&str], message: impl Into<String>) -> Noted<'_> {
        let (node, _) = self.locate(path);
        self.note(Severity::Error, node, message)
    }

    fn warn(&mut self, path: &[&str], message: impl Into<String>) -> Noted<'_> {
        let (node, _) = self.locate(path);
        self.note(Severity::Warning, node, message)
    }

    /// The same, pointing at the last key of the path rather than its value.
    fn error_at_key(&mut self, path: &[&str], message: impl Into<String>) -> Noted<'_> {
        let (node, _) = self.locate(path);
        let node = match self.tree().node(node).step {
            Step::Key(key) => key,
            Step::Root | Step::IsKey | Step::Index(_) => node,
        };
        self.note(Severity::Error, node, message)
    }

    /// The node that names `name` in a list or map of names, such as `dependsOn`.
    fn name_node(&self, field: &str, name: &str) -> NodeId {
        let (node, _) = self.locate(&[field]);
        let tree = self.tree();
        match &tree.node(node).kind {
            Kind::Map(_) => tree.entry(node, name).map(|(key, _)| key),
            Kind::List(items) => items.iter().copied().find(|item| tree.text(*item) == name),
            Kind::Scalar(_) => None,
        }
        .unwrap_or(node)
    }

    fn note(&mut self, severity: Severity, node: NodeId, message: impl Into<String>) -> Noted<'_> {
        let parsed = &self.checker.files[self.home.file];
        let hidden = parsed.tree.scalar(node).is_some_and(|scalar| scalar.secret);
        let mistake = Mistake {
            node,
            message: message.into(),
            help: None,
        };
        self.checker
            .problems
            .push(parsed.problem(severity, mistake));
        Noted {
            problems: self.checker.problems,
            hidden,
        }
    }
}

/// The problem that was just noted, to add to it.
struct Noted<'p> {
    problems: &'p mut Vec<Problem>,
    /// Whether its text is hidden, so that advice would make no sense.
    hidden: bool,
}

impl Noted<'_> {
    fn help(self, help: impl Into<String>) {
        if self.hidden {
            return;
        }
        if let Some(problem) = self.problems.last_mut() {
            problem.help = Some(help.into());
        }
    }
}
