//! zinit: its server alone, without the PID 1 shim that knows only the machine's own paths.
//!
//! Only `requires`: with `after` on the same services too, 0.3.6 starts 26 of the 50 services and then hangs.

use std::path::Path;
use std::process::Command;

use super::{Peer, Stop, run};
use crate::harness::plan::Plan;

pub const PEER: Peer = Peer {
    name: "zinit",
    program: "zinit-server",
    command,
    // The server has no handler for SIGTERM: it would end and leave its services.
    stop: Stop::Client(stop),
    ordered: true,
    runs: 5,
    rounds: 10,
    settle_ms: 200,
    note: "stopped by `zinit shutdown`, one service after another",
    react_note: "delay 1 ms",
};

fn stop(folder: &Path) -> Command {
    let mut command = run("zinit");
    command
        .arg("--socket")
        .arg(folder.join("zinit.sock"))
        .arg("shutdown");
    command
}

fn command(plan: &Plan, folder: &Path) -> Command {
    let services = folder.join("services");
    std::fs::create_dir_all(&services).unwrap();
    for service in &plan.services {
        let needs: Vec<String> = service
            .needs
            .iter()
            .map(|n| format!("\"{}\"", plan.services[*n].name))
            .collect();
        let needs = needs.join(", ");
        // It runs `/bin/sh -c`; without the `exec` a Debian shell would stay, take the TERM and end before its child.
        let text = format!(
            "[service]\nname = \"{}\"\nexec = \"exec {}\"\n\
             [dependencies]\nrequires = [{needs}]\n\
             [lifecycle]\nrestart = \"always\"\nrestart_delay_ms = {ms}\nrestart_delay_max_ms = {ms}\n\
             max_restarts = 0\n",
            service.name,
            plan.command(service).join(" "),
            ms = plan.restart_ms,
        );
        std::fs::write(services.join(format!("{}.toml", service.name)), text).unwrap();
    }
    let mut command = run("zinit-server");
    command
        .arg("--config-dir")
        .arg(services)
        .arg("--socket")
        .arg(folder.join("zinit.sock"));
    command
}
