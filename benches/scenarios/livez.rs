//! The kubelet's question in the middle of a storm.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::idle::free_port;
use super::up;
use crate::Bench;
use crate::harness::place::Place;
use crate::harness::plan::{Mode, Plan};
use crate::harness::table::percentile;
use crate::harness::{ms, now, pass};
use crate::peers::podvisor;

const ASKED: usize = 2_000;

fn ask(port: u16) -> f64 {
    let began = now();
    let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    connection
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    connection
        .write_all(
            b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: kube-probe/1.36\r\nAccept: */*\r\n\
              Connection: close\r\n\r\n",
        )
        .unwrap();
    let mut text = Vec::new();
    connection.read_to_end(&mut text).unwrap();
    assert!(
        text.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&text)
    );
    ms(began, now())
}

/// `/livez` on a new connection each time, while a hundred services crash as fast as they are started.
pub fn livez(bench: &mut Bench) {
    let place = Place::new();
    let mut plan = Plan::layers(&bench.svc, place.path(), 1, 100, 0, &Mode::Crash);
    plan.restart_ms = 10;
    plan.restart_max_ms = 100;
    plan.port = Some(free_port());
    bench.calm.wait();
    let Some((running, _)) = up(&podvisor::PEER, &plan, &place) else {
        return;
    };
    pass(Duration::from_secs(2));
    let (starts, began) = (plan.read().count("start"), now());
    let mut times = Vec::new();
    for _ in 0..ASKED {
        times.push(ask(plan.port.unwrap_or_default()));
        pass(Duration::from_millis(2));
    }
    let rate = (plan.read().count("start") - starts) as f64 / (ms(began, now()) / 1e3);
    assert!(running.alive());
    let words = format!("{ASKED} requests, {rate:.0} crashes a second");
    for (figure, share, most) in [
        ("p50", 0.5, None),
        ("p99", 0.99, Some(5.0)),
        ("largest", 1.0, None),
    ] {
        let value = vec![percentile(&times, share)];
        bench
            .table
            .add("livez", "podvisor", figure, "ms", value, most, &words);
    }
}
