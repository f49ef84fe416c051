//! A folder of a run's own, and the service compiled.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A folder that goes with its owner.
pub struct Place(PathBuf);

impl Place {
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "podvisor-bench-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::env::var_os("BENCH_KEEP").is_none() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Compiles `svc.c` into a static program.
pub fn compile(place: &Place) -> PathBuf {
    let out = place.join("svc");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/svc.c");
    let done = Command::new("cc")
        .args(["-O2", "-static", "-Wall", "-o"])
        .arg(&out)
        .arg(source)
        .status()
        .expect("a C compiler, `cc`, makes the benchmarks' service");
    assert!(done.success(), "svc.c does not compile");
    out
}

/// A program of this name in PATH, in ~/.cargo/bin or among the system's.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let home = std::env::var("HOME").unwrap_or_default();
    path.split(':')
        .map(PathBuf::from)
        .chain([
            Path::new(&home).join(".cargo/bin"),
            "/usr/bin".into(),
            "/usr/sbin".into(),
        ])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
