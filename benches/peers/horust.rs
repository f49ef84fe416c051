//! horust.

use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use super::{Peer, Stop, run};
use crate::harness::plan::Plan;

pub const PEER: Peer = Peer {
    name: "horust",
    program: "horust",
    command,
    stop: Stop::Signal(Signal::SIGTERM),
    ordered: true,
    runs: 1,
    rounds: 5,
    settle_ms: 1500,
    note: "polls: about 1.2 s per layer",
    react_note: "backoff 0",
};

fn command(plan: &Plan, folder: &Path) -> Command {
    let services = folder.join("services");
    std::fs::create_dir_all(&services).unwrap();
    for (index, service) in plan.services.iter().enumerate() {
        let quoted = |name: &str| format!("\"{name}\"");
        let needs: Vec<String> = service
            .needs
            .iter()
            .map(|n| quoted(&plan.services[*n].name))
            .collect();
        // Without this it would stop everything at once.
        let needed_by: Vec<String> = plan
            .services
            .iter()
            .filter(|other| other.needs.contains(&index))
            .map(|other| quoted(&other.name))
            .collect();
        let text = format!(
            "name = \"{}\"\ncommand = \"{}\"\nstart-after = [{}]\nshutdown-after = [{}]\n\
             [restart]\nstrategy = \"always\"\nbackoff = \"0s\"\nattempts = 100000\n\
             [termination]\nsignal = \"TERM\"\nwait = \"10s\"\n",
            service.name,
            plan.command(service).join(" "),
            needs.join(", "),
            needed_by.join(", "),
        );
        std::fs::write(services.join(format!("{}.toml", service.name)), text).unwrap();
    }
    let mut command = run("horust");
    command
        .arg("--services-path")
        .arg(services)
        .arg("--uds-folder-path")
        .arg(folder);
    command
}
