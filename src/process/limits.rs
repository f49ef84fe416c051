//! Resource limits: names as the config writes them, numbers as the kernel takes them.

use nix::errno::Errno;

/// "No limit", `RLIM_INFINITY` of getrlimit(2).
pub const INFINITY: u64 = u64::MAX;

/// One limit of getrlimit(2), by the kernel's number (asm-generic/resource.h). The C libraries'
/// constants have the same values and different types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Resource(u32);

/// Name in the config, number, unit. The unit is the kernel's own, as in getrlimit(2).
const TABLE: [(&str, u32, &str); 15] = [
    ("nofile", 7, "descriptors"),
    ("nproc", 6, "processes of the user"),
    ("core", 4, "bytes"),
    ("as", 9, "bytes"),
    ("cpu", 0, "seconds"),
    ("data", 2, "bytes"),
    ("fsize", 1, "bytes"),
    ("memlock", 8, "bytes"),
    ("stack", 3, "bytes"),
    ("msgqueue", 12, "bytes"),
    ("rtprio", 14, "priority"),
    ("nice", 13, "20 minus the nice value"),
    ("sigpending", 11, "signals"),
    ("rss", 5, "bytes"),
    ("locks", 10, "locks"),
];

impl Resource {
    /// Open files.
    pub const NOFILE: Self = Self(7);

    /// The resource of that name (`nofile`, `RLIMIT_NOFILE`), if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let short = lower.strip_prefix("rlimit_").unwrap_or(&lower);
        let row = TABLE.iter().find(|(known, ..)| *known == short)?;
        Some(Self(row.1))
    }

    /// Its name in the config.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("unknown", |row| row.0)
    }

    /// What it counts.
    #[must_use]
    pub fn unit(self) -> &'static str {
        self.row().map_or("", |row| row.2)
    }

    /// All names that [`Resource::from_name`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|row| row.0)
    }

    pub(super) const fn number(self) -> u32 {
        self.0
    }

    fn row(self) -> Option<&'static (&'static str, u32, &'static str)> {
        TABLE.iter().find(|row| row.1 == self.0)
    }
}

/// A limit that a service asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Which.
    pub resource: Resource,
    /// The limit that acts, in the resource's unit; [`INFINITY`] for none.
    pub soft: u64,
    /// The ceiling of the soft limit. `None`: as it is, raised to `soft` if that is higher (which
    /// takes `CAP_SYS_RESOURCE`).
    pub hard: Option<u64>,
}

/// A limit ready for the child: number, soft, hard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) number: u32,
    pub(super) value: libc::rlimit64,
}

/// Completes limits with the present hard ones, before the fork.
///
/// # Errors
/// When a present limit cannot be read.
pub(super) fn prepare(limits: &[Limit], nofile_soft: u64) -> Result<Vec<Ready>, Errno> {
    let mut ready = Vec::with_capacity(limits.len() + 1);
    if !limits.iter().any(|l| l.resource == Resource::NOFILE) {
        let hard = current_hard(Resource::NOFILE)?;
        ready.push(row(Resource::NOFILE, nofile_soft.min(hard), hard));
    }
    for limit in limits {
        let hard = match limit.hard {
            Some(hard) => hard,
            None => current_hard(limit.resource)?.max(limit.soft),
        };
        ready.push(row(limit.resource, limit.soft, hard));
    }
    Ok(ready)
}

const fn row(resource: Resource, soft: u64, hard: u64) -> Ready {
    Ready {
        number: resource.number(),
        value: libc::rlimit64 {
            rlim_cur: soft,
            rlim_max: hard,
        },
    }
}

#[expect(
    unsafe_code,
    reason = "prlimit(2) with a number that nix has no name for"
)]
fn current_hard(resource: Resource) -> Result<u64, Errno> {
    let mut now = libc::rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel writes one rlimit64 into `now` and reads nothing (new limit is null).
    let result = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource.number(),
            std::ptr::null::<libc::rlimit64>(),
            &raw mut now,
        )
    };
    Errno::result(result).map(|_| now.rlim_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for name in Resource::names() {
            let resource = Resource::from_name(name).unwrap();
            assert_eq!(resource.name(), name);
            assert!(!resource.unit().is_empty());
        }
        assert_eq!(Resource::from_name("RLIMIT_NOFILE"), Some(Resource::NOFILE));
        assert_eq!(Resource::from_name("openfiles"), None);
    }

    #[test]
    fn numbers_are_those_of_the_c_library() {
        let same = |name, libc| {
            let number = Resource::from_name(name).map(Resource::number);
            assert_eq!(number.map(i64::from), Some(libc), "{name}");
        };
        same("nofile", i64::from(libc::RLIMIT_NOFILE));
        same("nproc", i64::from(libc::RLIMIT_NPROC));
        same("core", i64::from(libc::RLIMIT_CORE));
        same("as", i64::from(libc::RLIMIT_AS));
        same("cpu", i64::from(libc::RLIMIT_CPU));
        same("data", i64::from(libc::RLIMIT_DATA));
        same("fsize", i64::from(libc::RLIMIT_FSIZE));
        same("memlock", i64::from(libc::RLIMIT_MEMLOCK));
        same("stack", i64::from(libc::RLIMIT_STACK));
        same("msgqueue", i64::from(libc::RLIMIT_MSGQUEUE));
        same("rtprio", i64::from(libc::RLIMIT_RTPRIO));
        same("nice", i64::from(libc::RLIMIT_NICE));
        same("sigpending", i64::from(libc::RLIMIT_SIGPENDING));
        same("rss", i64::from(libc::RLIMIT_RSS));
        same("locks", i64::from(libc::RLIMIT_LOCKS));
    }

    #[test]
    fn soft_nofile_is_restored_unless_said_otherwise() {
        let hard = current_hard(Resource::NOFILE).unwrap();
        assert_eq!(
            prepare(&[], 64).unwrap(),
            vec![row(Resource::NOFILE, 64, hard)]
        );
        let own = Limit {
            resource: Resource::NOFILE,
            soft: 100,
            hard: Some(200),
        };
        assert_eq!(
            prepare(&[own], 64).unwrap(),
            vec![row(Resource::NOFILE, 100, 200)]
        );
    }

    #[test]
    fn missing_hard_limit_follows_a_higher_soft_one() {
        let limit = Limit {
            resource: Resource::NOFILE,
            soft: INFINITY,
            hard: None,
        };
        assert_eq!(prepare(&[limit], 0).unwrap()[0].value.rlim_max, INFINITY);
    }
}
