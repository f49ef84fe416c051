//! `run -- CMD`: a config of one service, made from the command line.

use std::collections::BTreeMap;

use serde_json::json;

use super::args::RunArgs;
use crate::config::Config;
use crate::config::logs::ConsoleFormat;
use crate::config::model::Service;

/// The longest service name; it stands in metric labels.
const MAX_NAME: usize = 63;

/// The one service runs once, and its exit code is podvisor's. What it leaves behind gets a second, not ten: whoever
/// comes from tini expects the container to end with its command.
pub(super) fn load(args: &RunArgs) -> Option<(Config, String)> {
    let service = json!({
        "command": args.exec,
        "restartPolicy": "Never",
        "stop": { "timeout": "1s" },
    });
    match serde_json::from_value::<Service>(service) {
        Ok(service) => {
            let mut config = Config {
                services: BTreeMap::from([(name(&args.exec[0]), service)]),
                ..Config::default()
            };
            config.logs.console.format = ConsoleFormat::Raw;
            Some((config, "0".repeat(8)))
        }
        Err(error) => {
            eprintln!("podvisor: {error}");
            None
        }
    }
}

/// The program's own name, as far as a label can carry it.
fn name(program: &str) -> String {
    let base = program.rsplit('/').next().unwrap_or(program);
    let fit = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
            c
        } else {
            '-'
        }
    };
    let name: String = base.chars().map(fit).take(MAX_NAME).collect();
    let name = name.trim_matches(['-', '_']);
    if name.is_empty() {
        "command".to_owned()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn the_service_is_named_for_the_program() {
        assert_eq!(name("/usr/sbin/nginx"), "nginx");
        assert_eq!(name("./run.sh"), "run-sh");
        assert_eq!(name("/"), "command");
    }
}
