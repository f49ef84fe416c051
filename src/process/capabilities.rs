//! Linux capabilities: what a service keeps, as Kubernetes' `capabilities: {drop, add}` says it.

use nix::errno::Errno;

/// The names of capabilities(7), each at its number.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// A set of capabilities, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Set(pub u64);

impl Set {
    /// Every capability there is, and those to come.
    pub const ALL: Self = Self(u64::MAX);
    /// None.
    pub const NONE: Self = Self(0);

    /// The capability of that name, with or without `CAP_`, in any case; `ALL` is all of them.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let upper = name.to_ascii_uppercase();
        let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if short == "ALL" {
            return Some(Self::ALL);
        }
        let number = NAMES.iter().position(|known| *known == short)?;
        Some(Self(1 << number))
    }

    /// All of several names.
    ///
    /// # Errors
    /// The first name that is not a capability.
    pub fn from_names<S: AsRef<str>>(names: &[S]) -> Result<Self, UnknownCapability> {
        let mut set = Self::NONE;
        for name in names {
            let name = name.as_ref();
            let one = Self::from_name(name).ok_or_else(|| UnknownCapability(name.to_owned()))?;
            set.0 |= one.0;
        }
        Ok(set)
    }

    /// Is it empty?
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A name that is no capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown capability {0:?}")]
pub struct UnknownCapability(pub String);

/// What a service asks for. `add` wins over `drop`, so that `drop: [ALL], add: [X]` leaves X.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// Taken away, also from the bounding set.
    pub drop: Set,
    /// Kept across the change of user and raised as ambient. They must be podvisor's own: nothing
    /// can be added that the container lacks (the kernel then answers EPERM).
    pub add: Set,
}

impl Capabilities {
    /// Is there nothing to do?
    #[must_use]
    pub const fn is_default(self) -> bool {
        self.drop.is_empty() && self.add.is_empty()
    }
}

/// The work for the child, decided before the fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ready {
    /// Present in the bounding set and to be dropped from it. Absent ones are left out because
    /// `PR_CAPBSET_DROP` wants `CAP_SETPCAP` even when it changes nothing.
    pub(super) unbound: u64,
    /// Permitted and effective set before exec.
    pub(super) permitted: u64,
    /// Inheritable set.
    pub(super) inheritable: u64,
    /// To be raised in the ambient set.
    pub(super) ambient: u64,
}

/// Decides the sets; `leaves_root`: uid 0 becomes another one, which clears the permitted set
/// (capabilities(7), "Effect of user ID changes").
pub(super) fn prepare(wanted: Capabilities, leaves_root: bool) -> Result<Option<Ready>, Errno> {
    if wanted.is_default() {
        return Ok(None);
    }
    let own = current()?;
    let drop = wanted.drop.0 & !wanted.add.0;
    let bounding = bounding();
    // `add: [ALL]` means all that podvisor has.
    let add = if wanted.add == Set::ALL {
        own.permitted
    } else {
        wanted.add.0
    };
    let kept = if leaves_root {
        (0, 0)
    } else {
        (own.permitted & !drop, own.inheritable & !drop)
    };
    Ok(Some(Ready {
        unbound: bounding & drop,
        permitted: kept.0 | add,
        inheritable: kept.1 | add,
        ambient: add,
    }))
}

/// The header and the two halves of capset(2), version 3.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`, for the calling thread.
pub(super) const HEADER: Header = Header {
    version: 0x2008_0522,
    pid: 0,
};

#[expect(clippy::cast_possible_truncation, reason = "the two halves of a u64")]
pub(super) const fn halves(permitted: u64, inheritable: u64) -> [Half; 2] {
    let low = Half {
        effective: permitted as u32,
        permitted: permitted as u32,
        inheritable: inheritable as u32,
    };
    let high = Half {
        effective: (permitted >> 32) as u32,
        permitted: (permitted >> 32) as u32,
        inheritable: (inheritable >> 32) as u32,
    };
    [low, high]
}

struct Own {
    permitted: u64,
    inheritable: u64,
}

#[expect(unsafe_code, reason = "capget(2)")]
fn current() -> Result<Own, Errno> {
    let mut header = HEADER;
    let mut data = [Half::default(); 2];
    // SAFETY: version 3 makes the kernel write exactly two halves; both pointers are live.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    Errno::result(result)?;
    let [low, high] = data;
    Ok(Own {
        permitted: u64::from(low.permitted) | u64::from(high.permitted) << 32,
        inheritable: u64::from(low.inheritable) | u64::from(high.inheritable) << 32,
    })
}

#[expect(unsafe_code, reason = "prctl(2), PR_CAPBSET_READ")]
fn bounding() -> u64 {
    let mut set = 0;
    for number in 0..64_u64 {
        // SAFETY: PR_CAPBSET_READ takes a number and no pointer; past the last one it is EINVAL.
        if unsafe { libc::prctl(libc::PR_CAPBSET_READ, number) } == 1 {
            set |= 1 << number;
        }
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_prefix() {
        assert_eq!(Set::from_name("CAP_NET_BIND_SERVICE"), Some(Set(1 << 10)));
        assert_eq!(Set::from_name("net_bind_service"), Some(Set(1 << 10)));
        assert_eq!(Set::from_name("CHECKPOINT_RESTORE"), Some(Set(1 << 40)));
        assert_eq!(Set::from_name("ALL"), Some(Set::ALL));
        assert_eq!(
            Set::from_names(&["CHOWN", "FLY"]),
            Err(UnknownCapability("FLY".to_owned()))
        );
    }

    #[test]
    fn add_wins_over_drop_all() {
        let wanted = Capabilities {
            drop: Set::ALL,
            add: Set(1 << 10),
        };
        let ready = prepare(wanted, true).unwrap().unwrap();
        assert_eq!(ready.unbound & (1 << 10), 0);
        assert_eq!(
            (ready.permitted, ready.inheritable, ready.ambient),
            (1 << 10, 1 << 10, 1 << 10)
        );
    }

    #[test]
    fn nothing_asked_nothing_done() {
        assert_eq!(prepare(Capabilities::default(), true), Ok(None));
    }
}
