//! What it costs to do nothing.

use std::net::TcpListener;
use std::time::Duration;

use super::up;
use crate::Bench;
use crate::harness::place::Place;
use crate::harness::plan::{Mode, Plan, Probe};
use crate::harness::process::usage;
use crate::harness::table::median;
use crate::harness::{ms, now, pass};

/// How long each window is.
const WINDOW: Duration = Duration::from_secs(30);
/// Until everything that belongs to the start is over.
const SETTLE: Duration = Duration::from_secs(6);

/// A port that answers every probe.
fn answering() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            drop(connection);
        }
    });
    port
}

/// A port that nobody has now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// 50 services, with and without a probe each.
pub fn idle(bench: &mut Bench) {
    let target = answering();
    for index in 0..bench.peers.len() {
        let own = bench.peers[index].name == "podvisor";
        for probes in if own {
            &[true, false][..]
        } else {
            &[false][..]
        } {
            window(bench, index, probes.then_some(target));
        }
    }
}

fn window(bench: &mut Bench, index: usize, probes: Option<u16>) {
    let place = Place::new();
    let mut plan = Plan::layers(&bench.svc, place.path(), 10, 5, 5, &Mode::Idle);
    for (at, service) in plan.services.iter_mut().enumerate() {
        if let Some(port) = probes {
            service.probe = if at % 2 == 0 {
                Probe::File
            } else {
                Probe::Tcp(port)
            };
        }
    }
    let peer = &bench.peers[index];
    let own = peer.name == "podvisor";
    if own {
        plan.port = Some(free_port());
    }
    let Some((running, _)) = up(peer, &plan, &place) else {
        return;
    };
    pass(SETTLE);
    let (mut cpu, mut wakes, mut pss, mut last) = (vec![], vec![], vec![], None);
    for _ in 0..if own { 3 } else { 1 } {
        bench.calm.wait();
        let family = running.family(&bench.svc);
        let (first, began) = (usage(&family), now());
        pass(WINDOW);
        let (second, seconds) = (usage(&family), ms(began, now()) / 1e3);
        cpu.push((second.cpu_ms - first.cpu_ms) / seconds / 10.0);
        wakes.push((second.switches - first.switches) as f64 / seconds);
        pss.push(second.pss_kb as f64 * 1.024e-3);
        last = Some(second);
    }
    let last = last.unwrap_or_default();
    let mut words = match probes {
        Some(_) => "50 probes, every 10 s".to_owned(),
        None => "no probes".to_owned(),
    };
    if !own {
        words.push_str(&format!("; {} processes", last.processes));
    }
    let name = peer.name;
    let cores = own.then_some(0.3);
    let per_minute = format!("{words}; {:.0} ms per minute", median(&cpu) * 600.0);
    let table = &mut bench.table;
    table.add(
        "idle",
        name,
        "processor",
        "% of a core",
        cpu,
        cores,
        &per_minute,
    );
    table.add("idle", name, "wake-ups", "per second", wakes, None, &words);
    table.add("idle", name, "PSS", "MB", pss, own.then_some(6.0), &words);
    table.add(
        "idle",
        name,
        "RSS",
        "MB",
        vec![last.rss_kb as f64 * 1.024e-3],
        None,
        &words,
    );
    table.add(
        "idle",
        name,
        "threads",
        "",
        vec![last.threads as f64],
        None,
        &words,
    );
}
