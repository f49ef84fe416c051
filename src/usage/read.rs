//! What `/proc` says of one process. Buffers are reused; anything may vanish in between.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};

use nix::unistd::Pid;

/// The longest file that is read of a process, in bytes.
const MOST: u64 = 64 * 1024;

/// Threads of one process whose context switches are looked at; of a process with more, these stand for it.
const MAX_THREADS: usize = 64;

/// The fields of `/proc/PID/stat` that tell of use (proc_pid_stat(5)). Times are in clock ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Stat {
    pub parent: i32,
    pub group: i32,
    pub session: i32,
    /// With those of children that were waited for.
    pub major_faults: u64,
    /// With the time of children that were waited for.
    pub user_ticks: u64,
    /// With the time of children that were waited for.
    pub system_ticks: u64,
    pub threads: u64,
    /// With the pid, it names the process for good.
    pub starttime: u64,
    pub virtual_bytes: u64,
    pub resident_pages: u64,
    pub zombie: bool,
}

impl Stat {
    /// Reads the line. The name in parentheses may hold anything, so its end is the last parenthesis.
    fn parse(line: &[u8]) -> Option<Self> {
        let close = memchr::memrchr(b')', line)?;
        let rest = std::str::from_utf8(line.get(close + 1..)?).ok()?;
        // Numbered from 3, as the manual has them.
        let mut fields = [""; 50];
        for (field, word) in fields.iter_mut().zip(rest.split_ascii_whitespace()) {
            *field = word;
        }
        let signed = |number: usize| fields[number - 3].parse::<i64>().ok();
        let number = |number: usize| fields[number - 3].parse::<u64>().ok();
        // The kernel prints these four signed; they are never negative.
        let sum = |own: usize, waited: usize| {
            let waited = u64::try_from(signed(waited)?).unwrap_or(0);
            Some(number(own)? + waited)
        };
        Some(Self {
            zombie: matches!(fields[0], "Z" | "X" | "x"),
            parent: i32::try_from(signed(4)?).ok()?,
            group: i32::try_from(signed(5)?).ok()?,
            session: i32::try_from(signed(6)?).ok()?,
            major_faults: sum(12, 13)?,
            user_ticks: sum(14, 16)?,
            system_ticks: sum(15, 17)?,
            threads: number(20)?,
            starttime: number(22)?,
            virtual_bytes: number(23)?,
            resident_pages: number(24)?,
        })
    }
}

/// Of `/proc/PID/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Status {
    pub swap_bytes: u64,
    pub voluntary: u64,
    pub involuntary: u64,
}

impl Status {
    fn parse(text: &[u8]) -> Self {
        let mut status = Self::default();
        for line in text.split(|byte| *byte == b'\n') {
            if let Some(rest) = line.strip_prefix(b"VmSwap:") {
                status.swap_bytes = first_number(rest) * 1024;
            } else if let Some(rest) = line.strip_prefix(b"voluntary_ctxt_switches:") {
                status.voluntary = first_number(rest);
            } else if let Some(rest) = line.strip_prefix(b"nonvoluntary_ctxt_switches:") {
                status.involuntary = first_number(rest);
            }
        }
        status
    }
}

/// The first number of a text; 0 when there is none.
pub(super) fn first_number(text: &[u8]) -> u64 {
    let digits = text
        .iter()
        .skip_while(|byte| !byte.is_ascii_digit())
        .take_while(|byte| byte.is_ascii_digit());
    digits.fold(0_u64, |number, digit| {
        number
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    })
}

/// Reads files below `/proc` into one buffer.
#[derive(Debug, Default)]
pub(super) struct Reader {
    path: String,
    buffer: Vec<u8>,
}

impl Reader {
    pub fn stat(&mut self, pid: Pid) -> Option<Stat> {
        Stat::parse(self.read(format_args!("/proc/{pid}/stat")).ok()?)
    }

    /// Memory in swap, and the context switches of all its threads.
    pub fn status(&mut self, pid: Pid, threads: u64) -> io::Result<Status> {
        let mut status = Status::parse(self.read(format_args!("/proc/{pid}/status"))?);
        if threads > 1 {
            (status.voluntary, status.involuntary) = (0, 0);
            for thread in numbered(&format!("/proc/{pid}/task"))?.take(MAX_THREADS) {
                let Ok(text) = self.read(format_args!("/proc/{pid}/task/{thread}/status")) else {
                    continue;
                };
                let of_thread = Status::parse(text);
                status.voluntary += of_thread.voluntary;
                status.involuntary += of_thread.involuntary;
            }
        }
        Ok(status)
    }

    /// Bytes that were read from and written to storage, with those of children that were waited for.
    pub fn io(&mut self, pid: Pid) -> io::Result<(u64, u64)> {
        let text = self.read(format_args!("/proc/{pid}/io"))?;
        let field = |name: &[u8]| {
            let mut lines = text.split(|byte| *byte == b'\n');
            lines
                .find_map(|line| line.strip_prefix(name))
                .map_or(0, first_number)
        };
        Ok((field(b"read_bytes:"), field(b"write_bytes:")))
    }

    /// The soft limit on open files; None when there is none.
    pub fn max_fds(&mut self, pid: Pid) -> io::Result<Option<u64>> {
        let text = self.read(format_args!("/proc/{pid}/limits"))?;
        let mut lines = text.split(|byte| *byte == b'\n');
        let line = lines.find_map(|line| line.strip_prefix(b"Max open files"));
        Ok(line.map(first_number).filter(|limit| *limit > 0))
    }

    /// The value of a variable in the environment that it was started with.
    pub fn variable(&mut self, pid: Pid, name: &str) -> Option<&str> {
        let environ = self.read(format_args!("/proc/{pid}/environ")).ok()?;
        let mut variables = environ.split(|byte| *byte == 0);
        let value = variables.find_map(|variable| {
            variable
                .strip_prefix(name.as_bytes())
                .and_then(|rest| rest.strip_prefix(b"="))
        });
        std::str::from_utf8(value?).ok()
    }

    fn read(&mut self, path: std::fmt::Arguments<'_>) -> io::Result<&[u8]> {
        self.path.clear();
        // Writing into a String cannot fail.
        let _ = self.path.write_fmt(path);
        self.buffer.clear();
        self.buffer.reserve(4096);
        File::open(&self.path)?
            .take(MOST)
            .read_to_end(&mut self.buffer)?;
        Ok(&self.buffer)
    }
}

/// How many files it has open.
pub(super) fn open_fds(pid: Pid) -> io::Result<u64> {
    Ok(std::fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64)
}

fn numbered(folder: &str) -> io::Result<impl Iterator<Item = i32> + use<>> {
    let entries = std::fs::read_dir(folder)?.map_while(Result::ok);
    Ok(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_by_the_manuals_numbers() {
        let line =
            b"42 (a) b) S 7 8 9 0 -1 4194560 1 2 30 4 500 60 70 8 20 0 5 0 987654 1048576 256 1";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.parent, stat.group, stat.session), (7, 8, 9));
        assert_eq!(stat.major_faults, 34);
        assert_eq!((stat.user_ticks, stat.system_ticks), (570, 68));
        assert_eq!((stat.threads, stat.starttime), (5, 987_654));
        assert_eq!((stat.virtual_bytes, stat.resident_pages), (1_048_576, 256));
        for cut in [&b""[..], b"42 (x", b"42 (x) S 1 2", b"42 (x) S a b"] {
            assert_eq!(Stat::parse(cut), None);
        }
    }

    #[test]
    fn a_status_is_read_and_what_is_missing_is_zero() {
        let text = b"Name:\tx\nVmSwap:\t     12 kB\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t8\n";
        let status = Status::parse(text);
        assert_eq!(status.swap_bytes, 12 * 1024);
        assert_eq!((status.voluntary, status.involuntary), (7, 8));
        assert_eq!(Status::parse(b"Name:\tkthread\n"), Status::default());
    }

    #[test]
    fn this_process_can_be_read() {
        let (own, mut reader) = (nix::unistd::getpid(), Reader::default());
        let stat = reader.stat(own).unwrap();
        assert!(stat.resident_pages > 0 && stat.threads > 0 && !stat.zombie);
        assert!(reader.status(own, stat.threads).unwrap().voluntary > 0);
        assert!(reader.io(own).is_ok());
        assert!(reader.max_fds(own).unwrap().is_none_or(|most| most > 2));
        assert!(open_fds(own).unwrap() > 2);
        assert!(reader.variable(own, "PATH").is_some());
        assert_eq!(reader.variable(own, "PAT"), None);
        assert_eq!(reader.stat(Pid::from_raw(i32::MAX)), None);
    }
}
