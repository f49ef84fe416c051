//! The scenarios, and how most of them run a supervisor.

pub mod graph;
pub mod idle;
pub mod livez;
pub mod orphans;
pub mod react;
pub mod single;

use std::time::Duration;

use crate::harness::place::Place;
use crate::harness::plan::Plan;
use crate::harness::process::Running;
use crate::harness::{now, wait_for};
use crate::peers::{Peer, Stop};

/// How often a stamp file is looked at: the stamps have their own time, so that this costs no precision.
const LOOK: Duration = Duration::from_millis(2);
/// The slowest peer needs a quarter of a minute.
const LIMIT: Duration = Duration::from_secs(40);
/// Podvisor's runs of a scenario.
const RUNS: usize = 5;

/// Starts a supervisor on a plan and waits until all services have started; says when the last one did.
fn up(peer: &Peer, plan: &Plan, place: &Place) -> Option<(Running, u64)> {
    let running = Running::start((peer.command)(plan, place.path()), &place.join("log"));
    let starts = wait_for(LOOK, LIMIT, || {
        // Until there are enough lines they are only counted: whoever looks here takes from what is measured.
        if plan.lines() < plan.services.len() {
            return None;
        }
        let stamps = plan.read();
        (stamps.count("start") >= plan.services.len()).then_some(stamps)
    });
    let Some(stamps) = starts else {
        complain(peer, place, plan, "not all services started");
        return None;
    };
    let last = stamps.last("start")?;
    Some((running, last))
}

/// Tells it to stop and waits for its end and that of all services; says when it was told and when the last one ended.
fn down(peer: &Peer, running: &mut Running, plan: &Plan, place: &Place) -> Option<(u64, u64)> {
    let told = now();
    let client = match peer.stop {
        Stop::Signal(signal) => {
            running.signal(signal);
            None
        }
        Stop::Client(command) => Some(Running::start(
            command(place.path()),
            &place.join("client-log"),
        )),
    };
    let Some((_, ended)) = running.wait(LIMIT) else {
        complain(peer, place, plan, "it did not end");
        return None;
    };
    if let Some(mut client) = client {
        client.wait(LIMIT);
    }
    let all = wait_for(LOOK, Duration::from_secs(2), || {
        let stamps = plan.read();
        (stamps.count("end") >= plan.services.len()).then_some(stamps)
    });
    let Some(stamps) = all else {
        complain(peer, place, plan, "it ended before all of its services");
        return None;
    };
    Some((told, ended.max(stamps.last("end")?)))
}

/// Says what went wrong, with the supervisor's last words.
fn complain(peer: &Peer, place: &Place, plan: &Plan, what: &str) {
    let stamps = plan.read();
    let log = std::fs::read_to_string(place.join("log")).unwrap_or_default();
    let words: Vec<&str> = log.lines().rev().take(5).collect();
    eprintln!(
        "  {}: {what} ({} starts, {} ends of {}); it said last:",
        peer.name,
        stamps.count("start"),
        stamps.count("end"),
        plan.services.len()
    );
    for line in words.iter().rev() {
        eprintln!("    {line}");
    }
}
