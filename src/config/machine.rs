//! What a config is held against: environment, files and identity of this machine. Tests bring their own.

use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The facts of a machine that a config depends on.
pub trait Machine {
    /// An environment variable.
    fn env(&self, name: &str) -> Option<String>;

    /// A file's first `limit` bytes.
    ///
    /// # Errors
    /// Those of the file system; `FileTooLarge` when it is longer than `limit`.
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>>;

    /// Whether this is a file that may be executed.
    fn is_executable(&self, path: &Path) -> bool;

    /// The effective user id that podvisor runs as.
    fn euid(&self) -> u32;
}

/// This machine, with an environment that may be another's.
pub struct ThisMachine<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> ThisMachine<'a> {
    /// This machine, with `env` as its environment.
    pub fn new(env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { env }
    }
}

impl Machine for ThisMachine<'_> {
    fn env(&self, name: &str) -> Option<String> {
        (self.env)(name)
    }

    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let file = std::fs::File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let mut bytes = Vec::new();
        let most = u64::try_from(limit).unwrap_or(u64::MAX);
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() > limit {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        Ok(bytes)
    }

    fn is_executable(&self, path: &Path) -> bool {
        std::fs::metadata(path)
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    }

    fn euid(&self) -> u32 {
        nix::unistd::geteuid().as_raw()
    }
}
