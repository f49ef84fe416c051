//! Dashboards, alerts, runbooks and the exported families know each other.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its files has failed"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What every release exports: renamed or dropped families break the users' own dashboards.
const PROMISED: &str = include_str!("promised_families.txt");

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(root(path)).unwrap()
}

/// The families of docs/metrics.md, which a test of the library holds against the registry.
fn exported() -> BTreeSet<String> {
    let text = read("docs/metrics.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split('`').next().unwrap().to_owned())
        .collect()
}

fn dashboards() -> Vec<(String, Value)> {
    let files = fs::read_dir(root("dashboards"))
        .unwrap()
        .map(Result::unwrap);
    let files = files.map(|file| file.path());
    let json = files.filter(|path| path.extension().is_some_and(|end| end == "json"));
    let all: Vec<(String, Value)> = json
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect();
    assert_eq!(all.len(), 4);
    all
}

/// The names in a text that look like families of podvisor's.
fn families(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    let ours = words.filter(|word| word.starts_with("podvisor_") || word.starts_with("process_"));
    ours.map(str::to_owned).collect()
}

/// The family that a series belongs to.
fn family_of(series: &str, exported: &BTreeSet<String>) -> bool {
    let stems = ["_bucket", "_sum", "_count"]
        .into_iter()
        .filter_map(|end| series.strip_suffix(end));
    exported.contains(series) || stems.into_iter().any(|stem| exported.contains(stem))
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    panels.filter(|panel| panel["type"] != "row")
}

#[test]
fn no_query_names_a_family_that_is_not_exported() {
    let exported = exported();
    let mut texts = vec![(
        "rules".to_owned(),
        read("dashboards/alerts/podvisor.rules.yaml"),
    )];
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            for target in panel["targets"].as_array().unwrap() {
                let expr = target["expr"].as_str().unwrap();
                texts.push((format!("{name}: {}", panel["title"]), expr.to_owned()));
            }
        }
        texts.push((name, dashboard["annotations"].to_string()));
    }
    assert!(texts.len() > 80, "{}", texts.len());
    for (place, text) in texts {
        for family in families(&text) {
            let label = family == "process_type";
            assert!(label || family_of(&family, &exported), "{place}: {family}");
        }
    }
}

#[test]
fn everything_that_was_promised_is_exported() {
    let exported = exported();
    let missing: Vec<&str> = PROMISED
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter(|family| !exported.contains(*family))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_panel_says_what_it_shows_and_in_which_unit() {
    for (name, dashboard) in dashboards() {
        assert!(!dashboard["description"].as_str().unwrap().is_empty());
        let mut titles = BTreeSet::new();
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap();
            let place = format!("{name}: {title}");
            assert!(
                panel["description"].as_str().unwrap().ends_with('.'),
                "{place}"
            );
            assert!(
                !panel["fieldConfig"]["defaults"]["unit"]
                    .as_str()
                    .unwrap()
                    .is_empty()
            );
            assert_eq!(panel["datasource"]["uid"], "$datasource", "{place}");
            for target in panel["targets"].as_array().unwrap() {
                let expr = target["expr"].as_str().unwrap();
                assert!(
                    expr.contains("$instance") || place == "overview: Containers",
                    "{place}"
                );
                let rates = expr.matches("rate(").count();
                assert_eq!(
                    rates,
                    expr.matches("$__rate_interval").count(),
                    "{place}: {expr}"
                );
            }
            titles.insert(title.to_owned());
        }
        assert!(titles.len() > 10, "{name}");
    }
}

#[test]
fn every_alert_has_its_runbook_and_every_runbook_its_alert() {
    let rules = read("dashboards/alerts/podvisor.rules.yaml");
    let alerts: BTreeSet<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(alerts.len() >= 20, "{}", alerts.len());
    let books: BTreeSet<String> = fs::read_dir(root("docs/runbooks"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
        .filter(|name| name != "README")
        .collect();
    assert_eq!(alerts, books.iter().map(String::as_str).collect());
    let tests = read("dashboards/alerts/podvisor.tests.yaml");
    for alert in alerts {
        assert!(
            rules.contains(&format!("docs/runbooks/{alert}.md")),
            "{alert}"
        );
        for case in ["fires", "is silent"] {
            assert!(
                tests.contains(&format!("name: {alert} {case}\n")),
                "{alert} {case}"
            );
        }
        let book = read(&format!("docs/runbooks/{alert}.md"));
        for head in ["## What it means", "## What to look at", "## What to do"] {
            assert!(book.contains(head), "{alert}: {head}");
        }
    }
}
