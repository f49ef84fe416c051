//! From the death of a service to its next life.

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{LOOK, up};
use crate::Bench;
use crate::harness::place::Place;
use crate::harness::plan::{Mode, Plan};
use crate::harness::table::percentile;
use crate::harness::{ms, now, pass, wait_for};
use crate::peers::Peer;

/// Kills one service again and again, with the shortest delay its supervisor has.
pub fn react(bench: &mut Bench) {
    bench.calm.wait();
    let times = floor(&bench.svc);
    let words = format!("wait, then posix_spawn; {} rounds", times.len());
    for (figure, share) in [("kill to start, p50", 0.5), ("kill to start, p99", 0.99)] {
        let value = vec![percentile(&times, share)];
        bench.table.add(
            "react",
            "nobody: the floor",
            figure,
            "ms",
            value,
            None,
            &words,
        );
    }
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

/// What the kernel and the service itself need, with nothing that decides in between.
fn floor(svc: &std::path::Path) -> Vec<f64> {
    let place = Place::new();
    let plan = Plan::layers(svc, place.path(), 1, 1, 0, &Mode::Idle);
    let words = plan.command(&plan.services[0]);
    let start = || Command::new(&words[0]).args(&words[1..]).spawn().unwrap();
    let stamped = |n: usize| {
        wait_for(LOOK, Duration::from_secs(5), || {
            plan.read().0.get(n).map(|stamp| stamp.at)
        })
        .expect("it starts")
    };
    let mut child = start();
    stamped(0);
    let mut times = Vec::new();
    for round in 0..50 {
        pass(Duration::from_millis(20));
        let killed = now();
        child.kill().unwrap();
        child.wait().unwrap();
        child = start();
        times.push(ms(killed, stamped(round + 1)));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    times
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
        let next = wait_for(LOOK, Duration::from_secs(15), || {
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
