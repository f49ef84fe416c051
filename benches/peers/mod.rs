//! The supervisors that are measured beside podvisor, each with the writer of its configuration.

mod horust;
pub mod podvisor;
mod runit;
mod s6;
mod supervisord;
mod zinit;

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::harness::place::program;
use crate::harness::plan::Plan;

/// How a supervisor is told to stop everything.
pub enum Stop {
    Signal(Signal),
    /// Its own client is.
    Client(fn(&Path) -> Command),
}

/// A supervisor.
pub struct Peer {
    pub name: &'static str,
    /// The file to run; without it the peer is left out.
    pub program: &'static str,
    /// Writes the configuration into a folder and makes the command that runs it.
    pub command: fn(&Plan, &Path) -> Command,
    pub stop: Stop,
    /// Whether it starts by dependency.
    pub ordered: bool,
    /// Runs of a scenario: fewer where one takes a quarter of a minute.
    pub runs: usize,
    /// Rounds of `react`, and how long an instance runs before it is killed.
    pub rounds: usize,
    pub settle_ms: u64,
    /// What to know when reading its figures.
    pub note: &'static str,
    pub react_note: &'static str,
}

impl Peer {
    /// Whether it is there; says so if not.
    pub fn installed(&self) -> bool {
        let found = self.name == "podvisor" || program(self.program).is_some();
        if !found {
            println!(
                "{}: not installed, skipped (benches/peers.sh installs it)",
                self.name
            );
        }
        found
    }
}

/// All of them, podvisor first.
pub fn all() -> Vec<Peer> {
    [
        podvisor::PEER,
        zinit::PEER,
        horust::PEER,
        supervisord::PEER,
        s6::PEER,
        runit::PEER,
    ]
    .into_iter()
    .filter(Peer::installed)
    .collect()
}

/// The command for a program that was found.
fn run(name: &str) -> Command {
    Command::new(program(name).unwrap_or_else(|| PathBuf::from(name)))
}

/// A folder per service with an executable `run`, as daemontools invented it.
fn run_folders(plan: &Plan, folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;

    let all = folder.join("scan");
    for service in &plan.services {
        let own = all.join(&service.name);
        std::fs::create_dir_all(&own).unwrap();
        let file = own.join("run");
        let text = format!("#!/bin/sh\nexec {}\n", plan.command(service).join(" "));
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    all
}
