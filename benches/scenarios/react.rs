//! From the death of a service to its next life.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::up;
use crate::Bench;
use crate::harness::place::Place;
use crate::harness::plan::{Mode, Plan};
use crate::harness::table::percentile;
use crate::harness::{ms, now, pass, wait_for};
use crate::peers::Peer;

/// Kills one service again and again, with the shortest delay its supervisor has.
pub fn react(bench: &mut Bench) {
    for index in 0..bench.peers.len() {
        let peer = &bench.peers[index];
        let own = peer.name == "podvisor";
        for delay in if own { &[0, 1][..] } else { &[1][..] } {
            bench.calm.wait();
            let peer = &bench.peers[index];
            let times = rounds(peer, &bench.svc, *delay);
            let (p50, p99) = (percentile(&times, 0.5), percentile(&times, 0.99));
            let words = if own {
                format!("delay {delay} ms")
            } else {
                peer.react_note.to_owned()
            };
            let words = format!("{words}, {} rounds", times.len());
            let most = own.then_some(f64::from(*delay) + 1.0);
            let name = peer.name;
            bench.table.add(
                "react",
                name,
                "kill to start, p50",
                "ms",
                vec![p50],
                most,
                &words,
            );
            bench.table.add(
                "react",
                name,
                "kill to start, p99",
                "ms",
                vec![p99],
                None,
                &words,
            );
        }
    }
}

fn rounds(peer: &Peer, svc: &std::path::Path, delay: u32) -> Vec<f64> {
    let place = Place::new();
    let mut plan = Plan::layers(svc, place.path(), 1, 1, 0, &Mode::Idle);
    plan.restart_ms = delay;
    let Some((running, _)) = up(peer, &plan, &place) else {
        return Vec::new();
    };
    let mut times = Vec::new();
    for round in 0..peer.rounds {
        pass(Duration::from_millis(peer.settle_ms));
        let pid = plan.read().0[round].pid;
        let killed = now();
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        let next = wait_for(Duration::from_micros(500), Duration::from_secs(15), || {
            plan.read().0.get(round + 1).map(|stamp| stamp.at)
        });
        let Some(at) = next else {
            eprintln!("  {}: no restart within 15 s", peer.name);
            break;
        };
        times.push(ms(killed, at));
    }
    drop(running);
    times
}
