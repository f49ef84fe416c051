//! Bad configs, each with the exact messages that it must give: `tests/config/NAME.yaml` (or a folder `NAME/`) and
//! `NAME.expected`.
//!
//! Comments at the top of a file make up its machine: `# env: A=b C=d`, `# file: /path=text`, `# files: none`,
//! `# euid: 1000`. `UPDATE_EXPECT=1 cargo test --test config_errors` rewrites what is expected: read the diff.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot do its part has failed"
)]

#[path = "support/fake_machine.rs"]
mod fake_machine;

use std::path::{Path, PathBuf};

use fake_machine::Fake;
use podvisor::config::load_texts;

fn machine(text: &str) -> Fake {
    let mut fake = Fake::new();
    for line in text.lines().take_while(|line| line.starts_with('#')) {
        let (kind, rest) = line[1..].trim().split_once(": ").unwrap_or_default();
        match kind {
            "env" => fake.env.extend(rest.split(' ').map(pair)),
            "file" => fake.files.extend([pair(rest)]),
            "files" => fake.files.clear(),
            "euid" => fake.euid = rest.parse().unwrap(),
            _ => {}
        }
    }
    fake
}

fn pair(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap();
    (name.to_owned(), value.to_owned())
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let mut cases: Vec<PathBuf> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir() || path.extension().is_some_and(|it| it == "yaml"))
        .collect();
    cases.sort();
    cases
}

fn texts(case: &Path) -> Vec<(String, String)> {
    let mut files = vec![case.to_owned()];
    if case.is_dir() {
        files = case
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
    }
    files
        .into_iter()
        .map(|file| {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(&file).unwrap())
        })
        .collect()
}

/// What a case gives, one problem a line.
fn outcome(case: &Path) -> String {
    let texts = texts(case);
    let borrowed: Vec<(&str, &str)> = texts
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let machine = machine(&texts[0].1);
    let problems = match load_texts(&borrowed, &machine) {
        Ok(loaded) => loaded.warnings,
        Err(report) => report.problems,
    };
    problems
        .iter()
        .map(|problem| format!("{problem}\n"))
        .collect()
}

#[test]
fn every_bad_config_gives_exactly_its_messages() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let found = outcome(&case);
        let expected_file = case.with_extension("expected");
        if update {
            std::fs::write(&expected_file, &found).unwrap();
            continue;
        }
        let expected = std::fs::read_to_string(&expected_file).unwrap_or_default();
        if found != expected {
            wrong.push(format!(
                "{}\nexpected:\n{expected}found:\n{found}",
                case.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_case_complains_and_there_are_many() {
    let cases = cases();
    assert!(cases.len() >= 60, "{}", cases.len());
    for case in cases {
        assert!(
            !outcome(&case).is_empty(),
            "{} is taken in silence",
            case.display()
        );
    }
}

#[test]
fn no_message_shows_a_secret() {
    for case in cases() {
        let found = outcome(&case);
        for secret in ["hunter2", "verysecret"] {
            assert!(!found.contains(secret), "{}: {found}", case.display());
        }
    }
}
