//! Where the socket is: for the server, which makes it, and for the clients, which look for it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The variable that names the socket.
pub const VARIABLE: &str = "PODVISOR_SOCKET";

/// Its name in the runtime folder.
pub const NAME: &str = "control.sock";

/// The most folders of others that a client looks into.
const MAX_OTHERS: usize = 64;

/// The folders where it may be, best first. A volume that is mounted at the first belongs to root (an `emptyDir`); another user
/// has a folder of its own in it.
pub fn folders(environment: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let uid = nix::unistd::geteuid().as_raw();
    let mut folders = vec![
        PathBuf::from("/run/podvisor"),
        PathBuf::from(format!("/run/podvisor/{uid}")),
    ];
    folders.extend(environment("XDG_RUNTIME_DIR").map(|dir| PathBuf::from(dir).join("podvisor")));
    folders.push(PathBuf::from(format!("/tmp/podvisor-{uid}")));
    folders
}

/// The socket that a client is to use: the named one, else the first that is there.
pub fn find(environment: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(named) = environment(VARIABLE).filter(|named| !named.is_empty()) {
        return Some(named.into());
    }
    let own = folders(environment).into_iter();
    let sockets = own.chain(others()).map(|dir| dir.join(NAME));
    let mut there = sockets.filter(|path| path.exists());
    let first = there.next()?;
    // One that was left behind is passed over if another answers.
    if UnixStream::connect(&first).is_ok() {
        return Some(first);
    }
    Some(
        there
            .find(|path| UnixStream::connect(path).is_ok())
            .unwrap_or(first),
    )
}

/// Folders of podvisors of other users, for root, who may ask all of them.
fn others() -> impl Iterator<Item = PathBuf> {
    let below = |folder: &str, prefix: &'static str| {
        let entries = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .map_while(Result::ok);
        let named = move |entry: &fs::DirEntry| {
            let name = entry.file_name();
            name.to_str().is_some_and(|name| name.starts_with(prefix))
        };
        entries
            .filter(named)
            .map(|entry| entry.path())
            .take(MAX_OTHERS)
    };
    below("/run/podvisor", "").chain(below("/tmp", "podvisor-"))
}

/// Listens on it, for the owner alone (mode 0600). What a dead podvisor left behind is replaced.
///
/// # Errors
/// `AddrInUse` when somebody answers there; else as bind(2).
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    if UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another podvisor answers there",
        ));
    }
    // Made under another name and moved: there is no moment in which others may connect.
    let new = path.with_extension(format!("new-{}", std::process::id()));
    let _ = fs::remove_file(&new);
    let listener = UnixListener::bind(&new)?;
    let moved = fs::set_permissions(&new, fs::Permissions::from_mode(0o600))
        .and_then(|()| fs::rename(&new, path));
    if let Err(error) = moved {
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_for_its_owner_and_replaces_only_the_dead() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let listener = listen(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let taken = listen(&path).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        assert!(listen(&path).is_ok());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_named_one_comes_first() {
        let named = |name: &str| (name == VARIABLE).then(|| OsString::from("/x/y.sock"));
        assert_eq!(find(named), Some(PathBuf::from("/x/y.sock")));
        let folders = folders(|name| (name == "XDG_RUNTIME_DIR").then(|| "/xdg".into()));
        assert_eq!(folders[0], Path::new("/run/podvisor"));
        assert_eq!(folders[2], Path::new("/xdg/podvisor"));
    }
}
