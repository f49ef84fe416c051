//! The configs in the docs are configs that podvisor takes.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the docs has failed"
)]

use std::fs;
use std::path::Path;

/// Pages whose every YAML block is a whole config.
const PAGES: [&str; 2] = ["docs/migrating.md", "README.md"];

/// The YAML blocks of a page.
fn blocks(text: &str) -> Vec<&str> {
    let parts = text.split("```yaml\n").skip(1);
    parts
        .map(|part| part.split("```").next().unwrap())
        .collect()
}

#[test]
fn they_have_no_errors() {
    let mut tried = 0;
    for page in PAGES {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
        for block in blocks(&text) {
            // A pod's own probes stand in the README too.
            if !block.contains("services:") {
                continue;
            }
            tried += 1;
            let loaded = podvisor::config::load_str(page, block, &|name| Some(format!("<{name}>")));
            if let Err(report) = loaded {
                // Programs and users are those of an image, not of this machine.
                let wrong: Vec<String> = report
                    .problems
                    .iter()
                    .filter(|problem| problem.severity == podvisor::config::Severity::Error)
                    .map(ToString::to_string)
                    .filter(|text| !text.contains("no user") && !text.contains("not found"))
                    .collect();
                if !wrong.is_empty() {
                    panic!("{page}: {wrong:?}\n{block}");
                }
            }
        }
    }
    assert!(tried >= 4, "{tried}");
}
