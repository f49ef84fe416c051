//! Prints `docs/state-machine.md` from what services really did in random worlds, and holds the committed file to it.
//!
//! `UPDATE_DOCS=1 cargo test --test core_sim diagram` writes it anew.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use podvisor::core::ServiceState;

use crate::chance::Chance;

/// Enough of them that every move that there is was seen many times.
const WORLDS: u64 = 1_500;

const INTRO: &str = "\
# The states of a service

What `podvisor status`, `podvisor_service_state` and the API call a service's state, and every move from one state to
another that services made in 1,500 simulated worlds (`tests/core_sim`): random graphs, processes that fail in every
way, requests, schedules and shutdowns. A move is what can be seen between two events; steps that take no time, such
as `pending` to `blocked` to `starting` when nothing has to be waited for, show as one.

This file is printed by a test (`UPDATE_DOCS=1 cargo test --test core_sim diagram`), which also holds it true. The
rules behind it are in the head of `src/core/service.rs`.

| state | a service that |
|---|---|
";

fn meaning(state: ServiceState) -> &'static str {
    match state {
        ServiceState::Pending => "was not looked at yet, or waits for its schedule",
        ServiceState::Blocked => "is to start as soon as what it depends on allows",
        ServiceState::Starting => "has a process whose program does not run yet",
        ServiceState::Running => "runs and is not ready",
        ServiceState::Ready => "runs and is ready",
        ServiceState::Backoff => "ended and starts again after a delay",
        ServiceState::Stopping => "is being stopped, or left processes behind that are",
        ServiceState::Stopped => "does not run and is not to",
        ServiceState::Completed => "did its work",
        ServiceState::Failed => "failed for good",
    }
}

fn print(moves: &BTreeSet<(ServiceState, ServiceState)>) -> String {
    let mut text = INTRO.to_owned();
    for state in ServiceState::ALL {
        let _ = writeln!(text, "| `{}` | {} |", state.name(), meaning(state));
    }
    text.push_str("\n```mermaid\nstateDiagram-v2\n    [*] --> pending\n");
    for (from, to) in moves {
        let _ = writeln!(text, "    {} --> {}", from.name(), to.name());
    }
    text.push_str("```\n\n| from \\ to |");
    for to in ServiceState::ALL {
        let _ = write!(text, " {} |", to.name());
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(ServiceState::ALL.len()));
    for from in ServiceState::ALL {
        let _ = write!(text, "\n| **{}** |", from.name());
        for to in ServiceState::ALL {
            let seen = moves.contains(&(from, to));
            text.push_str(if seen { " x |" } else { " |" });
        }
    }
    text.push('\n');
    text
}

#[test]
fn diagram_shows_what_services_do() {
    let mut moves = BTreeSet::new();
    for seed in 1..=WORLDS {
        let mut world = Chance::world(seed);
        world.finish();
        moves.extend(world.moves);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/state-machine.md");
    let printed = print(&moves);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &printed).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == printed,
        "docs/state-machine.md is out of date: UPDATE_DOCS=1 writes it anew"
    );
}
