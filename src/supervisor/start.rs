//! What podvisor finds out about its place in the world, once, before anything runs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use super::plan::Ground;

/// What is the same for every start of every service.
#[derive(Debug)]
pub struct GroundFacts {
    /// The environment that podvisor was started with.
    pub environment: Vec<(OsString, OsString)>,
    /// The soft RLIMIT_NOFILE that podvisor was started with.
    pub nofile_soft: u64,
    /// Whether podvisor is PID 1.
    pub is_pid1: bool,
}

impl GroundFacts {
    pub(super) fn into_ground(self) -> Ground {
        let run_id = format!("{:016x}", fastrand::u64(..));
        Ground {
            environment: self.environment,
            nofile_soft: self.nofile_soft,
            is_pid1: self.is_pid1,
            run_id: Arc::from(run_id),
        }
    }
}

/// The folder for podvisor's sockets: the first of these that can be made and written to, and is ours alone.
pub fn runtime_dir(environment: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
    let uid = nix::unistd::geteuid().as_raw();
    let candidates = crate::control::socket::folders(environment);
    candidates.into_iter().find(|dir| {
        // 0711: a service of another uid can reach its own socket by name, and list nothing.
        let made = std::fs::DirBuilder::new().mode(0o711).create(dir);
        let exists = made.is_ok()
            || std::fs::symlink_metadata(dir).is_ok_and(|m| m.is_dir() && m.uid() == uid);
        if !exists {
            return false;
        }
        drop(std::fs::set_permissions(
            dir,
            std::fs::Permissions::from_mode(0o711),
        ));
        let probe = dir.join(format!(".probe-{}", std::process::id()));
        let writable = std::fs::File::create(&probe).is_ok();
        drop(std::fs::remove_file(probe));
        writable
    })
}
