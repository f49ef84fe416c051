//! Up and down in dependency order.

use std::process::Command;
use std::time::Duration;

use super::{RUNS, down, up};
use crate::Bench;
use crate::harness::place::Place;
use crate::harness::plan::{Mode, Plan, Probe};
use crate::harness::process::Running;
use crate::harness::{ms, pass};
use crate::peers::{Peer, podvisor};

/// What the runs of one supervisor gave.
#[derive(Default)]
struct Seen {
    up: Vec<f64>,
    down: Vec<f64>,
    early_starts: Vec<f64>,
    early_stops: Vec<f64>,
}

impl Seen {
    fn run(&mut self, peer: &Peer, plan: &Plan, place: &Place) {
        let Some((mut running, last)) = up(peer, plan, place) else {
            return;
        };
        self.up.push(ms(running.began, last));
        pass(Duration::from_millis(200));
        self.early_starts.extend(plan.early_starts(&plan.read()));
        let Some((told, ended)) = down(peer, &mut running, plan, place) else {
            return;
        };
        self.down.push(ms(told, ended));
        self.early_stops.extend(plan.early_stops(&plan.read()));
    }
}

/// The order in words.
fn order(early: &[f64], ordered: bool) -> String {
    let most = early.iter().copied().fold(0.0, f64::max);
    match early.len() {
        0 => "in order".to_owned(),
        _ if !ordered => "not in order".to_owned(),
        n => format!("{n} overlaps of at most {most:.2} ms"),
    }
}

fn note(words: &str, peer: &str) -> String {
    if peer.is_empty() {
        words.to_owned()
    } else {
        format!("{words}; {peer}")
    }
}

/// 50 services in 10 layers of 5, each layer on all of the one before.
pub fn dag50(bench: &mut Bench) {
    let mut all: Vec<Seen> = bench.peers.iter().map(|_| Seen::default()).collect();
    let mut strict = Seen::default();
    // Side by side, so that a machine that drifts drifts for all.
    for round in 0..RUNS {
        for (peer, seen) in bench.peers.iter().zip(&mut all) {
            if round < peer.runs {
                let place = Place::new();
                let plan = Plan::layers(&bench.svc, place.path(), 10, 5, 5, &Mode::Idle);
                bench.calm.wait();
                seen.run(peer, &plan, &place);
            }
        }
        let place = Place::new();
        let plan =
            Plan::layers(&bench.svc, place.path(), 10, 5, 5, &Mode::Idle).probed(Probe::Notify);
        bench.calm.wait();
        strict.run(&podvisor::PEER, &plan, &place);
    }
    for (peer, seen) in bench.peers.iter().zip(all) {
        let own = peer.name == "podvisor";
        let up = note(&order(&seen.early_starts, peer.ordered), peer.note);
        let down = order(&seen.early_stops, peer.ordered);
        bench.table.add(
            "dag50",
            peer.name,
            "up",
            "ms",
            seen.up,
            own.then_some(40.0),
            &up,
        );
        bench.table.add(
            "dag50",
            peer.name,
            "down",
            "ms",
            seen.down,
            own.then_some(60.0),
            &down,
        );
    }
    let name = "podvisor, each waits for ready";
    let up = order(&strict.early_starts, true);
    let down = order(&strict.early_stops, true);
    bench
        .table
        .add("dag50", name, "up", "ms", strict.up, Some(40.0), &up);
    bench
        .table
        .add("dag50", name, "down", "ms", strict.down, Some(60.0), &down);
}

/// 5 layers of 4 services that each take 200 ms over their end: 1 s if layers wait and nothing else does.
pub fn slow5(bench: &mut Bench) {
    let mut all: Vec<Seen> = bench.peers.iter().map(|_| Seen::default()).collect();
    for round in 0..RUNS {
        for (peer, seen) in bench.peers.iter().zip(&mut all) {
            let runs = if peer.name == "podvisor" { RUNS } else { 1 };
            if round < runs {
                let place = Place::new();
                let plan = Plan::layers(&bench.svc, place.path(), 5, 4, 4, &Mode::Slow(200));
                bench.calm.wait();
                seen.run(peer, &plan, &place);
            }
        }
    }
    for (peer, seen) in bench.peers.iter().zip(all) {
        let own = peer.name == "podvisor";
        let words = order(&seen.early_stops, peer.ordered);
        bench.table.add(
            "slow5",
            peer.name,
            "down",
            "ms",
            seen.down,
            own.then_some(1050.0),
            &words,
        );
    }
}

/// 1,000 services, in 10 layers and flat.
pub fn thousand(bench: &mut Bench) {
    for (name, layers, width) in [
        ("10 layers of 100, 3 needs each", 10, 100),
        ("flat", 1, 1000),
    ] {
        let mut seen = Seen::default();
        let mut valid = Vec::new();
        for _ in 0..RUNS {
            let place = Place::new();
            let plan = Plan::layers(&bench.svc, place.path(), layers, width, 3, &Mode::Idle);
            bench.calm.wait();
            let file = podvisor::write(&plan, place.path());
            let mut command = Command::new(podvisor::binary());
            command.args(["validate", "-c"]).arg(file);
            let mut check = Running::start(command, &place.join("validate-log"));
            let (status, at) = check.wait(Duration::from_secs(20)).expect("validate ends");
            if status.success() {
                valid.push(ms(check.began, at));
            } else {
                eprintln!("  validate: {status}");
            }
            seen.run(&podvisor::PEER, &plan, &place);
        }
        let table = &mut bench.table;
        table.add(
            "thousand",
            "podvisor",
            "validate",
            "ms",
            valid,
            Some(100.0),
            name,
        );
        let up = note(name, &order(&seen.early_starts, true));
        table.add(
            "thousand",
            "podvisor",
            "up",
            "ms",
            seen.up,
            Some(1000.0),
            &up,
        );
        let down = note(name, &order(&seen.early_stops, true));
        table.add("thousand", "podvisor", "down", "ms", seen.down, None, &down);
    }
}
