//! podvisor itself.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use super::{Peer, Stop};
use crate::harness::plan::{Plan, Probe};

pub const PEER: Peer = Peer {
    name: "podvisor",
    program: "podvisor",
    command,
    stop: Stop::Signal(Signal::SIGTERM),
    ordered: true,
    runs: 5,
    rounds: 50,
    settle_ms: 20,
    note: "",
    react_note: "",
};

/// The binary: the one of this build, or `PODVISOR_BIN`.
pub fn binary() -> PathBuf {
    std::env::var_os("PODVISOR_BIN")
        .map_or_else(|| env!("CARGO_BIN_EXE_podvisor").into(), PathBuf::from)
}

fn command(plan: &Plan, folder: &Path) -> Command {
    let file = write(plan, folder);
    let mut command = Command::new(binary());
    command
        .args(["run", "-c"])
        .arg(file)
        .env("XDG_RUNTIME_DIR", folder);
    command
}

/// Writes the configuration.
pub fn write(plan: &Plan, folder: &Path) -> PathBuf {
    let mut text = match plan.port {
        Some(port) => format!("http: {{ listen: '127.0.0.1:{port}' }}\n"),
        None => "http: { listen: off }\n".to_owned(),
    };
    text.push_str("services:\n");
    for service in &plan.services {
        let words: Vec<String> = plan
            .command(service)
            .iter()
            .map(|w| format!("'{w}'"))
            .collect();
        writeln!(
            text,
            "  {}:\n    command: [{}]",
            service.name,
            words.join(", ")
        )
        .unwrap();
        if !service.needs.is_empty() {
            let needs: Vec<&str> = service
                .needs
                .iter()
                .map(|n| plan.services[*n].name.as_str())
                .collect();
            writeln!(text, "    dependsOn: [{}]", needs.join(", ")).unwrap();
        }
        let probe = match service.probe {
            Probe::None => String::new(),
            Probe::Notify => {
                text.push_str("    env: { NOTIFY_FD: '7' }\n");
                "notifyFd: 7".to_owned()
            }
            Probe::File => format!("fileExists: '{}'", plan.stamps.display()),
            Probe::Tcp(port) => format!("tcpSocket: {{ host: 127.0.0.1, port: {port} }}"),
        };
        if !probe.is_empty() {
            writeln!(text, "    readinessProbe: {{ {probe} }}").unwrap();
        }
        writeln!(
            text,
            "    restart: {{ initialDelay: {}ms, maxDelay: {}ms, resetAfter: {}, jitter: 0, maxRestarts: 0 }}",
            plan.restart_ms,
            plan.restart_max_ms.max(plan.restart_ms),
            // From the second failure in a row on podvisor waits for 100 ms at least: none is in a row here.
            if plan.restart_max_ms == 0 { "1ms" } else { "10s" }
        )
        .unwrap();
    }
    let file = folder.join("podvisor.yaml");
    std::fs::write(&file, text).unwrap();
    file
}
