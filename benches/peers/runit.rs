//! runit: runsvdir, without dependencies.

use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use super::{Peer, Stop, run, run_folders};
use crate::harness::plan::Plan;

pub const PEER: Peer = Peer {
    name: "runit",
    program: "runsvdir",
    command,
    // At TERM runsvdir ends and its services run on; at HUP each runsv gets a TERM, and nobody waits.
    stop: Stop::Signal(Signal::SIGHUP),
    ordered: false,
    runs: 5,
    // An instance that lived less than a second waits for a second.
    rounds: 10,
    settle_ms: 1200,
    note: "no dependencies: flat; stopped by HUP, which does not wait (until the last service's end)",
    react_note: "an instance that ran for a second",
};

fn command(plan: &Plan, folder: &Path) -> Command {
    let mut command = run("runsvdir");
    command.arg("-P").arg(run_folders(plan, folder));
    command
}
