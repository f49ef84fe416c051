//! Ten thousand zombies handed over in one moment.

use std::time::Duration;

use super::{RUNS, up};
use crate::Bench;
use crate::harness::place::Place;
use crate::harness::plan::{Mode, Plan};
use crate::harness::process::{children, usage};
use crate::harness::{ms, now, wait_for};
use crate::peers::podvisor;

const MANY: u32 = 10_000;

/// Time until podvisor's only child is the service again.
pub fn orphans(bench: &mut Bench) {
    let (mut times, mut before, mut after, mut cpu) = (vec![], vec![], vec![], vec![]);
    for _ in 0..RUNS {
        let place = Place::new();
        let plan = Plan::layers(&bench.svc, place.path(), 1, 1, 0, &Mode::Orphans(MANY));
        bench.calm.wait();
        let Some((running, _)) = up(&podvisor::PEER, &plan, &place) else {
            return;
        };
        let first = usage(&[running.pid()]);
        let handed = wait_for(Duration::from_millis(1), Duration::from_secs(30), || {
            plan.read().last("orphans")
        });
        let handed = handed.expect("the orphans came");
        let gone = wait_for(Duration::from_millis(1), Duration::from_secs(30), || {
            (children(running.pid()).len() <= 1).then(now)
        });
        times.push(ms(handed, gone.expect("all were reaped")));
        assert!(running.alive());
        let last = usage(&[running.pid()]);
        before.push(first.rss_kb as f64 * 1.024e-3);
        after.push(last.rss_kb as f64 * 1.024e-3);
        cpu.push(last.cpu_ms - first.cpu_ms);
    }
    let words = format!("{MANY} zombies adopted at once");
    let table = &mut bench.table;
    table.add(
        "orphans",
        "podvisor",
        "until none is left",
        "ms",
        times,
        Some(1000.0),
        &words,
    );
    table.add("orphans", "podvisor", "processor time", "ms", cpu, None, "");
    table.add("orphans", "podvisor", "RSS before", "MB", before, None, "");
    table.add("orphans", "podvisor", "RSS after", "MB", after, None, "");
}
