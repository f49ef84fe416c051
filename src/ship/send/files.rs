//! Files that are mounted and change under way: certificates, keys, tokens (kubelet swaps a symbolic link).

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The longest file that is read: a system's bundle of authorities has a quarter of a MiB.
const MAX_FILE: u64 = 4 << 20;

/// Reads a file.
///
/// # Errors
/// What the system says, or that it is longer than 4 MiB.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut content)?;
    if content.len() as u64 > MAX_FILE {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    Ok(content)
}

/// What tells one state of a file from the next.
type Print = (i64, i64, u64, u64);

fn print(path: &PathBuf) -> Option<Print> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.mtime(), meta.mtime_nsec(), meta.ino(), meta.len()))
}

/// Asks now and then whether files have changed.
pub struct Watch {
    paths: Vec<PathBuf>,
    /// None: whatever is there counts as changed.
    seen: Option<Vec<Option<Print>>>,
    every: Duration,
    next: Instant,
    reported: Option<String>,
}

impl Watch {
    /// Begins with the files as they are now: to be called before they are read for the first time.
    #[must_use]
    pub fn new(paths: Vec<PathBuf>, every: Duration, now: Instant) -> Self {
        let seen = Some(paths.iter().map(print).collect());
        Self {
            paths,
            seen,
            every,
            next: now + every,
            reported: None,
        }
    }

    /// To be asked again at the next chance: what was read seems not to be right any more.
    pub fn soon(&mut self) {
        self.next = self.next.min(Instant::now());
    }

    /// Whether they have changed since it was last said. Most calls don't look.
    pub fn changed(&mut self, now: Instant) -> bool {
        if now < self.next || self.paths.is_empty() {
            return false;
        }
        self.next = now + self.every;
        // Before they are read: a change in between is then seen the next time.
        let prints = Some(self.paths.iter().map(print).collect());
        let changed = prints != self.seen;
        self.seen = prints;
        changed
    }

    /// What changed was of use.
    pub fn good(&mut self) {
        self.reported = None;
    }

    /// What changed was of no use: it is tried again, and reported once.
    pub fn bad(&mut self, sink: &str, error: &str) {
        self.seen = None;
        if self.reported.as_deref() != Some(error) {
            tracing::warn!(
                sink,
                error,
                "credentials have changed but are of no use; the old ones stay"
            );
            self.reported = Some(error.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_seen_once_and_not_too_often() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "a").unwrap();
        let (start, every) = (Instant::now(), Duration::from_secs(30));
        let mut watch = Watch::new(vec![path.clone()], every, start);
        assert!(!watch.changed(start + every));
        fs::write(&path, "longer").unwrap();
        assert!(!watch.changed(start + every), "not before it is due");
        watch.soon();
        assert!(watch.changed(start + every));
        assert!(!watch.changed(start + 3 * every));
        fs::remove_file(&path).unwrap();
        assert!(watch.changed(start + 5 * every));
        watch.bad("sink", "gone");
        assert!(
            watch.changed(start + 7 * every),
            "what was of no use is tried again"
        );
    }

    #[test]
    fn a_swapped_link_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("one"), "1").unwrap();
        fs::write(at("two"), "2").unwrap();
        std::os::unix::fs::symlink(at("one"), at("link")).unwrap();
        let start = Instant::now();
        let mut watch = Watch::new(vec![at("link")], Duration::ZERO, start);
        std::os::unix::fs::symlink(at("two"), at("next")).unwrap();
        fs::rename(at("next"), at("link")).unwrap();
        assert!(watch.changed(start));
    }

    #[test]
    fn long_files_are_not_read() {
        assert!(read(Path::new("/dev/zero")).is_err());
        assert!(read(Path::new("/no/such/file")).is_err());
    }
}
