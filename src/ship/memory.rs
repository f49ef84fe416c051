//! How much memory what waits to be sent may take.

use std::path::Path;

/// With no limit on the container, or a large one.
const MOST: usize = 8 * 1024 * 1024;
/// However small the container is.
const LEAST: usize = 1024 * 1024;
/// The part of the container's limit: one in so many.
const SHARE: u64 = 20;

/// The default: 8 MiB, at most 5 % of the container's limit, at least 1 MiB.
#[must_use]
pub fn default_budget() -> usize {
    budget(container_limit(Path::new("/sys/fs/cgroup")))
}

fn budget(limit: Option<u64>) -> usize {
    let share = limit.map_or(MOST, |bytes| usize::try_from(bytes / SHARE).unwrap_or(MOST));
    share.clamp(LEAST, MOST)
}

/// The memory limit of this container, in bytes: cgroup v2's `memory.max`, or v1's file, as a container sees its own
/// group at the root of the mount.
fn container_limit(root: &Path) -> Option<u64> {
    let read = |file: &str| {
        let text = std::fs::read_to_string(root.join(file)).ok()?;
        text.trim().parse::<u64>().ok()
    };
    read("memory.max").or_else(|| read("memory/memory.limit_in_bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twentieth_within_bounds() {
        assert_eq!(budget(None), 8 << 20);
        assert_eq!(budget(Some(64 << 20)), (64 << 20) / 20);
        assert_eq!(budget(Some(8 << 20)), 1 << 20);
        // cgroup v1 says "no limit" by a huge number.
        assert_eq!(budget(Some(9_223_372_036_854_771_712)), 8 << 20);
    }

    #[test]
    fn both_layouts_are_read() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(container_limit(root.path()), None);
        std::fs::create_dir(root.path().join("memory")).unwrap();
        std::fs::write(
            root.path().join("memory/memory.limit_in_bytes"),
            "67108864\n",
        )
        .unwrap();
        assert_eq!(container_limit(root.path()), Some(64 << 20));
        std::fs::write(root.path().join("memory.max"), "max\n").unwrap();
        assert_eq!(container_limit(root.path()), Some(64 << 20));
        std::fs::write(root.path().join("memory.max"), "1048576\n").unwrap();
        assert_eq!(container_limit(root.path()), Some(1 << 20));
    }
}
