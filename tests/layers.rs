//! The rules of the house that no compiler holds: who imports whom, what is called nowhere, how long a file is.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the source has failed"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// A room, and the rooms of ours that it may name.
const MAY_IMPORT: [(&str, &[&str]); 15] = [
    ("units", &[]),
    ("exit", &[]),
    ("config", &["units", "exit"]),
    ("core", &["config", "units", "exit"]),
    ("view", &["core"]),
    ("process", &["config", "units"]),
    ("logs", &["config", "units"]),
    ("ship", &["logs", "config", "units"]),
    ("receive", &["ship", "logs", "units"]),
    ("usage", &["process", "view"]),
    (
        "metrics",
        &["view", "core", "logs", "ship", "usage", "units"],
    ),
    ("http", &["view", "metrics", "core", "units"]),
    ("control", &["view", "core", "logs", "usage", "units"]),
    ("telemetry", &["logs", "units"]),
    (
        "supervisor",
        &[
            "units",
            "exit",
            "config",
            "core",
            "view",
            "process",
            "usage",
            "logs",
            "ship",
            "metrics",
            "http",
            "control",
            "telemetry",
        ],
    ),
];

/// What the pure core must not know.
const NOT_IN_CORE: [&str; 8] = [
    "tokio",
    "nix::",
    "std::fs",
    "std::net",
    "std::io",
    "Instant::now",
    "SystemTime",
    "std::thread",
];

/// Files longer than this have two subjects, until somebody shows otherwise here.
const MAX_LINES: usize = 450;
const LONGER: [(&str, &str); 0] = [];

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut todo = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(found.len() > 20, "the source is somewhere else");
    found.sort();
    found
}

fn inside(path: &Path) -> String {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    path.strip_prefix(src).unwrap().display().to_string()
}

fn room(path: &Path) -> String {
    let inside = inside(path);
    inside
        .split('/')
        .next()
        .unwrap()
        .trim_end_matches(".rs")
        .to_owned()
}

#[test]
fn rooms_import_only_what_they_may() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let room = room(&path);
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == room) else {
            continue;
        };
        for (at, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap();
            for (place, _) in code.match_indices("crate::") {
                let target: String = code[place + 7..]
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                let ours = MAY_IMPORT.iter().any(|(name, _)| *name == target) || target == "cli";
                if ours && target != room && !allowed.contains(&target.as_str()) {
                    wrong.push(format!(
                        "{}:{}: {room} names {target}",
                        inside(&path),
                        at + 1
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_core_is_pure() {
    let mut wrong = Vec::new();
    for (path, text) in sources()
        .into_iter()
        .filter(|(path, _)| room(path) == "core")
    {
        let code = text.split("#[cfg(test)]").next().unwrap();
        for (at, line) in code.lines().enumerate() {
            let line = line.split("//").next().unwrap();
            for word in NOT_IN_CORE.iter().filter(|word| line.contains(**word)) {
                wrong.push(format!("{}:{}: {word}", inside(&path), at + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn unsafe_stays_in_the_process_room() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let keyword = concat!("unsafe", " ");
        let block = text
            .lines()
            .any(|line| line.split("//").next().unwrap().contains(keyword));
        if block && room(&path) != "process" {
            wrong.push(inside(&path));
        }
    }
    assert!(wrong.is_empty(), "unsafe code in {wrong:?}");
}

#[test]
fn every_file_says_its_subject_and_has_one() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let name = inside(&path);
        if !text.starts_with("//! ") {
            wrong.push(format!(
                "{name}: the first line does not say what it is about"
            ));
        }
        let lines = text.lines().count();
        if lines > MAX_LINES && !LONGER.iter().any(|(longer, _)| *longer == name) {
            wrong.push(format!("{name}: {lines} lines; does it have two subjects?"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn nothing_is_left_unfinished() {
    let words = [
        concat!("FIX", "ME"),
        concat!("TO", "DO:"),
        concat!("XX", "X"),
        concat!("HA", "CK"),
    ];
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        for word in words.iter().filter(|word| text.contains(**word)) {
            wrong.push(format!("{}: {word}", inside(&path)));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
