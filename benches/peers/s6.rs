//! s6-svscan: a supervision tree without dependencies (those are s6-rc's, which Debian 12 lacks).

use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use super::{Peer, Stop, run, run_folders};
use crate::harness::plan::Plan;

pub const PEER: Peer = Peer {
    name: "s6-svscan",
    program: "s6-svscan",
    command,
    stop: Stop::Signal(Signal::SIGTERM),
    ordered: false,
    runs: 5,
    // An instance that lived less than a second, or never said that it is ready, waits for a second.
    rounds: 10,
    settle_ms: 1200,
    note: "no dependencies: flat",
    react_note: "fixed pause of 1 s without a readiness descriptor",
};

fn command(plan: &Plan, folder: &Path) -> Command {
    let mut command = run("s6-svscan");
    command.arg("-c").arg("2000").arg(run_folders(plan, folder));
    command
}
