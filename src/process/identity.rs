//! Users and groups: from the words of the config to the numbers of the kernel.
//!
//! `/etc/passwd` and `/etc/group` are read by ourselves: a static binary has no name service, and an
//! image without these files can still give numbers. The rules are those of `docker run --user`.

use std::io;
use std::path::{Path, PathBuf};

/// Who a service runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// The whole list for setgroups(2), the primary group among them.
    pub groups: Vec<u32>,
    /// Login name, if `/etc/passwd` knows one: for `USER` and `LOGNAME`.
    pub name: Option<String>,
    /// Home directory, if `/etc/passwd` knows one: for `HOME`.
    pub home: Option<PathBuf>,
}

/// Why a user could not be found.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Neither a name in passwd nor a number.
    #[error("unknown user {0:?}")]
    UnknownUser(String),
    /// Neither a name in group nor a number.
    #[error("unknown group {0:?}")]
    UnknownGroup(String),
    /// One of the files is there but cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The user database.
#[derive(Debug, Clone, Default)]
pub struct Database {
    users: Vec<User>,
    groups: Vec<Group>,
}

#[derive(Debug, Clone)]
struct User {
    name: String,
    uid: u32,
    gid: u32,
    home: PathBuf,
}

#[derive(Debug, Clone)]
struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

impl Database {
    /// Reads `/etc/passwd` and `/etc/group`.
    ///
    /// # Errors
    /// When one is there but cannot be read.
    pub fn system() -> Result<Self, IdentityError> {
        Self::read(Path::new("/etc/passwd"), Path::new("/etc/group"))
    }

    /// Reads two files in the formats of passwd(5) and group(5). A missing file is an empty one,
    /// lines that make no sense are passed over, as libc does.
    ///
    /// # Errors
    /// When one is there but cannot be read.
    pub fn read(passwd: &Path, group: &Path) -> Result<Self, IdentityError> {
        Ok(Self::parse(&content(passwd)?, &content(group)?))
    }

    /// The database in two texts.
    #[must_use]
    pub fn parse(passwd: &str, group: &str) -> Self {
        Self {
            users: passwd.lines().filter_map(User::parse).collect(),
            groups: group.lines().filter_map(Group::parse).collect(),
        }
    }

    fn user(&self, word: &str) -> Option<&User> {
        let by_name = self.users.iter().find(|user| user.name == word);
        by_name.or_else(|| {
            let uid = number(word)?;
            self.users.iter().find(|user| user.uid == uid)
        })
    }

    fn group(&self, word: &str) -> Result<u32, IdentityError> {
        let by_name = self.groups.iter().find(|group| group.name == word);
        by_name
            .map(|group| group.gid)
            .or_else(|| number(word))
            .ok_or_else(|| IdentityError::UnknownGroup(word.to_owned()))
    }

    /// The groups that list a user as member, as initgroups(3) takes them.
    fn groups_of(&self, name: &str) -> impl Iterator<Item = u32> {
        let with = move |group: &&Group| group.members.iter().any(|member| member == name);
        self.groups.iter().filter(with).map(|group| group.gid)
    }
}

impl User {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
        let uid = number(fields.nth(1)?)?;
        let gid = number(fields.next()?)?;
        let home = PathBuf::from(fields.nth(1)?);
        Some(Self {
            name,
            uid,
            gid,
            home,
        })
    }
}

impl Group {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
        let gid = number(fields.nth(1)?)?;
        let members = fields.next().unwrap_or_default().split(',');
        let members = members
            .map(|m| m.trim().to_owned())
            .filter(|m| !m.is_empty());
        Some(Self {
            name,
            gid,
            members: members.collect(),
        })
    }
}

/// An id; the greatest u32 means "unchanged" to the kernel and is none (setresuid(2)).
fn number(word: &str) -> Option<u32> {
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let id = digits.then(|| word.parse().ok()).flatten()?;
    (id != u32::MAX).then_some(id)
}

fn content(path: &Path) -> Result<String, IdentityError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(IdentityError::Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

impl Credentials {
    /// Finds the user that a spec means: `name`, `1000`, `name:group`, `1000:1000`.
    ///
    /// Without a group in the spec: the user's primary group and the groups that list it; for a
    /// number that passwd does not know, group 0, as Docker and the kubelet do. With one: only that.
    /// `supplementary` (names or numbers) comes on top.
    ///
    /// # Errors
    /// An unknown name.
    pub fn resolve<S: AsRef<str>>(
        spec: &str,
        supplementary: &[S],
        database: &Database,
    ) -> Result<Self, IdentityError> {
        let (user_word, group_word) = match spec.split_once(':') {
            Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
            None => (spec, None),
        };
        let known = database.user(user_word);
        let uid = known
            .map(|user| user.uid)
            .or_else(|| number(user_word))
            .ok_or_else(|| IdentityError::UnknownUser(user_word.to_owned()))?;
        let gid = match group_word {
            Some(word) => database.group(word)?,
            None => known.map_or(0, |user| user.gid),
        };
        let mut groups = vec![gid];
        if let (None, Some(user)) = (group_word, known) {
            groups.extend(database.groups_of(&user.name));
        }
        for word in supplementary {
            groups.push(database.group(word.as_ref())?);
        }
        let mut seen = std::collections::HashSet::new();
        groups.retain(|gid| seen.insert(*gid));
        Ok(Self {
            uid,
            gid,
            groups,
            name: known.map(|user| user.name.clone()),
            home: known.map(|user| user.home.clone()),
        })
    }

    /// Does becoming this user take privileges that a process of these effective ids lacks?
    ///
    /// Root may become anybody, everybody may become itself. A process with `CAP_SETUID` that is
    /// not root is not considered.
    #[must_use]
    pub const fn needs_privilege(&self, euid: u32, egid: u32) -> bool {
        euid != 0 && (self.uid != euid || self.gid != egid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [&str; 0] = [];

    fn database() -> Database {
        Database::parse(
            "root:x:0:0:root:/root:/bin/sh\nbroken\nweb:x:33:34:,,,:/var/www:/bin/false\n77:x:78:79::/h:\n",
            "root:x:0:\nweb:x:34:\nlog:x:90:web,other\nssl:x:91:other, web\n",
        )
    }

    fn resolve(spec: &str) -> Result<(u32, u32, Vec<u32>), String> {
        let found = Credentials::resolve(spec, &NONE, &database());
        found
            .map(|c| (c.uid, c.gid, c.groups))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn names_numbers_and_groups() {
        assert_eq!(resolve("web"), Ok((33, 34, vec![34, 90, 91])));
        assert_eq!(resolve("33"), Ok((33, 34, vec![34, 90, 91])));
        assert_eq!(resolve("web:log"), Ok((33, 90, vec![90])));
        assert_eq!(resolve("1000:1000"), Ok((1000, 1000, vec![1000])));
        assert_eq!(resolve("1000"), Ok((1000, 0, vec![0])));
        assert_eq!(resolve("web:"), Ok((33, 34, vec![34, 90, 91])));
    }

    #[test]
    fn a_name_of_digits_is_a_name_first() {
        assert_eq!(resolve("77"), Ok((78, 79, vec![79])));
    }

    #[test]
    fn unknown_words_are_named() {
        assert_eq!(resolve("nope"), Err("unknown user \"nope\"".to_owned()));
        assert_eq!(
            resolve("web:nope"),
            Err("unknown group \"nope\"".to_owned())
        );
        assert_eq!(resolve(""), Err("unknown user \"\"".to_owned()));
        assert_eq!(resolve("-1"), Err("unknown user \"-1\"".to_owned()));
        assert_eq!(
            resolve("4294967295"),
            Err("unknown user \"4294967295\"".to_owned())
        );
    }

    #[test]
    fn numbers_work_without_the_files() {
        let nowhere = Path::new("/no/such/file");
        let database = Database::read(nowhere, nowhere).unwrap();
        let found = Credentials::resolve("5:6", &["7"], &database).unwrap();
        assert_eq!((found.uid, found.gid, found.groups), (5, 6, vec![6, 7]));
        assert_eq!((found.name, found.home), (None, None));
    }

    #[test]
    fn home_and_name_come_along() {
        let found = Credentials::resolve("33:0", &["ssl", "0"], &database()).unwrap();
        assert_eq!(found.name.as_deref(), Some("web"));
        assert_eq!(found.home.as_deref(), Some(Path::new("/var/www")));
        assert_eq!(found.groups, [0, 91]);
    }

    #[test]
    fn only_root_becomes_another() {
        let web = Credentials::resolve("web", &NONE, &database()).unwrap();
        assert!(!web.needs_privilege(0, 0));
        assert!(!web.needs_privilege(33, 34));
        assert!(web.needs_privilege(33, 33));
        assert!(web.needs_privilege(1000, 34));
    }
}
