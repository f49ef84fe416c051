//! Reading `/proc`: one process at a time, buffers reused, anything may vanish in between.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};

use nix::unistd::Pid;

/// The most processes that one walk looks at; more would be a fork bomb, which the caller's next
/// walk meets again.
pub const MAX_PROCESSES: usize = 65_536;

/// The most of an environment that is searched, in bytes. The token should therefore be one of the
/// first variables.
pub const MAX_ENVIRON: u64 = 256 * 1024;

/// The fields of `/proc/PID/stat` that we use (proc_pid_stat(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Process id.
    pub pid: Pid,
    /// The first 15 bytes of the executable's name, or what the process made of it.
    pub comm: String,
    /// `R`, `S`, `D`, `Z`, `T` …
    pub state: u8,
    /// The parent's pid; 0 if that is outside of our pid namespace.
    pub parent: Pid,
    /// Process group.
    pub group: Pid,
    /// Session.
    pub session: Pid,
    /// Threads that are alive, or zombies.
    pub threads: u32,
    /// Start in clock ticks since boot: together with the pid it names a process for good.
    pub starttime: u64,
}

impl Stat {
    /// Reads one line of that file. The name stands in parentheses and may hold anything, spaces and
    /// parentheses as well; so its end is the last parenthesis of the line.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let open = memchr::memchr(b'(', line)?;
        let close = memchr::memrchr(b')', line)?;
        let pid = std::str::from_utf8(line.get(..open)?).ok()?.trim();
        let comm = String::from_utf8_lossy(line.get(open + 1..close)?).into_owned();
        let rest = std::str::from_utf8(line.get(close + 1..)?).ok()?;
        // Fields from here on are numbered from 3.
        let mut fields = rest.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let session = fields.next()?.parse().ok()?;
        let threads = fields.nth(13)?.parse().ok()?; // 20
        let starttime = fields.nth(1)?.parse().ok()?; // 22
        Some(Self {
            pid: Pid::from_raw(pid.parse().ok()?),
            comm,
            state,
            parent: Pid::from_raw(parent),
            group: Pid::from_raw(group),
            session: Pid::from_raw(session),
            threads,
            starttime,
        })
    }

    /// Does it still run? A process whose first thread has ended is shown as a zombie while others
    /// go on.
    #[must_use]
    pub const fn is_alive(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x') || self.threads > 1
    }
}

/// Reads files below `/proc` into one buffer.
#[derive(Debug, Default)]
pub struct Reader {
    path: String,
    buffer: Vec<u8>,
}

impl Reader {
    /// The stat line of a process; `None` if there is none.
    pub fn stat(&mut self, pid: Pid) -> Option<Stat> {
        // One read: the line is shorter than this, and the kernel makes it anew for each.
        let mut file = self.open(format_args!("{pid}/stat")).ok()?;
        self.buffer.resize(1024, 0);
        let length = file.read(&mut self.buffer).ok()?;
        Stat::parse(self.buffer.get(..length)?)
    }

    /// A variable in the environment that a process was started with, if it may be read and has it.
    pub fn environ(&mut self, pid: Pid, variable: &str) -> Option<&[u8]> {
        let environ = self.read(format_args!("{pid}/environ"), MAX_ENVIRON).ok()?;
        find_variable(environ, variable)
    }

    /// The children that our main thread has, zombies too, as the kernel lists them in one file.
    /// Adopted orphans come to the main thread.
    ///
    /// # Errors
    /// ENOENT where the kernel lacks `CONFIG_PROC_CHILDREN`.
    pub fn own_children(&mut self) -> io::Result<impl Iterator<Item = Pid> + use<'_>> {
        self.children(nix::unistd::getpid())
    }

    /// The children of a process's main thread.
    ///
    /// # Errors
    /// As [`Reader::own_children`]; also when there is no such process.
    pub fn children(&mut self, of: Pid) -> io::Result<impl Iterator<Item = Pid> + use<'_>> {
        // Seven digits and a space each.
        let most = 8 * MAX_PROCESSES as u64;
        let list = self.read(format_args!("{of}/task/{of}/children"), most)?;
        Ok(parse_children(list))
    }

    /// The pids of all processes, [`MAX_PROCESSES`] at most.
    ///
    /// # Errors
    /// When `/proc` cannot be read at all.
    pub fn pids() -> io::Result<impl Iterator<Item = Pid>> {
        let names = std::fs::read_dir("/proc")?.map_while(Result::ok);
        let pids = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Ok(pids.take(MAX_PROCESSES).map(Pid::from_raw))
    }

    fn read(&mut self, path: std::fmt::Arguments<'_>, most: u64) -> io::Result<&[u8]> {
        let file = self.open(path)?;
        self.buffer.clear();
        // Room for a usual environment, so that one read suffices.
        self.buffer.reserve(4096);
        file.take(most).read_to_end(&mut self.buffer)?;
        Ok(&self.buffer)
    }

    fn open(&mut self, path: std::fmt::Arguments<'_>) -> io::Result<File> {
        self.path.clear();
        // Writing into a String cannot fail.
        let _ = write!(self.path, "/proc/{path}");
        File::open(&self.path)
    }
}

fn parse_children(list: &[u8]) -> impl Iterator<Item = Pid> {
    let words = list.split(|byte| byte.is_ascii_whitespace());
    let numbers = words.filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok());
    numbers.map(Pid::from_raw)
}

fn find_variable<'a>(environ: &'a [u8], variable: &str) -> Option<&'a [u8]> {
    memchr::memmem::find_iter(environ, variable.as_bytes()).find_map(|at| {
        let before = at.checked_sub(1).map(|at| environ.get(at));
        if !matches!(before, None | Some(Some(0))) {
            return None;
        }
        let value = environ.get(at + variable.len()..)?.strip_prefix(b"=")?;
        let end = memchr::memchr(0, value).unwrap_or(value.len());
        value.get(..end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: &str = " S 1 2 3 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 5 0 987654 1 2";

    #[test]
    fn names_with_parentheses_and_spaces() {
        for comm in ["sh", "a b", "(sd-pam)", ") S 9 9 9 (", "tab\there", ""] {
            let line = format!("42 ({comm}){TAIL}");
            let stat = Stat::parse(line.as_bytes()).unwrap();
            assert_eq!((stat.pid.as_raw(), stat.comm.as_str()), (42, comm));
            assert_eq!((stat.state, stat.parent.as_raw()), (b'S', 1));
            assert_eq!((stat.group.as_raw(), stat.session.as_raw()), (2, 3));
            assert_eq!((stat.threads, stat.starttime), (5, 987_654));
        }
    }

    #[test]
    fn nonsense_is_no_stat() {
        for line in ["", "42", "42 (x", "42 (x) S 1", ") ("] {
            assert_eq!(Stat::parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_zombie_with_threads_is_alive() {
        let mut stat = Stat::parse(format!("1 (x){TAIL}").as_bytes()).unwrap();
        stat.state = b'Z';
        assert!(stat.is_alive());
        stat.threads = 1;
        assert!(!stat.is_alive());
    }

    #[test]
    fn own_stat_is_right() {
        let own = nix::unistd::getpid();
        let stat = Reader::default().stat(own).unwrap();
        assert_eq!((stat.pid, stat.parent), (own, nix::unistd::getppid()));
        assert_eq!(stat.group, nix::unistd::getpgrp());
        assert!(stat.is_alive() && stat.starttime > 0);
        assert_eq!(Reader::default().stat(Pid::from_raw(i32::MAX)), None);
    }

    #[test]
    fn variables_are_whole_words() {
        let environ = b"XRUN=no\0RUNNER=no\0RUN=yes\0RUN=later\0";
        assert_eq!(find_variable(environ, "RUN"), Some(&b"yes"[..]));
        assert_eq!(find_variable(b"RUN=", "RUN"), Some(&b""[..]));
        assert_eq!(find_variable(b"A=RUN=x", "RUN"), None);
        assert_eq!(find_variable(b"", "RUN"), None);
    }

    #[test]
    fn children_are_a_list_of_numbers() {
        let pids: Vec<i32> = parse_children(b"12 345 6 ").map(Pid::as_raw).collect();
        assert_eq!(pids, [12, 345, 6]);
        assert_eq!(parse_children(b"").count(), 0);
    }
}
