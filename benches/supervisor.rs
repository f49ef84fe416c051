//! What podvisor costs and how fast it is, beside other supervisors in the same run: see docs/benchmarks.md.
//!
//! `cargo bench --bench supervisor` runs every scenario, `-- NAME…` some; `--no-peers` leaves the others out,
//! `--markdown FILE` writes the table as markdown too.
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark stands outside podvisor's own process, and ends at the first thing that is not as it should be"
)]

mod harness;
mod peers;
mod scenarios;

use std::process::Command;

use harness::Calm;
use harness::place::{Place, compile};
use harness::table::Table;

/// What the scenarios share.
pub struct Bench {
    svc: std::path::PathBuf,
    peers: Vec<peers::Peer>,
    table: Table,
    calm: Calm,
}

/// A scenario by its name.
type Scenario = (&'static str, fn(&mut Bench));

const ALL: [Scenario; 8] = [
    ("dag50", scenarios::graph::dag50),
    ("slow5", scenarios::graph::slow5),
    ("thousand", scenarios::graph::thousand),
    ("react", scenarios::react::react),
    ("orphans", scenarios::orphans::orphans),
    ("idle", scenarios::idle::idle),
    ("livez", scenarios::livez::livez),
    ("single", scenarios::single::single),
];

fn main() {
    let mut names = Vec::new();
    let (mut markdown, mut with_peers, mut asked) = (None, true, false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bench" => asked = true,
            "--no-peers" => with_peers = false,
            "--markdown" => markdown = Some(args.next().expect("--markdown FILE")),
            name if ALL.iter().any(|(known, _)| *known == name) => names.push(name.to_owned()),
            other => {
                let known: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
                eprintln!("{other}: not a scenario; there are {}", known.join(", "));
                std::process::exit(64);
            }
        }
    }
    if !asked && names.is_empty() {
        println!("run by `cargo bench --bench supervisor`");
        return;
    }

    harness::process::adopt_orphans();
    let place = Place::new();
    let mut peers = peers::all();
    if !with_peers {
        peers.truncate(1);
    }
    let mut bench = Bench {
        svc: compile(&place),
        peers,
        table: Table::default(),
        calm: Calm::default(),
    };
    machine();
    for (name, scenario) in ALL {
        if names.is_empty() || names.iter().any(|n| n == name) {
            eprintln!("{name}");
            scenario(&mut bench);
        }
    }

    let noise = format!(
        "{} of {} measurements began while somebody else used more than a tenth of the machine.",
        bench.calm.noisy, bench.calm.begun
    );
    println!("\n{}\n{noise}", bench.table.text());
    if let Some(file) = markdown {
        std::fs::write(file, format!("{}\n{noise}\n", bench.table.markdown())).unwrap();
    }
}

/// Where and with what this is measured.
fn machine() {
    let first = |command: &mut Command| {
        let out = command.output().ok()?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.lines().next().map(str::to_owned)
    };
    let binary = peers::podvisor::binary();
    let size = std::fs::metadata(&binary).map_or(0, |m| m.len());
    println!(
        "{}, {} bytes; kernel {}; {} processors; load {}",
        first(Command::new(&binary).arg("--version")).unwrap_or_default(),
        size,
        first(Command::new("uname").arg("-r")).unwrap_or_default(),
        std::thread::available_parallelism().map_or(0, usize::from),
        std::fs::read_to_string("/proc/loadavg")
            .unwrap_or_default()
            .trim()
    );
}
