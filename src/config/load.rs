//! From paths to a checked config: read, expand, merge, decode, check; every error of every step at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::assemble::{Parsed, assemble};
use super::check;
use super::decode::MAX_PROBLEMS;
use super::expand::{self, io_words};
use super::machine::{Machine, ThisMachine};
use super::node::{self, MAX_FILE_BYTES};
use super::problem::{Problem, Report, Severity, Source};
use super::root::Config;
use super::yaml_error::YamlError;

/// Where the config is when nothing else is said.
pub const DEFAULT_PATH: &str = "/etc/podvisor/podvisor.yaml";

/// A config that may be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The config.
    pub config: Config,
    /// What in it is likely not meant so.
    pub warnings: Vec<Problem>,
    /// Eight hex digits that change with the text of the files.
    pub hash: String,
    /// The files that were read, secrets starred: to be quoted from.
    pub sources: Vec<Source>,
}

/// Reads, decodes and checks a config.
///
/// A path is a file, or a folder whose `*.yaml` and `*.yml` files are merged in name order; several paths are merged
/// in their order. `env` gives the environment variables that `${VAR}` may name.
///
/// # Errors
/// Everything that is wrong, in one go. The exit code for all of it is 78.
pub fn load(paths: &[PathBuf], env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Report> {
    let machine = ThisMachine::new(env);
    let mut problems = Vec::new();
    let mut sources = Vec::new();
    for path in paths {
        read_path(path, &machine, &mut sources, &mut problems);
    }
    finish(sources, problems, &machine)
}

/// The same for one text, called `name` in messages.
///
/// # Errors
/// As [`load`].
pub fn load_str(
    name: &str,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Report> {
    load_texts(&[(name, text)], &ThisMachine::new(env))
}

/// The same for texts with their names, on a machine that may be a made-up one.
///
/// # Errors
/// As [`load`].
pub fn load_texts(texts: &[(&str, &str)], machine: &dyn Machine) -> Result<Loaded, Report> {
    let mut problems = Vec::new();
    let mut sources = Vec::new();
    for (name, text) in texts {
        add_text(name, text.as_bytes().to_vec(), &mut sources, &mut problems);
    }
    finish(sources, problems, machine)
}

fn read_path(
    path: &Path,
    machine: &dyn Machine,
    sources: &mut Vec<Source>,
    problems: &mut Vec<Problem>,
) {
    let name = path.display().to_string();
    if !path.is_dir() {
        match machine.read(path, MAX_FILE_BYTES) {
            Ok(bytes) => add_text(&name, bytes, sources, problems),
            Err(error) => problems.push(unreadable(&name, &error)),
        }
        return;
    }
    let files = match yaml_files(path) {
        Ok(files) => files,
        Err(error) => {
            problems.push(unreadable(&name, &error));
            return;
        }
    };
    if files.is_empty() {
        problems.push(Problem::of_file(
            &name,
            "the folder has no *.yaml or *.yml file",
        ));
    }
    for file in files {
        read_path(&file, machine, sources, problems);
    }
}

/// The YAML files right in a folder, in name order. Hidden ones are left out: a mounted ConfigMap keeps its
/// versions in `..2024_…` beside the links that count.
fn yaml_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let yaml = path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        if yaml && !hidden && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn unreadable(name: &str, error: &std::io::Error) -> Problem {
    match error.kind() {
        std::io::ErrorKind::FileTooLarge => Problem::of_file(
            name,
            format!("the file is larger than {} KiB", MAX_FILE_BYTES / 1024),
        ),
        _ => Problem::of_file(name, format!("can't be read: {}", io_words(error))),
    }
}

fn add_text(name: &str, bytes: Vec<u8>, sources: &mut Vec<Source>, problems: &mut Vec<Problem>) {
    if bytes.len() > MAX_FILE_BYTES {
        problems.push(unreadable(
            name,
            &std::io::Error::from(std::io::ErrorKind::FileTooLarge),
        ));
        return;
    }
    let bytes = bytes
        .strip_prefix(b"\xEF\xBB\xBF")
        .map(<[u8]>::to_vec)
        .unwrap_or(bytes);
    match String::from_utf8(bytes) {
        Ok(text) => sources.push(Source {
            name: name.to_owned(),
            text: Arc::from(text),
        }),
        Err(error) => {
            let bytes = error.as_bytes();
            let utf16 = bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF");
            let problem = Problem::of_file(
                name,
                if utf16 {
                    "the file is UTF-16".to_owned()
                } else {
                    let good = error.utf8_error().valid_up_to();
                    let line = bytes[..good].iter().filter(|byte| **byte == b'\n').count() + 1;
                    format!("the file is not UTF-8 (line {line})")
                },
            );
            problems.push(problem.with_help("save it as UTF-8"));
        }
    }
}

fn finish(
    mut sources: Vec<Source>,
    mut problems: Vec<Problem>,
    machine: &dyn Machine,
) -> Result<Loaded, Report> {
    let hash = hash_of(&sources);
    let mut files = Vec::with_capacity(sources.len());
    // With a file missing, names that it may define are not unknown.
    let mut complete = problems.is_empty();
    for source in &sources {
        match node::parse(&source.text) {
            Ok((tree, errors)) => {
                for error in errors {
                    problems.push(yaml_problem(source, error));
                }
                let mut file = Parsed::new(source.clone(), tree);
                expand_file(&mut file, machine, &mut problems);
                files.push(file);
            }
            Err(error) => {
                complete = false;
                problems.push(yaml_problem(source, error));
            }
        }
    }
    let assembled = assemble(&mut files, &mut problems);
    check::check(&files, &assembled, complete, machine, &mut problems);
    sort(&mut problems, &sources);
    mask(&mut sources, &files);
    let is_error = |problem: &Problem| problem.severity == Severity::Error;
    if problems.iter().any(is_error) {
        let shown = problems.iter().filter(|problem| is_error(problem)).count();
        if shown > MAX_PROBLEMS {
            problems.retain(is_error);
            problems.truncate(MAX_PROBLEMS);
            problems.push(Problem::of_file(
                "",
                "there are more errors, which are not shown",
            ));
        }
        return Err(Report { problems, sources });
    }
    Ok(Loaded {
        config: assembled.config,
        warnings: problems,
        hash,
        sources,
    })
}

/// Secrets that were written into a file are starred in the lines that messages quote. References to variables and
/// files stay: they are no secrets.
fn mask(sources: &mut [Source], files: &[Parsed]) {
    for source in sources {
        let Some(file) = files.iter().find(|file| file.source.name == source.name) else {
            continue;
        };
        let spans = file
            .tree
            .ids()
            .filter(|id| file.tree.scalar(*id).is_some_and(|scalar| scalar.secret))
            .map(|id| file.tree.node(id).place.span.clone())
            .filter(|span| {
                !source
                    .text
                    .get(span.clone())
                    .unwrap_or_default()
                    .contains("${")
            });
        let mut bytes = source.text.as_bytes().to_vec();
        for span in spans {
            let secret = bytes.get_mut(span).unwrap_or_default();
            for byte in secret.iter_mut().filter(|byte| **byte != b'\n') {
                *byte = b'*';
            }
        }
        source.text = Arc::from(String::from_utf8_lossy(&bytes).as_ref());
    }
}

/// In the order of the files; what an alias brings to the same place again, once.
fn sort(problems: &mut Vec<Problem>, sources: &[Source]) {
    let place = |problem: &Problem| {
        let file = sources
            .iter()
            .position(|source| source.name == problem.file);
        (file, problem.line, problem.column)
    };
    problems.sort_by_cached_key(|problem| (place(problem), problem.path.clone()));
    problems.dedup_by(|a, b| place(a) == place(b) && a.message == b.message);
}

fn yaml_problem(source: &Source, error: YamlError) -> Problem {
    let mut related = error.related;
    for other in &mut related {
        other.file.clone_from(&source.name);
    }
    Problem {
        severity: Severity::Error,
        file: source.name.clone(),
        line: error.place.line,
        column: error.place.column,
        path: String::new(),
        message: error.message,
        help: error.help,
        related,
        span: Some(error.place.span),
    }
}

fn expand_file(file: &mut Parsed, machine: &dyn Machine, problems: &mut Vec<Problem>) {
    let mut mistakes = Vec::new();
    expand::expand(&mut file.tree, machine, &mut mistakes);
    for mistake in mistakes {
        file.cuts.insert(mistake.node);
        let place = file.tree.pointer(mistake.node).clone();
        let path = file.tree.path(mistake.node);
        problems.push(file.written_problem(&place, path, mistake.message, mistake.help));
    }
}

/// 64-bit FNV-1a over the texts, as its first eight hex digits: stable over versions and machines.
fn hash_of(sources: &[Source]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for source in sources {
        // The zero keeps two files apart from one that holds both.
        for byte in source.text.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    format!("{:08x}", hash >> 32)
}
