//! All that is decided about a process before it exists.

use std::ffi::{CString, OsString};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use nix::errno::Errno;

use super::capabilities::Capabilities;
use super::identity::Credentials;
use super::limits::Limit;
use super::report::{ExecFailure, Step};

/// Where a command without a slash is looked for when the service's environment has no `PATH`; what
/// container images set.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stdin {
    /// `/dev/null`.
    #[default]
    Null,
    /// podvisor's own.
    Inherit,
}

/// Standard output and standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Output {
    /// Two pipes, whose read ends [`super::spawn::Child`] holds.
    #[default]
    Pipes,
    /// `/dev/null`.
    Null,
    /// podvisor's own.
    Inherit,
}

/// The session and the process group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Session {
    /// A session and group of its own, without a terminal: setsid(2).
    #[default]
    New,
    /// A group of its own in podvisor's session, in the foreground of the terminal on stdin (if it
    /// is one): for `run -- CMD`.
    Foreground,
    /// A group of its own in podvisor's session.
    Group,
}

/// A process to be.
#[derive(Debug)]
pub struct Plan {
    /// The command and its arguments. Without a slash in the first, the service's `PATH` is searched.
    pub argv: Vec<CString>,
    /// The final environment; nothing is inherited beside it.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory; podvisor's own if none.
    pub cwd: Option<PathBuf>,
    /// Standard input.
    pub stdin: Stdin,
    /// Standard output and error.
    pub output: Output,
    /// Session and process group.
    pub session: Session,
    /// The user to become; podvisor's own if none.
    pub credentials: Option<Credentials>,
    /// File mode creation mask.
    pub umask: Option<u32>,
    /// The nice value, absolute, -20 to 19.
    pub nice: Option<i32>,
    /// `oom_score_adj`, -1000 to 1000; going lower than podvisor's takes `CAP_SYS_RESOURCE`.
    pub oom_score_adj: Option<i32>,
    /// Resource limits.
    pub limits: Vec<Limit>,
    /// The soft limit on open files as podvisor found it, unless `limits` has its own.
    pub nofile_soft: u64,
    /// Sets `no_new_privs`: no set-uid binary gives privileges any more.
    pub no_new_privs: bool,
    /// Capabilities to drop and to keep.
    pub capabilities: Capabilities,
    /// KILL when podvisor ends. Only for when podvisor is not PID 1 (whose end ends all anyway).
    pub parent_death_signal: bool,
    /// Further descriptors: number in the child, and ours to copy. Numbers 0 to 2 are refused with
    /// EINVAL, as are numbers used twice.
    pub extra_fds: Vec<(RawFd, OwnedFd)>,
}

impl Plan {
    /// A plan for a command, everything else at its default: empty environment, `/dev/null`, pipes,
    /// a session of its own, podvisor's user, the present soft limit on open files.
    #[must_use]
    pub fn new(argv: Vec<CString>) -> Self {
        let nofile = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
        Self {
            argv,
            env: Vec::new(),
            cwd: None,
            stdin: Stdin::default(),
            output: Output::default(),
            session: Session::default(),
            credentials: None,
            umask: None,
            nice: None,
            oom_score_adj: None,
            limits: Vec::new(),
            nofile_soft: nofile.map_or(1024, |(soft, _)| soft),
            no_new_privs: false,
            capabilities: Capabilities::default(),
            parent_death_signal: false,
            extra_fds: Vec::new(),
        }
    }

    /// Bytes that arguments and environment take at exec, pointers included; execve(2) refuses more
    /// than a quarter of the stack limit with E2BIG.
    #[must_use]
    pub fn argument_bytes(&self) -> usize {
        let pointer = size_of::<usize>();
        let argv = self.argv.iter().map(|arg| arg.as_bytes_with_nul().len());
        let env = self.env.iter().map(|(k, v)| k.len() + v.len() + 2);
        argv.chain(env).map(|bytes| bytes + pointer).sum()
    }

    /// The files that will be tried in turn, as execvp(3) does.
    pub(super) fn candidates(&self) -> Vec<CString> {
        let Some(command) = self.argv.first() else {
            return Vec::new();
        };
        let bytes = command.as_bytes();
        if bytes.contains(&b'/') {
            return vec![command.clone()];
        }
        if bytes.is_empty() {
            return Vec::new();
        }
        let set = self.env.iter().rev().find(|(key, _)| key == "PATH");
        let path = set.map_or(DEFAULT_PATH.as_bytes(), |(_, value)| value.as_bytes());
        let joined = path.split(|byte| *byte == b':').map(|dir| {
            // An empty element is the working directory (execvp(3)).
            let dir: &[u8] = if dir.is_empty() { b"." } else { dir };
            [dir, b"/", bytes].concat()
        });
        joined.filter_map(|file| CString::new(file).ok()).collect()
    }

    /// What a person would want to hear about a failure beyond its errno, if there is anything.
    ///
    /// Looks at the file system again, from podvisor's side; only for messages.
    #[must_use]
    pub fn hint(&self, failure: &ExecFailure) -> Option<String> {
        match (failure.step, failure.errno) {
            (Step::WorkingDirectory, _) => {
                let dir = self.cwd.as_deref()?;
                Some(format!("the working directory is {}", dir.display()))
            }
            (Step::Exec, Errno::E2BIG) => Some(format!(
                "arguments and environment take {} bytes",
                self.argument_bytes()
            )),
            (Step::Exec, Errno::ENOENT) => {
                let there = self.existing_candidate()?;
                Some(format!(
                    "{} exists, but the interpreter or the dynamic loader that it names does not",
                    there.display()
                ))
            }
            (Step::Exec, Errno::EACCES) => {
                let there = self.existing_candidate()?;
                Some(format!("{} may not be executed", there.display()))
            }
            (Step::Exec, Errno::ENOEXEC) => {
                let there = self.existing_candidate()?;
                Some(format!(
                    "{} is no binary for this machine and has no #! line",
                    there.display()
                ))
            }
            _ => None,
        }
    }

    fn existing_candidate(&self) -> Option<PathBuf> {
        self.candidates().into_iter().find_map(|candidate| {
            let path = PathBuf::from(OsString::from_vec(candidate.into_bytes()));
            let seen = match &self.cwd {
                Some(cwd) => cwd.join(&path),
                None => path.clone(),
            };
            seen.exists().then_some(path)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(command: &str, path: Option<&str>) -> Plan {
        let mut plan = Plan::new(vec![CString::new(command).unwrap()]);
        plan.env
            .extend(path.map(|path| (OsString::from("PATH"), OsString::from(path))));
        plan
    }

    fn candidates(command: &str, path: Option<&str>) -> Vec<String> {
        let found = plan(command, path).candidates();
        found
            .into_iter()
            .map(|c| c.into_string().unwrap())
            .collect()
    }

    #[test]
    fn path_of_the_service_is_searched() {
        assert_eq!(candidates("x", Some("/a:/b")), ["/a/x", "/b/x"]);
        assert_eq!(candidates("x", Some("/a::/b")), ["/a/x", "./x", "/b/x"]);
        assert_eq!(candidates("./x", Some("/a")), ["./x"]);
        assert_eq!(candidates("", Some("/a")), Vec::<String>::new());
        assert_eq!(candidates("x", None).len(), 6);
    }

    #[test]
    fn hints_tell_what_errno_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("s");
        std::fs::write(&script, "#!/no/such\n").unwrap();
        let plan = plan(script.to_str().unwrap(), None);
        let failure = |errno| ExecFailure {
            step: Step::Exec,
            errno,
        };
        let hint = plan.hint(&failure(Errno::ENOENT)).unwrap();
        assert!(hint.contains("interpreter"), "{hint}");
        let hint = plan.hint(&failure(Errno::E2BIG)).unwrap();
        assert!(hint.contains("bytes"), "{hint}");
        assert_eq!(plan.hint(&failure(Errno::EPERM)), None);
    }
}
