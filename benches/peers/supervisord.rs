//! supervisord: priorities, but nothing that waits on the way up.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use super::{Peer, Stop, run};
use crate::harness::plan::Plan;

pub const PEER: Peer = Peer {
    name: "supervisord",
    program: "supervisord",
    command,
    stop: Stop::Signal(Signal::SIGTERM),
    ordered: false,
    runs: 5,
    rounds: 10,
    settle_ms: 200,
    note: "priorities only, no waiting on the way up",
    react_note: "startsecs=0, autorestart=true",
};

fn command(plan: &Plan, folder: &Path) -> Command {
    let here = folder.display();
    let mut text = format!(
        "[supervisord]\nnodaemon=true\nuser=root\nlogfile={here}/supervisord.log\n\
         pidfile={here}/supervisord.pid\nchildlogdir={here}\nminfds=8192\n"
    );
    for service in &plan.services {
        writeln!(
            text,
            "[program:{}]\ncommand={}\npriority={}\nstartsecs=0\nautorestart=true",
            service.name,
            plan.command(service).join(" "),
            service.layer + 1
        )
        .unwrap();
    }
    let file = folder.join("supervisord.conf");
    std::fs::write(&file, text).unwrap();
    let mut command = run("supervisord");
    command.arg("-c").arg(file);
    command
}
