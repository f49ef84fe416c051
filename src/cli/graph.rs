//! `podvisor graph`: which service waits for which, as a tree, for Graphviz or for Mermaid. The same config gives the
//! same text, always.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::ValueEnum;

use super::args::ConfigArgs;
use crate::config::model::{Condition, Dependency, Service, ServiceKind};
use crate::config::{self, Config};
use crate::exit;

/// The deepest branch that is drawn, in columns: no screen shows more.
const MAX_INDENT: usize = 120;

/// Arguments of `podvisor graph`.
#[derive(Debug, Clone, clap::Args)]
pub struct GraphArgs {
    /// Where the config is.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// What to print.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
}

/// The form of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Each service with what it waits for, then the order of the start.
    #[default]
    Tree,
    /// Graphviz: `podvisor graph -o dot | dot -Tsvg`.
    Dot,
    /// Mermaid, as Markdown viewers draw it.
    Mermaid,
}

/// Prints the graph of a config.
///
/// Gives the exit code: 0, or 78 with the errors on stderr when the config is refused.
pub fn run(paths: &[PathBuf], format: Format) -> u8 {
    match config::load(paths, &|name| std::env::var(name).ok()) {
        Ok(loaded) => {
            let text = render(&loaded.config, format);
            // Who has gone away, does not want to know.
            let _ = io::stdout().lock().write_all(text.as_bytes());
            exit::OK
        }
        Err(report) => {
            let _ = writeln!(io::stderr().lock(), "{report}");
            exit::CONFIG
        }
    }
}

/// The graph of a checked config as text.
pub fn render(config: &Config, format: Format) -> String {
    match format {
        Format::Tree => tree(config),
        Format::Dot => dot(config),
        Format::Mermaid => mermaid(config),
    }
}

/// What a dependency waits for, in words: `ready`, `completed, wanted`.
fn condition(config: &Config, name: &str, dependency: &Dependency) -> String {
    let condition = dependency
        .condition
        .or_else(|| config.services.get(name).map(Service::default_condition));
    let word = match condition {
        Some(Condition::Started) | None => "started",
        Some(Condition::Ready) => "ready",
        Some(Condition::Completed) => "completed",
    };
    match dependency.required {
        true => word.to_owned(),
        false => format!("{word}, wanted"),
    }
}

/// What a service is beyond a required daemon: `oneshot`, `not started`, `optional`.
fn remarks(service: &Service) -> String {
    let mut remarks = Vec::new();
    match service.kind {
        ServiceKind::Daemon => {}
        ServiceKind::Oneshot => remarks.push("oneshot"),
        ServiceKind::Cron => remarks.push("cron"),
    }
    if !service.autostart {
        remarks.push("not started with the container");
    } else if !service.is_required() && service.kind != ServiceKind::Cron {
        remarks.push("optional");
    }
    match remarks.is_empty() {
        true => String::new(),
        false => format!(" ({})", remarks.join(", ")),
    }
}

fn tree(config: &Config) -> String {
    let mut text = String::new();
    let needed: BTreeSet<&String> = config
        .services
        .values()
        .flat_map(|service| service.depends_on.keys())
        .collect();
    let mut shown = BTreeSet::new();
    for name in config.services.keys().filter(|name| !needed.contains(name)) {
        branch(&mut text, config, name, None, "", &mut shown);
    }
    text.push_str("\nstart order:\n");
    for (number, layer) in layers(config).iter().enumerate() {
        // Writing to a String never fails.
        let _ = writeln!(text, "{:>4}  {}", number + 1, layer.join(", "));
    }
    let pairs = conflicts(config);
    if !pairs.is_empty() {
        text.push_str("\nnever at the same time:\n");
        for (one, other) in pairs {
            let _ = writeln!(text, "      {one}, {other}");
        }
    }
    text
}

/// One service with all it waits for. What was shown above is not shown again.
fn branch<'a>(
    text: &mut String,
    config: &'a Config,
    name: &'a str,
    how: Option<(String, bool)>,
    indent: &str,
    shown: &mut BTreeSet<&'a str>,
) {
    let Some(service) = config.services.get(name) else {
        return;
    };
    let first_time = shown.insert(name);
    let more = if first_time || service.depends_on.is_empty() {
        ""
    } else {
        " …"
    };
    let below = match how {
        None => {
            let _ = writeln!(text, "{name}{}{more}", remarks(service));
            String::new()
        }
        Some((condition, last)) => {
            let (corner, next) = if last {
                ("└─", "   ")
            } else {
                ("├─", "│  ")
            };
            let _ = writeln!(
                text,
                "{indent}{corner} {name}: {condition}{}{more}",
                remarks(service)
            );
            format!("{indent}{next}")
        }
    };
    if !first_time {
        return;
    }
    if below.chars().count() > MAX_INDENT {
        let _ = writeln!(text, "{below}…");
        return;
    }
    let count = service.depends_on.len();
    for (index, (other, dependency)) in service.depends_on.iter().enumerate() {
        let how = (condition(config, other, dependency), index + 1 == count);
        branch(text, config, other, Some(how), &below, shown);
    }
}

/// The services that start with the container, by how many others must come before: those of one layer start side by
/// side.
fn layers(config: &Config) -> Vec<Vec<&str>> {
    let mut depth: BTreeMap<&str, usize> = BTreeMap::new();
    let mut open: Vec<&str> = config
        .services
        .iter()
        .filter(|(_, service)| service.autostart)
        .map(|(name, _)| name.as_str())
        .collect();
    // A stack of our own: a chain may be thousands long. The config is checked, so there are no cycles.
    while let Some(name) = open.last().copied() {
        let needs = config.services.get(name).map(|service| &service.depends_on);
        let missing: Vec<&str> = needs
            .into_iter()
            .flatten()
            .map(|(other, _)| other.as_str())
            .filter(|other| !depth.contains_key(other))
            .collect();
        if missing.is_empty() {
            open.pop();
            let below = needs
                .into_iter()
                .flatten()
                .filter_map(|(other, _)| depth.get(other.as_str()))
                .max();
            depth.insert(name, below.map_or(0, |below| below + 1));
        } else {
            open.extend(missing);
        }
    }
    let mut layers = vec![Vec::new(); depth.values().max().map_or(0, |most| most + 1)];
    for (name, layer) in depth {
        layers[layer].push(name);
    }
    layers
}

/// Every pair that conflicts, once.
fn conflicts(config: &Config) -> BTreeSet<(&str, &str)> {
    let mut pairs = BTreeSet::new();
    for (name, service) in &config.services {
        for other in &service.conflicts_with {
            pairs.insert((name.min(other).as_str(), name.max(other).as_str()));
        }
    }
    pairs
}

fn dot(config: &Config) -> String {
    let mut text =
        "digraph podvisor {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n"
            .to_owned();
    for (name, service) in &config.services {
        let style = match (service.autostart, service.kind) {
            (false, _) => ", style=dashed",
            (true, ServiceKind::Daemon) => "",
            (true, ServiceKind::Oneshot | ServiceKind::Cron) => ", style=rounded",
        };
        let _ = writeln!(
            text,
            "  \"{name}\" [label=\"{name}{}\"{style}];",
            remarks(service)
        );
    }
    for (name, service) in &config.services {
        for (other, dependency) in &service.depends_on {
            let style = if dependency.required {
                ""
            } else {
                ", style=dashed"
            };
            let label = condition(config, other, dependency);
            let _ = writeln!(
                text,
                "  \"{name}\" -> \"{other}\" [label=\"{label}\"{style}];"
            );
        }
    }
    for (one, other) in conflicts(config) {
        let _ = writeln!(
            text,
            "  \"{one}\" -> \"{other}\" [label=\"conflicts\", dir=none, color=red, constraint=false];"
        );
    }
    text.push_str("}\n");
    text
}

fn mermaid(config: &Config) -> String {
    let numbers: BTreeMap<&str, usize> = config
        .services
        .keys()
        .map(String::as_str)
        .zip(0..)
        .collect();
    let number = |name: &str| numbers.get(name).copied().unwrap_or_default();
    let mut text = "graph LR\n".to_owned();
    for (name, service) in &config.services {
        // Names may be words of Mermaid's own, such as `end`; hence numbers with labels.
        let _ = writeln!(text, "  s{}[\"{name}{}\"]", number(name), remarks(service));
    }
    for (name, service) in &config.services {
        for (other, dependency) in &service.depends_on {
            let arrow = if dependency.required { "-->" } else { "-.->" };
            let label = condition(config, other, dependency);
            let _ = writeln!(
                text,
                "  s{} {arrow}|\"{label}\"| s{}",
                number(name),
                number(other)
            );
        }
    }
    for (one, other) in conflicts(config) {
        let _ = writeln!(
            text,
            "  s{} x--x|conflicts| s{}",
            number(one),
            number(other)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "
services:
  redis: { command: [a], readinessProbe: { tcpSocket: { port: 6379 } } }
  migrate: { type: oneshot, command: [a], dependsOn: [redis] }
  web:
    command: [a]
    dependsOn:
      migrate:
      redis: { condition: started }
      statsd: { condition: started, required: false }
  worker: { command: [a], dependsOn: [migrate] }
  statsd: { command: [a], required: false }
  nightly: { type: cron, schedule: '@daily', command: [a] }
  maintenance: { command: [a], autostart: false, conflictsWith: [web] }
";

    fn graph(format: Format) -> String {
        let config = config::load_str("x.yaml", CONFIG, &|_| None)
            .unwrap()
            .config;
        render(&config, format)
    }

    #[test]
    fn the_tree_shows_who_waits_for_whom_and_the_order() {
        assert_eq!(
            graph(Format::Tree),
            "\
maintenance (not started with the container)
nightly (cron)
web
├─ migrate: completed (oneshot)
│  └─ redis: ready
├─ redis: started
└─ statsd: started, wanted (optional)
worker
└─ migrate: completed (oneshot) …

start order:
   1  nightly, redis, statsd
   2  migrate
   3  web, worker

never at the same time:
      maintenance, web
"
        );
    }

    #[test]
    fn dot_has_every_service_and_every_dependency() {
        let text = graph(Format::Dot);
        assert!(
            text.starts_with("digraph podvisor {\n") && text.ends_with("}\n"),
            "{text}"
        );
        for line in [
            "  \"migrate\" [label=\"migrate (oneshot)\", style=rounded];",
            "  \"web\" -> \"statsd\" [label=\"started, wanted\", style=dashed];",
            "  \"maintenance\" -> \"web\" [label=\"conflicts\", dir=none, color=red, constraint=false];",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in {text}");
        }
    }

    #[test]
    fn mermaid_numbers_its_nodes() {
        let text = graph(Format::Mermaid);
        assert!(text.starts_with("graph LR\n"), "{text}");
        assert!(
            text.contains("  s0[\"maintenance (not started with the container)\"]\n"),
            "{text}"
        );
        assert!(
            text.contains("  s5 -.->|\"started, wanted\"| s4\n"),
            "{text}"
        );
    }

    #[test]
    fn a_chain_of_thousands_has_as_many_layers() {
        let mut text = "services:\n  s0: { command: [a] }\n".to_owned();
        for number in 1..3000 {
            let _ = writeln!(
                text,
                "  s{number}: {{ command: [a], dependsOn: [s{}] }}",
                number - 1
            );
        }
        let config = config::load_str("x.yaml", &text, &|_| None).unwrap().config;
        assert_eq!(layers(&config).len(), 3000);
        assert!(render(&config, Format::Tree).len() < 200_000);
    }
}
