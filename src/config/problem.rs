//! What is wrong with a config: the place, what is wrong, and what would be right.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The config is refused.
    Error,
    /// The config is used, but something in it is likely not meant so.
    Warning,
}

impl Severity {
    /// The word that stands in messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file, as it was named on the command line.
    pub file: String,
    /// Line, from 1; 0 when the problem is not at one place of the file.
    pub line: u32,
    /// Column in characters, from 1; 0 as above.
    pub column: u32,
    /// The path within the config, such as `services.web.readinessProbe.httpGet.port`; empty when it concerns the whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What would be right, if that can be said.
    pub help: Option<String>,
    /// Other places that belong to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Related>,
    /// The bytes of the file that it is about.
    #[serde(skip)]
    pub span: Option<Range<usize>>,
}

/// Another place that belongs to a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Related {
    /// Why it is shown.
    pub label: String,
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The bytes of the file that it is about.
    #[serde(skip)]
    pub span: Range<usize>,
}

/// A file that was read, kept to be quoted from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name, as it was given.
    pub name: String,
    /// Its text, as it was read.
    pub text: Arc<str>,
}

impl Problem {
    /// A problem with a file as a whole.
    pub(super) fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: file.to_owned(),
            line: 0,
            column: 0,
            path: String::new(),
            message: message.into(),
            help: None,
            related: Vec::new(),
            span: None,
        }
    }

    /// The same with advice.
    #[must_use]
    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// `file:line:column: error: path: message; help`, on one line.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}:", self.file)?;
            if self.line > 0 {
                write!(f, "{}:{}:", self.line, self.column)?;
            }
            f.write_str(" ")?;
        }
        write!(f, "{}: ", self.severity.word())?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&one_line(&self.message))?;
        for related in &self.related {
            write!(
                f,
                " ({} at {}:{}:{})",
                related.label, related.file, related.line, related.column
            )?;
        }
        if let Some(help) = &self.help {
            write!(f, "; {}", one_line(help))?;
        }
        Ok(())
    }
}

/// Line ends and other control characters made visible, so that a config can't forge log lines.
fn one_line(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control();
            let plain = (!escaped).then_some(c);
            plain
                .into_iter()
                .chain(escaped.then(|| c.escape_debug()).into_iter().flatten())
        })
        .collect()
}

/// Everything that is wrong with a config: why it was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Errors and warnings, in the order of the files.
    pub problems: Vec<Problem>,
    /// The files they are about.
    pub sources: Vec<Source>,
}

impl Report {
    /// How many errors and how many warnings there are.
    pub fn counts(&self) -> (usize, usize) {
        let errors = self
            .problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .count();
        (errors, self.problems.len() - errors)
    }

    /// The problems as a JSON array, as `podvisor validate -o json` prints it.
    pub fn to_json(&self) -> String {
        problems_to_json(&self.problems)
    }

    /// The problems as people read them best: with the line of the file, and a caret below the mistake.
    ///
    /// `color`: whether to use terminal colours.
    pub fn render(&self, color: bool) -> String {
        super::render::render(&self.problems, &self.sources, color)
    }
}

/// Problems as a JSON array of `{severity, file, line, column, path, message, help}`.
pub fn problems_to_json(problems: &[Problem]) -> String {
    serde_json::to_string_pretty(problems).unwrap_or_else(|_| "[]".to_owned())
}

/// One line for each problem.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}
