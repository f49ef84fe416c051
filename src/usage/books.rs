//! The books of one service's process tree: what lives, what has ended, and what was shown, which never shrinks.
//!
//! The kernel hands the use of a process on when it is waited for: to its parent, or to podvisor as the answer of wait4(2).
//! So what the living say of themselves and of the children they have waited for, and what podvisor was told when it reaped,
//! add up to all of it, each once. A process that ends between two looks is missed for one of them; what is shown then
//! stays as it was. Lost is only what a parent throws away by ignoring SIGCHLD.

use std::time::Duration;

use crate::process::reaper::Usage as Reaped;

/// What only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// CPU time in user mode.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
    /// Bytes read from storage.
    pub read_bytes: u64,
    /// Bytes written to storage.
    pub write_bytes: u64,
    /// Page faults that read from disk.
    pub major_faults: u64,
    /// Context switches because a process waited. Those of a living process' children come in when it ends.
    pub voluntary_switches: u64,
    /// Context switches because its time was up. As above.
    pub involuntary_switches: u64,
}

impl Spent {
    /// Adds what a process used.
    pub(super) fn add(&mut self, other: &Self) {
        self.user += other.user;
        self.system += other.system;
        self.read_bytes += other.read_bytes;
        self.write_bytes += other.write_bytes;
        self.major_faults += other.major_faults;
        self.voluntary_switches += other.voluntary_switches;
        self.involuntary_switches += other.involuntary_switches;
    }

    fn at_least(&mut self, other: &Self) {
        self.user = self.user.max(other.user);
        self.system = self.system.max(other.system);
        self.read_bytes = self.read_bytes.max(other.read_bytes);
        self.write_bytes = self.write_bytes.max(other.write_bytes);
        self.major_faults = self.major_faults.max(other.major_faults);
        self.voluntary_switches = self.voluntary_switches.max(other.voluntary_switches);
        self.involuntary_switches = self.involuntary_switches.max(other.involuntary_switches);
    }
}

impl From<&Reaped> for Spent {
    fn from(reaped: &Reaped) -> Self {
        /// getrusage(2) counts blocks of so many bytes, whatever the device has.
        const BLOCK: u64 = 512;
        Self {
            user: reaped.user,
            system: reaped.system,
            read_bytes: reaped.in_blocks * BLOCK,
            write_bytes: reaped.out_blocks * BLOCK,
            major_faults: reaped.major_faults,
            voluntary_switches: reaped.voluntary_switches,
            involuntary_switches: reaped.involuntary_switches,
        }
    }
}

/// What there is now.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Held {
    /// Processes that live.
    pub processes: u64,
    /// Their threads.
    pub threads: u64,
    /// Files they have open, as far as that may be read.
    pub open_fds: u64,
    /// Of the process that is nearest to its limit of open files: the part of it that is used.
    pub fd_usage_max: f64,
    /// Bytes of memory: the sum of the resident sets, in which shared pages count once for each process.
    pub resident_bytes: u64,
    /// Bytes of address space.
    pub virtual_bytes: u64,
    /// Bytes in swap.
    pub swap_bytes: u64,
}

/// One service's tree at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TreeUsage {
    /// What there is now.
    pub held: Held,
    /// What was used since podvisor started.
    pub spent: Spent,
}

/// The books of one service.
#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    /// Of what was reaped.
    ended: Spent,
    shown: Spent,
}

impl Book {
    /// podvisor reaped a process of the service.
    pub fn reaped(&mut self, usage: &Reaped) {
        self.ended.add(&Spent::from(usage));
    }

    /// What is to be shown, given what the living say.
    pub fn settle(&mut self, living: &Spent) -> Spent {
        let mut now = self.ended;
        now.add(living);
        self.shown.at_least(&now);
        self.shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(user: u64) -> Spent {
        Spent {
            user: Duration::from_secs(user),
            ..Spent::default()
        }
    }

    #[test]
    fn what_ended_is_carried_over_and_nothing_shrinks() {
        let mut book = Book::default();
        assert_eq!(book.settle(&seconds(5)), seconds(5));
        // It ended after the books were brought up to date and before the look: missed this once.
        assert_eq!(book.settle(&seconds(0)), seconds(5));
        book.reaped(&Reaped {
            user: Duration::from_secs(6),
            in_blocks: 2,
            ..Reaped::default()
        });
        let mut wanted = seconds(7);
        wanted.read_bytes = 1024;
        assert_eq!(book.settle(&seconds(1)), wanted);
    }
}
