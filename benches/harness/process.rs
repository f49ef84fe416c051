//! A supervisor that runs, what it costs, and that nothing is left of it.

use std::fs::File;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::{now, pass};

/// Makes this process adopt whatever a supervisor leaves behind, so that it can be ended.
#[expect(unsafe_code, reason = "nix is built without its prctl feature")]
pub fn adopt_orphans() {
    // SAFETY: PR_SET_CHILD_SUBREAPER takes plain numbers and touches no memory.
    let done = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    assert_eq!(done, 0, "no subreaper");
}

#[expect(unsafe_code, reason = "neither std nor nix opens a pidfd")]
fn pidfd(pid: i32) -> OwnedFd {
    // SAFETY: pidfd_open takes plain numbers; the descriptor it returns belongs to nobody else.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        assert!(fd >= 0, "pidfd_open");
        OwnedFd::from_raw_fd(fd as i32)
    }
}

/// A supervisor that runs.
pub struct Running {
    child: Child,
    fd: OwnedFd,
    /// When it was started.
    pub began: u64,
}

impl Running {
    /// Starts a command; what it prints goes into a file.
    pub fn start(command: Command, log: &Path) -> Self {
        Self::start_with(command, log, "")
    }

    /// The same, and podvisor is told by the environment where to listen.
    pub fn start_with(mut command: Command, log: &Path, listen: &str) -> Self {
        let out = File::create(log).unwrap();
        command
            .stdin(Stdio::null())
            .stderr(out.try_clone().unwrap())
            .stdout(out)
            .env_remove("PODVISOR_CONFIG")
            .env_remove("PODVISOR_LISTEN")
            .env_remove("PODVISOR_LOG")
            .env_remove("KUBERNETES_SERVICE_HOST")
            .env("TERMINATION_LOG_PATH", log.with_extension("termination"));
        if !listen.is_empty() {
            command.env("PODVISOR_LISTEN", listen);
        }
        let began = now();
        let child = command.spawn().unwrap();
        let fd = pidfd(child.id() as i32);
        Self { child, fd, began }
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Its end and the moment it was seen.
    pub fn wait(&mut self, limit: Duration) -> Option<(ExitStatus, u64)> {
        let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        let ended = poll(&mut fds, PollTimeout::try_from(limit).unwrap()).unwrap();
        let at = now();
        (ended > 0).then(|| (self.child.wait().unwrap(), at))
    }

    pub fn alive(&self) -> bool {
        Path::new(&format!("/proc/{}/exe", self.pid()))
            .read_link()
            .is_ok()
    }

    /// The supervisor and its helpers: it and its descendants that are not the service.
    pub fn family(&self, service: &Path) -> Vec<i32> {
        let mut pids = vec![self.pid()];
        pids.extend(descendants(self.pid()));
        let is_service = |pid: &i32| {
            std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == service)
        };
        pids.retain(|pid| !is_service(pid));
        pids
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        end_all();
    }
}

/// The children of every thread of a process.
pub fn children(pid: i32) -> Vec<i32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for task in tasks.flatten() {
        let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        all.extend(
            text.split_whitespace()
                .filter_map(|word| word.parse::<i32>().ok()),
        );
    }
    all
}

fn descendants(pid: i32) -> Vec<i32> {
    let mut all = children(pid);
    let mut next = 0;
    while next < all.len() {
        all.extend(children(all[next]));
        next += 1;
    }
    all
}

/// Ends everything that descends from this process, and waits for it.
pub fn end_all() {
    let own = std::process::id() as i32;
    loop {
        let left = descendants(own);
        for pid in &left {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|s| s.pid().is_some()) {}
        if left.is_empty() {
            return;
        }
        pass(Duration::from_millis(1));
    }
}

/// What some processes have used.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    pub cpu_ms: f64,
    pub switches: u64,
    pub threads: usize,
    pub processes: usize,
    pub pss_kb: u64,
    pub rss_kb: u64,
}

/// Reads it from /proc.
pub fn usage(pids: &[i32]) -> Usage {
    let mut all = Usage {
        processes: pids.len(),
        ..Usage::default()
    };
    for pid in pids {
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
            continue;
        };
        for task in tasks.flatten() {
            all.threads += 1;
            let read =
                |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let spent: f64 = read("schedstat")
                .split(' ')
                .next()
                .and_then(|w| w.parse().ok())
                .unwrap_or(0.0);
            all.cpu_ms += spent / 1e6;
            all.switches += number(&read("status"), "voluntary_ctxt_switches:");
        }
        let maps = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        all.pss_kb += number(&maps, "Pss:");
        all.rss_kb += number(&maps, "Rss:");
    }
    all
}

fn number(text: &str, key: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|word| word.parse().ok())
        .unwrap_or(0)
}
