//! Real processes: how they start and end, and what is said when they cannot start.
//!
//! Other tests fork at the same time, so only known pids are waited for.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::*;
use crate::process::identity::{Credentials, Database};
use crate::process::reaper::{Ended, Reaper};
use crate::process::report::{ExecFailure, Report};

mod state;

const LIMIT_MS: u16 = 20_000;

struct Outcome {
    stdout: String,
    stderr: String,
    ended: Ended,
    report: Report,
}

fn wait(fd: impl AsFd) {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut fds, PollTimeout::from(LIMIT_MS)) {
            Err(Errno::EINTR) => {}
            result => return assert_eq!(result, Ok(1), "nothing happened in time"),
        }
    }
}

fn drain(fd: Option<OwnedFd>) -> String {
    let Some(fd) = fd else { return String::new() };
    let mut all = Vec::new();
    let mut file = std::fs::File::from(fd);
    loop {
        wait(&file);
        let mut chunk = [0; 4096];
        match file.read(&mut chunk) {
            Ok(0) => return String::from_utf8_lossy(&all).into_owned(),
            Ok(n) => all.extend_from_slice(&chunk[..n]),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
    }
}

fn finish(mut child: Child) -> Outcome {
    wait(&child.report);
    let report = child.report.try_read();
    let stdout = drain(child.stdout);
    let stderr = drain(child.stderr);
    wait(child.pidfd.unwrap());
    let (ended, _) = Reaper::new().reap(child.pid).unwrap();
    Outcome {
        stdout,
        stderr,
        ended,
        report,
    }
}

fn plan(argv: &[&str]) -> Plan {
    let words = argv.iter().map(|word| CString::new(*word).unwrap());
    let mut plan = Plan::new(words.collect());
    let path = OsString::from("/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
    plan.env.push((OsString::from("PATH"), path));
    plan
}

fn sh(script: &str) -> Plan {
    plan(&["sh", "-c", script])
}

/// What the planned command prints, when all goes well.
fn output(plan: &Plan) -> String {
    let outcome = finish(spawn(plan).unwrap());
    assert_eq!(outcome.report, Report::ExecOk, "{}", outcome.stderr);
    assert_eq!(outcome.ended, Ended::Exited(0), "{}", outcome.stderr);
    outcome.stdout
}

fn failure(plan: &Plan) -> (Step, Errno) {
    let outcome = finish(spawn(plan).unwrap());
    assert_eq!(outcome.ended, Ended::Exited(127));
    match outcome.report {
        Report::Failed(ExecFailure { step, errno }) => (step, errno),
        other => panic!("{other:?}"),
    }
}

fn is_root() -> bool {
    Uid::effective().is_root()
}

fn numeric(spec: &str) -> Credentials {
    Credentials::resolve::<&str>(spec, &[], &Database::default()).unwrap()
}

/// Somebody else when that is possible, otherwise ourselves.
fn other_user() -> Credentials {
    if is_root() {
        return numeric("12345:23456");
    }
    numeric(&format!("{}:{}", Uid::effective(), Gid::effective()))
}

fn status_line(status: &str, key: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap().trim_start_matches(':').trim().to_owned()
}

fn script(dir: &Path, content: &str, mode: u32) -> String {
    let path = dir.join("script");
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn output_and_exit_code_come_back() {
    let outcome = finish(spawn(&sh("echo out; echo err >&2; exit 3")).unwrap());
    assert_eq!(
        (outcome.stdout.as_str(), outcome.stderr.as_str()),
        ("out\n", "err\n")
    );
    assert_eq!(outcome.ended, Ended::Exited(3));
    assert_eq!(outcome.report, Report::ExecOk);
}

#[test]
fn death_by_a_signal_comes_back() {
    for signal in [libc::SIGTERM, 37] {
        let outcome = finish(spawn(&sh(&format!("kill -{signal} $$"))).unwrap());
        let core = false;
        assert_eq!(outcome.ended, Ended::Signaled { signal, core });
    }
}

#[test]
fn missing_binary_is_named_by_step_and_errno() {
    assert_eq!(failure(&plan(&["/no/such"])), (Step::Exec, Errno::ENOENT));
    assert_eq!(
        failure(&plan(&["no-such-cmd"])),
        (Step::Exec, Errno::ENOENT)
    );
    assert_eq!(
        failure(&plan(&["/dev/null/x"])),
        (Step::Exec, Errno::ENOTDIR)
    );
    assert_eq!(failure(&plan(&[""])), (Step::Exec, Errno::ENOENT));
}

#[test]
fn files_that_cannot_be_executed() {
    let dir = tempfile::tempdir().unwrap();
    let plain = script(dir.path(), "#!/bin/sh\n", 0o644);
    assert_eq!(failure(&plan(&[&plain])), (Step::Exec, Errno::EACCES));
    assert_eq!(failure(&plan(&["/"])), (Step::Exec, Errno::EACCES));
}

#[test]
fn an_executable_without_a_hash_bang_is_not_given_to_a_shell() {
    let dir = tempfile::tempdir().unwrap();
    let text = script(dir.path(), "echo hi\n", 0o755);
    assert_eq!(busy_passes(&plan(&[&text])), (Step::Exec, Errno::ENOEXEC));
}

#[test]
fn an_unknown_interpreter_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let text = script(dir.path(), "#!/no/such/interpreter\n", 0o755);
    let plan = plan(&[&text]);
    let (step, errno) = busy_passes(&plan);
    assert_eq!((step, errno), (Step::Exec, Errno::ENOENT));
    assert!(plan.hint(&ExecFailure { step, errno }).is_some());
}

/// A file just written may still be open for writing in a child that another test has forked and
/// that has not executed yet: ETXTBSY, which is transient.
fn busy_passes(plan: &Plan) -> (Step, Errno) {
    loop {
        match failure(plan) {
            (Step::Exec, Errno::ETXTBSY) => {}
            other => return other,
        }
    }
}

#[test]
fn forbidden_candidate_is_remembered_while_others_are_tried() {
    let dir = tempfile::tempdir().unwrap();
    script(dir.path(), "", 0o644);
    let mut plan = plan(&["script"]);
    plan.env = vec![("PATH".into(), dir.path().as_os_str().to_owned())];
    plan.env[0].1.push(":/no/such:/dev/null");
    assert_eq!(failure(&plan), (Step::Exec, Errno::EACCES));
}

#[test]
fn missing_working_directory_names_itself() {
    let mut plan = plan(&["true"]);
    plan.cwd = Some(PathBuf::from("/no/such/dir"));
    assert_eq!(failure(&plan), (Step::WorkingDirectory, Errno::ENOENT));
    plan.cwd = Some(PathBuf::from("/usr"));
    plan.argv = sh("pwd").argv;
    assert_eq!(output(&plan), "/usr\n");
}

#[test]
fn nul_bytes_and_impossible_descriptors_are_refused_before_the_fork() {
    let mut with_nul = plan(&["true"]);
    with_nul.env.push(("A".into(), "b\0c".into()));
    let error = spawn(&with_nul).unwrap_err();
    assert_eq!((error.step, error.errno), (Step::Arguments, Errno::EINVAL));
    let mut taken = plan(&["true"]);
    let null = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    taken.extra_fds = vec![(1, null())];
    assert_eq!(spawn(&taken).unwrap_err().step, Step::Descriptors);
    taken.extra_fds = vec![(5, null()), (5, null())];
    assert_eq!(spawn(&taken).unwrap_err().step, Step::Descriptors);
}

#[test]
fn too_long_arguments_say_so() {
    let mut plan = plan(&["true"]);
    plan.env.push(("A".into(), "x".repeat(200_000).into()));
    assert_eq!(failure(&plan), (Step::Exec, Errno::E2BIG));
}
