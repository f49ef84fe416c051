//! A machine of the tests' own: environment, files, user.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use podvisor::config::Machine;

/// What a config is held against.
pub struct Fake {
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// Files by path.
    pub files: BTreeMap<String, String>,
    /// The user that podvisor runs as.
    pub euid: u32,
}

impl Fake {
    /// A small image, as root.
    pub fn new() -> Self {
        Self {
            env: BTreeMap::from([("HOME".to_owned(), "/root".to_owned())]),
            files: [
                ("/bin/sh", "#!"),
                (
                    "/etc/passwd",
                    "root:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh\n",
                ),
                ("/etc/group", "root:x:0:\nstaff:x:50:\n"),
                ("/var/run/secrets/token", "verysecret\n"),
            ]
            .map(|(path, text)| (path.to_owned(), text.to_owned()))
            .into(),
            euid: 0,
        }
    }
}

impl Machine for Fake {
    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }

    fn read(&self, path: &Path, _limit: usize) -> io::Result<Vec<u8>> {
        let text = self.files.get(path.to_str().unwrap());
        text.map(|text| text.as_bytes().to_vec())
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn is_executable(&self, path: &Path) -> bool {
        self.files.contains_key(path.to_str().unwrap())
    }

    fn euid(&self) -> u32 {
        self.euid
    }
}
