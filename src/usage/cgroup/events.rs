//! Whether the kernel has killed for want of memory since it was last asked.

use std::path::PathBuf;

use super::{Place, field};

/// The count of OOM kills in the container's cgroup, as far as they have been told of.
#[derive(Debug)]
pub struct OomEvents {
    file: Option<PathBuf>,
    told: u64,
}

impl OomEvents {
    /// What has happened before now is not told.
    #[must_use]
    pub fn new(place: &Place) -> Self {
        let file = match place {
            Place::V2(folder) => Some(folder.join("memory.events")),
            Place::V1 { memory, .. } => Some(memory.join("memory.oom_control")),
            Place::None => None,
        };
        let mut events = Self { file, told: 0 };
        events.told = events.count();
        events
    }

    /// Takes one kill that was not told of, if there is one: for a process that a SIGKILL ended which podvisor did not
    /// send. One read of a small file in the kernel's memory.
    pub fn take(&mut self) -> bool {
        let new = self.count() > self.told;
        self.told += u64::from(new);
        new
    }

    fn count(&self) -> u64 {
        let text = self.file.as_ref().map(std::fs::read_to_string);
        let text = text.and_then(Result::ok).unwrap_or_default();
        field(&text, "oom_kill").unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kill_is_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let count = |kills: u64| {
            let text = format!("low 0\nhigh 0\nmax 9\noom 3\noom_kill {kills}\noom_group_kill 0\n");
            std::fs::write(folder.path().join("memory.events"), text).unwrap();
        };
        count(4);
        let mut events = OomEvents::new(&Place::V2(folder.path().to_owned()));
        assert!(!events.take());
        count(6);
        assert!(events.take() && events.take() && !events.take());
        assert!(!OomEvents::new(&Place::None).take());
    }
}
