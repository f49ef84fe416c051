//! Signals: names and numbers both ways, which ones are forwarded, and sending.
#![expect(
    unsafe_code,
    reason = "kill(2) with real-time signals, which nix has no type for"
)]

use std::borrow::Cow;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::unistd::Pid;

use super::pidfd;

/// What users, Docker and systemd mean by `RTMIN`: 34. A C library's own `SIGRTMIN` may differ
/// (musl keeps 34 for itself and says 35), but `RTMIN+3` must be the 37 that others send.
pub const RTMIN: i32 = 34;
/// The last real-time signal.
pub const RTMAX: i32 = 64;

/// Names of signal(7) without `SIG`; of two names for one number, the usual one is first.
const NAMES: [(&str, i32); 34] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
    ("IOT", libc::SIGIOT),
    ("CLD", libc::SIGCHLD),
    ("POLL", libc::SIGPOLL),
];

/// The number of `SIGTERM`, `TERM`, `term`, `15`, `RTMIN+3`, `SIGRTMAX-1`; 1 to 64.
#[must_use]
pub fn number(word: &str) -> Option<i32> {
    let upper = word.trim().to_ascii_uppercase();
    if upper.bytes().all(|byte| byte.is_ascii_digit()) {
        return upper.parse().ok().filter(|n| (1..=RTMAX).contains(n));
    }
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(rest) = short.strip_prefix("RTMIN") {
        return offset(rest, '+').map(|n| RTMIN + n);
    }
    if let Some(rest) = short.strip_prefix("RTMAX") {
        return offset(rest, '-').map(|n| RTMAX - n);
    }
    let row = NAMES.iter().find(|(name, _)| *name == short)?;
    Some(row.1)
}

fn offset(rest: &str, sign: char) -> Option<i32> {
    if rest.is_empty() {
        return Some(0);
    }
    let digits = rest.strip_prefix(sign)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let found = plain.then(|| digits.parse().ok()).flatten();
    found.filter(|n| (0..=RTMAX - RTMIN).contains(n))
}

/// The name of a signal: `SIGTERM`, `SIGRTMIN+3`, or `signal 32` for what has none.
#[must_use]
pub fn name(signal: i32) -> Cow<'static, str> {
    if let Some((name, _)) = NAMES.iter().find(|(_, known)| *known == signal) {
        return format!("SIG{name}").into();
    }
    match signal {
        RTMIN => "SIGRTMIN".into(),
        RTMAX => "SIGRTMAX".into(),
        _ if (RTMIN..RTMAX).contains(&signal) => format!("SIGRTMIN+{}", signal - RTMIN).into(),
        _ => format!("signal {signal}").into(),
    }
}

/// What `run -- CMD` passes on, as tini does: all but what cannot be caught, what a fault of
/// podvisor's own would raise, what the terminal says to background jobs, and the two signals that C
/// libraries keep for themselves.
pub fn forwardable() -> impl Iterator<Item = i32> {
    (1..=RTMAX).filter(|signal| {
        !matches!(
            *signal,
            libc::SIGKILL
                | libc::SIGSTOP
                | libc::SIGCHLD
                | libc::SIGFPE
                | libc::SIGILL
                | libc::SIGSEGV
                | libc::SIGBUS
                | libc::SIGABRT
                | libc::SIGTRAP
                | libc::SIGSYS
                | libc::SIGTTIN
                | libc::SIGTTOU
                | 32
                | 33
        )
    })
}

/// Sends to a whole process group.
///
/// Only while the number is certainly that group's: its leader is alive or an unreaped zombie, or a
/// member was just found.
///
/// # Errors
/// ESRCH: nobody is in it (or the child has not called setsid(2) yet). EPERM. EINVAL also for 0, 1
/// and negative numbers, which kill(2) would take for podvisor's own group or for everybody.
pub fn kill_group(group: Pid, signal: i32) -> Result<(), Errno> {
    if group.as_raw() <= 1 {
        return Err(Errno::EINVAL);
    }
    // SAFETY: two integers.
    Errno::result(unsafe { libc::kill(-group.as_raw(), signal) }).map(drop)
}

/// Sends to one process, by its handle when there is one.
///
/// # Errors
/// As kill(2); EINVAL also for numbers up to 1.
pub fn kill(pid: Pid, handle: Option<BorrowedFd<'_>>, signal: i32) -> Result<(), Errno> {
    if let Some(handle) = handle {
        match pidfd::send(handle, signal) {
            Err(Errno::ENOSYS) => {}
            result => return result,
        }
    }
    if pid.as_raw() <= 1 {
        return Err(Errno::EINVAL);
    }
    // SAFETY: two integers.
    Errno::result(unsafe { libc::kill(pid.as_raw(), signal) }).map(drop)
}

/// Sends to the group of a leader that has not been reaped; to it alone while it is so young that
/// it has no group of its own yet.
///
/// # Errors
/// As [`kill_group`] and [`kill`].
pub fn kill_leader_and_group(
    leader: Pid,
    handle: Option<BorrowedFd<'_>>,
    signal: i32,
) -> Result<(), Errno> {
    match kill_group(leader, signal) {
        Err(Errno::ESRCH) => kill(leader, handle, signal),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_to_numbers() {
        for (word, expected) in [
            ("SIGTERM", Some(15)),
            ("TERM", Some(15)),
            ("term", Some(15)),
            ("15", Some(15)),
            ("RTMIN+3", Some(37)),
            ("SIGRTMIN", Some(34)),
            ("RTMAX", Some(64)),
            ("SIGRTMAX-2", Some(62)),
            ("CLD", Some(17)),
            ("0", None),
            ("65", None),
            ("", None),
            ("SIG", None),
            ("RTMIN+31", None),
            ("RTMIN-1", None),
            ("RTMIN++1", None),
            ("TERMX", None),
        ] {
            assert_eq!(number(word), expected, "{word}");
        }
    }

    #[test]
    fn every_number_survives_its_name() {
        for signal in (1..=31).chain(RTMIN..=RTMAX) {
            assert_eq!(number(&name(signal)), Some(signal));
        }
        assert_eq!(name(37), "SIGRTMIN+3");
        assert_eq!(name(32), "signal 32");
        assert_eq!(name(6), "SIGABRT");
    }

    #[test]
    fn forwarded_are_those_of_tini() {
        let all: Vec<i32> = forwardable().collect();
        assert_eq!(all.len(), 64 - 14);
        assert!(all.contains(&libc::SIGTERM) && all.contains(&37) && all.contains(&libc::SIGWINCH));
        assert!(!all.contains(&libc::SIGCHLD) && !all.contains(&libc::SIGKILL));
    }

    #[test]
    fn nobody_and_everybody_are_refused() {
        for number in [-1, 0, 1] {
            let pid = Pid::from_raw(number);
            assert_eq!(kill_group(pid, 0), Err(Errno::EINVAL));
            assert_eq!(kill(pid, None, 0), Err(Errno::EINVAL));
        }
    }
}
