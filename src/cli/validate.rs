//! `podvisor validate`: every error and warning of a config at once, each with its place.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::ValueEnum;

use super::args::ConfigArgs;
use crate::config::{self, Problem, Report, Severity};
use crate::exit;

/// Arguments of `podvisor validate`.
#[derive(Debug, Clone, clap::Args)]
pub struct ValidateArgs {
    /// Where the config is.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// How to print what is found.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// How problems are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Output {
    /// With the lines they are about, on stderr; a summary on stdout.
    #[default]
    Human,
    /// One line each, on stderr; a summary on stdout.
    Short,
    /// A JSON array on stdout, and nothing else.
    Json,
}

/// Validates a config.
///
/// Gives the exit code: 0 when it may be used (also with warnings), 78 when it is refused.
pub fn run(paths: &[PathBuf], output: Output) -> u8 {
    let loaded = config::load(paths, &|name| std::env::var(name).ok());
    let (services, report) = match loaded {
        Ok(loaded) => {
            let report = Report {
                problems: loaded.warnings,
                sources: loaded.sources,
            };
            (Some(loaded.config.services.len()), report)
        }
        Err(report) => (None, report),
    };
    // Who has gone away, does not want to know.
    let _ = print(services, &report, output);
    if services.is_some() {
        exit::OK
    } else {
        exit::CONFIG
    }
}

fn print(services: Option<usize>, report: &Report, output: Output) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let mut stderr = io::stderr().lock();
    match output {
        Output::Json => return writeln!(stdout, "{}", report.to_json()),
        Output::Human if !report.problems.is_empty() => {
            let color =
                stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
            writeln!(stderr, "{}\n", report.render(color))?;
        }
        Output::Short if !report.problems.is_empty() => writeln!(stderr, "{report}")?,
        Output::Human | Output::Short => {}
    }
    match services {
        Some(services) => writeln!(stdout, "{}", accepted(services, &report.problems)),
        None => writeln!(stderr, "{}", refused(report)),
    }
}

/// `ok: 5 services, 2 warnings`.
fn accepted(services: usize, warnings: &[Problem]) -> String {
    let mut text = format!("ok: {}", count(services, "service"));
    if !warnings.is_empty() {
        text = format!("{text}, {}", count(warnings.len(), "warning"));
    }
    text
}

/// `refused: 3 errors, 1 warning`.
fn refused(report: &Report) -> String {
    let of = |severity: Severity| {
        let all = report.problems.iter();
        all.filter(|problem| problem.severity == severity).count()
    };
    let mut text = format!("refused: {}", count(of(Severity::Error), "error"));
    if of(Severity::Warning) > 0 {
        text = format!("{text}, {}", count(of(Severity::Warning), "warning"));
    }
    text
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_whether_it_may_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let good = folder.path().join("good.yaml");
        let bad = folder.path().join("bad.yaml");
        std::fs::write(&good, "services: { a: { command: [a] } }\n").unwrap();
        std::fs::write(&bad, "services: { a: { comand: [a] } }\n").unwrap();
        assert_eq!(run(&[good], Output::Short), 0);
        assert_eq!(run(std::slice::from_ref(&bad), Output::Human), 78);
        assert_eq!(run(&[bad], Output::Json), 78);
        assert_eq!(run(&[folder.path().join("none.yaml")], Output::Short), 78);
    }

    #[test]
    fn counts_in_words() {
        assert_eq!(accepted(1, &[]), "ok: 1 service");
        let report =
            config::load_str("x.yaml", "services: { a: { comand: [a] } }", &|_| None).unwrap_err();
        assert_eq!(refused(&report), "refused: 1 error");
        assert_eq!(accepted(5, &report.problems), "ok: 5 services, 1 warning");
    }
}
