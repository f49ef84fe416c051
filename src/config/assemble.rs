//! The files of a config put together: each section and each service from the one place that says it.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::decode::{self, Cuts, MAX_PROBLEMS, Mistake};
use super::model::ServiceName;
use super::problem::{Problem, Related, Severity, Source};
use super::root::{Config, SECTIONS};
use super::tree::{Kind, NodeId, Place, Scalar, Tree};
use super::words;

/// A file as a tree.
pub(super) struct Parsed {
    /// Its source.
    pub source: Source,
    /// Its nodes.
    pub tree: Tree,
    /// Its nodes that hold errors.
    pub cuts: Cuts,
}

impl Parsed {
    /// A file that was just read.
    pub fn new(source: Source, tree: Tree) -> Self {
        Self {
            source,
            tree,
            cuts: Cuts::new(),
        }
    }

    /// A problem at a node. The message is not shown when the node's text is a secret.
    pub fn problem(&self, severity: Severity, mistake: Mistake) -> Problem {
        let node = mistake.node;
        let secret = self.tree.scalar(node).is_some_and(|scalar| scalar.secret);
        let (message, help) = if secret {
            let message =
                "the expanded value is not right here (it may be a secret, so it is not shown)";
            (message.to_owned(), None)
        } else {
            (mistake.message, mistake.help)
        };
        self.at(
            severity,
            self.tree.pointer(node),
            self.tree.path(node),
            message,
            help,
        )
    }

    /// A problem with what was written, before anything was expanded: nothing of it is a secret.
    pub fn written_problem(
        &self,
        place: &Place,
        path: String,
        message: String,
        help: Option<String>,
    ) -> Problem {
        self.at(Severity::Error, place, path, message, help)
    }

    fn at(
        &self,
        severity: Severity,
        place: &Place,
        path: String,
        message: String,
        help: Option<String>,
    ) -> Problem {
        Problem {
            severity,
            file: self.source.name.clone(),
            line: place.line,
            column: place.column,
            path,
            message,
            help,
            related: Vec::new(),
            span: Some(place.span.clone()),
        }
    }

    /// A node as another place of a problem.
    pub fn related(&self, node: NodeId, label: &str) -> Related {
        let place = self.tree.pointer(node);
        Related {
            label: label.to_owned(),
            file: self.source.name.clone(),
            line: place.line,
            column: place.column,
            span: place.span.clone(),
        }
    }
}

/// Where a section or service is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Home {
    /// The number of its file.
    pub file: usize,
    /// Its name.
    pub key: NodeId,
    /// What is said about it.
    pub value: NodeId,
}

/// The config, with the places that it came from.
#[derive(Default)]
pub(super) struct Assembled {
    /// The config; what can't be used in it is left out.
    pub config: Config,
    /// Every service that is named, also those that are left out.
    pub services: BTreeMap<ServiceName, Home>,
    /// Every section that is there.
    pub sections: BTreeMap<&'static str, Home>,
}

/// Puts the sections of all files together.
pub(super) fn assemble(files: &mut [Parsed], problems: &mut Vec<Problem>) -> Assembled {
    let mut assembly = Assembly {
        files,
        problems,
        result: Assembled::default(),
    };
    for file in 0..assembly.files.len() {
        assembly.file(file);
    }
    assembly.result
}

struct Assembly<'a> {
    files: &'a mut [Parsed],
    problems: &'a mut Vec<Problem>,
    result: Assembled,
}

impl Assembly<'_> {
    fn file(&mut self, file: usize) {
        let parsed = &self.files[file];
        let root = parsed.tree.root();
        let Some(root) =
            root.filter(|root| !parsed.tree.scalar(*root).is_some_and(Scalar::is_null))
        else {
            self.problems.push(
                Problem::of_file(&parsed.source.name, "the file is empty")
                    .with_help("a config has `services:` with at least one service"),
            );
            return;
        };
        if !matches!(parsed.tree.node(root).kind, Kind::Map(_)) {
            self.mistake(file, root, "a config is a map that has `services:`", None);
            return;
        }
        for (key, value) in parsed.tree.entries(root).to_vec() {
            let name = self.files[file].tree.text(key).to_owned();
            let Some(section) = SECTIONS.into_iter().find(|section| *section == name) else {
                // Keys of the user's own, to hang anchors on, as compose has them.
                if !name.starts_with("x-") {
                    let help = words::suggest(&name, &SECTIONS, "sections");
                    self.mistake(file, key, format!("unknown section `{name}`"), help);
                }
                continue;
            };
            self.section(section, Home { file, key, value });
        }
    }

    fn section(&mut self, section: &'static str, home: Home) {
        if section == "services" {
            self.result.sections.entry(section).or_insert(home);
            self.services(home);
            return;
        }
        if let Some(first) = self.result.sections.get(section).copied() {
            self.second(home, first);
            return;
        }
        self.result.sections.insert(section, home);
        match section {
            "logs" => self.decode_into(home, |config, it| config.logs = it),
            "http" => self.decode_into(home, |config, it| config.http = it),
            "shutdown" => self.decode_into(home, |config, it| config.shutdown = it),
            _ => self.decode_into(home, |config, it| config.telemetry = it),
        }
    }

    fn services(&mut self, home: Home) {
        let parsed = &self.files[home.file];
        match &parsed.tree.node(home.value).kind {
            Kind::Map(_) => {}
            Kind::Scalar(scalar) if scalar.is_null() => return,
            Kind::Scalar(_) | Kind::List(_) => {
                let message = "`services` is a map from a name to a service";
                self.mistake(home.file, home.value, message, None);
                return;
            }
        }
        for (key, value) in parsed.tree.entries(home.value).to_vec() {
            let file = home.file;
            let name = self.files[file].tree.text(key).to_owned();
            let home = Home { file, key, value };
            if let Some(first) = self.result.services.get(&name).copied() {
                self.second(home, first);
                continue;
            }
            self.result.services.insert(name.clone(), home);
            if self.problems.len() > MAX_PROBLEMS {
                continue;
            }
            if let Some(service) = self.decode(home) {
                self.result.config.services.insert(name, service);
            }
        }
    }

    fn mistake(
        &mut self,
        file: usize,
        node: NodeId,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let mistake = Mistake {
            node,
            message: message.into(),
            help,
        };
        let problem = self.files[file].problem(Severity::Error, mistake);
        self.problems.push(problem);
    }

    /// Notes that this was said before, in another file, with both places.
    fn second(&mut self, home: Home, first: Home) {
        let related = self.files[first.file].related(first.key, "first");
        let name = self.files[home.file].tree.text(home.key).to_owned();
        let message = format!("`{name}` is defined a second time");
        self.mistake(home.file, home.key, message, None);
        if let Some(problem) = self.problems.last_mut() {
            problem.related.push(related);
        }
    }

    fn decode<T: DeserializeOwned>(&mut self, home: Home) -> Option<T> {
        let parsed = &mut self.files[home.file];
        let mut mistakes = Vec::new();
        let value = decode::decode(&parsed.tree, home.value, &mut parsed.cuts, &mut mistakes);
        for mistake in mistakes {
            let problem = parsed.problem(Severity::Error, mistake);
            self.problems.push(problem);
        }
        value
    }

    fn decode_into<T: DeserializeOwned>(&mut self, home: Home, set: impl FnOnce(&mut Config, T)) {
        if let Some(value) = self.decode(home) {
            set(&mut self.result.config, value);
        }
    }
}
