//! Who belongs to a service and is still alive, found in `/proc`.
//!
//! A process belongs to a service if it descends from the service's leader, is in the leader's
//! session or group, carries the service's token in its environment, was seen to belong before, or
//! descends from one that does. A daemon that calls setsid(2) and whose parents are gone keeps its
//! environment; that is what the token is for. (One that also wiped its environment before it was
//! ever seen is found only among [`Descendants::all`].) Only processes below podvisor ever count.
//!
//! `/proc` is no snapshot: a process may fork behind the walk. So a walk is repeated until two agree
//! on who is there, and whoever kills looks again until nobody is left. Pids are reused: the start
//! time says whether a number still means the same process.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::unistd::Pid;

use super::procfs::{Reader, Stat};
use super::{pidfd, signals};

/// The variable whose value tells the services' runs apart.
pub const TOKEN_VARIABLE: &str = "PODVISOR_RUN";

/// How often a walk is repeated for two to agree; under a fork bomb none do.
const MAX_WALKS: usize = 4;

/// A process, named for good by number and start: these two make it equal to another, as the short
/// name changes with every exec.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its pid.
    pub pid: Pid,
    /// Its start, in clock ticks since boot.
    pub starttime: u64,
    /// Its short name.
    pub comm: String,
}

impl Member {
    const fn key(&self) -> (Pid, u64) {
        (self.pid, self.starttime)
    }
}

impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Member {}

impl std::hash::Hash for Member {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// What marks the processes of one run of a service.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The service's main process, whether it lives or not.
    pub leader: Pid,
    /// The leader's start, if it was noted: guards against its number having been reused.
    pub leader_starttime: Option<u64>,
    /// The value of [`TOKEN_VARIABLE`] in its environment; empty: no such mark.
    pub token: &'a str,
    /// Processes that earlier walks found.
    pub remembered: &'a [Member],
}

/// What became of a round of signals.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signalled {
    /// Processes that got the signal.
    pub sent: usize,
    /// Processes that had gone, or whose number is another's by now.
    pub gone: usize,
    /// Processes that could not be signalled.
    pub refused: Vec<(Pid, Errno)>,
}

/// The most that [`Descendants::offspring`] notes of one service.
const MAX_REMEMBERED: usize = 4096;

/// Walks over `/proc`, with buffers that are kept. A walk takes some 10 µs per process there is in
/// the pid namespace, nearly all of it in the kernel, and as much again per environment looked into.
#[derive(Debug)]
pub struct Descendants {
    reader: Reader,
    table: Vec<Stat>,
    root: Pid,
}

impl Default for Descendants {
    fn default() -> Self {
        Self::new()
    }
}

impl Descendants {
    /// Looks below the calling process.
    #[must_use]
    pub fn new() -> Self {
        Self {
            reader: Reader::default(),
            table: Vec::new(),
            root: nix::unistd::getpid(),
        }
    }

    /// Has podvisor a direct child, dead or alive, that `known` does not know?
    ///
    /// Cheap: one file where the kernel has it. To be asked right after a leader's exit: its children
    /// have been handed over by then (the kernel does that before the exit can be waited for). It sees
    /// the children of the main thread: those are all, as only that one forks.
    #[must_use]
    pub fn has_adopted(&mut self, known: impl Fn(Pid) -> bool) -> bool {
        if let Ok(mut children) = self.reader.own_children() {
            return children.any(|pid| !known(pid));
        }
        self.walk();
        let root = self.root;
        self.table
            .iter()
            .any(|stat| stat.parent == root && !known(stat.pid))
    }

    /// The start of a process, for [`Target::leader_starttime`].
    #[must_use]
    pub fn starttime(&mut self, pid: Pid) -> Option<u64> {
        self.reader.stat(pid).map(|stat| stat.starttime)
    }

    /// What a process has below it now, without itself: cheap where the kernel lists children, and good enough to
    /// know them again later ([`Target::remembered`]); children of threads other than the main one are missed.
    #[must_use]
    pub fn offspring(&mut self, of: Pid) -> Vec<Member> {
        let mut found = Vec::new();
        let mut todo = vec![of];
        while let Some(parent) = todo.pop() {
            if found.len() >= MAX_REMEMBERED {
                break;
            }
            let Ok(children) = self.reader.children(parent) else {
                continue;
            };
            let children: Vec<Pid> = children.collect();
            for child in children {
                let Some(stat) = self.reader.stat(child) else {
                    continue;
                };
                let member = Member {
                    pid: stat.pid,
                    starttime: stat.starttime,
                    comm: stat.comm,
                };
                found.push(member);
                todo.push(child);
            }
        }
        found
    }

    /// All live processes of a service's run, its leader among them.
    #[must_use]
    pub fn members(&mut self, of: &Target<'_>) -> Vec<Member> {
        self.until_two_agree(|walk| walk.select(of))
    }

    /// Everything alive below podvisor.
    #[must_use]
    pub fn all(&mut self) -> Vec<Member> {
        self.until_two_agree(|walk| {
            let root = walk.root;
            let below = closure(&walk.table, |stat| stat.parent == root);
            walk.pick(&below)
        })
    }

    /// Sends a signal to each member that is still the same process.
    pub fn kill(&mut self, members: &[Member], signal: i32) -> Signalled {
        let mut result = Signalled::default();
        for member in members {
            match self.kill_one(member, signal) {
                Ok(()) => result.sent += 1,
                Err(Errno::ESRCH) => result.gone += 1,
                Err(errno) => result.refused.push((member.pid, errno)),
            }
        }
        result
    }

    /// The handle first, then the start time: if that is right now, the handle is the right one.
    fn kill_one(&mut self, member: &Member, signal: i32) -> Result<(), Errno> {
        if member.pid == self.root {
            return Err(Errno::EINVAL);
        }
        let handle = match pidfd::open(member.pid) {
            Ok(handle) => Some(handle),
            Err(Errno::ESRCH) => return Err(Errno::ESRCH),
            // An old kernel, a filter, or no descriptor left: the number must do.
            Err(_) => None,
        };
        let stat = self.reader.stat(member.pid).ok_or(Errno::ESRCH)?;
        if stat.starttime != member.starttime || !stat.is_alive() {
            return Err(Errno::ESRCH);
        }
        signals::kill(member.pid, handle.as_ref().map(AsFd::as_fd), signal)
    }

    fn until_two_agree(&mut self, look: impl Fn(&mut Self) -> Vec<Member>) -> Vec<Member> {
        let mut last = None;
        for _ in 0..MAX_WALKS {
            self.walk();
            let now = look(self);
            if last.as_ref() == Some(&now) {
                return now;
            }
            last = Some(now);
        }
        last.unwrap_or_default()
    }

    /// Fills the table, in ascending order of pids.
    fn walk(&mut self) {
        self.table.clear();
        let Ok(pids) = Reader::pids() else {
            tracing::warn!("cannot read /proc: descendants of services cannot be found");
            return;
        };
        for pid in pids {
            self.table.extend(self.reader.stat(pid));
        }
        self.table.sort_unstable_by_key(|stat| stat.pid);
    }

    fn select(&mut self, of: &Target<'_>) -> Vec<Member> {
        let root = self.root;
        let below = closure(&self.table, |stat| stat.parent == root);
        let leader_reused = self.table.iter().any(|stat| {
            stat.pid == of.leader && of.leader_starttime.is_some_and(|t| t != stat.starttime)
        });
        let mut belongs = closure(&self.table, |stat| {
            let leads = stat.pid == of.leader && !leader_reused;
            let same = |m: &Member| m.pid == stat.pid && m.starttime == stat.starttime;
            leads || of.remembered.iter().any(same)
        });
        // The environment costs more to read, so only that of those still undecided.
        let mut marked = Vec::new();
        for (at, stat) in self.table.iter().enumerate() {
            let decided = belongs.get(at) == Some(&true) || below.get(at) != Some(&true);
            if decided || !stat.is_alive() {
                continue;
            }
            let related = !leader_reused && (stat.session == of.leader || stat.group == of.leader);
            let belongs = match self.reader.environ(stat.pid, TOKEN_VARIABLE) {
                Some(token) if !of.token.is_empty() => token == of.token.as_bytes(),
                // Unmarked, or unreadable (another user's, without CAP_SYS_PTRACE).
                _ => related,
            };
            if belongs {
                marked.push(stat.pid);
            }
        }
        if !marked.is_empty() {
            let more = closure(&self.table, |stat| marked.binary_search(&stat.pid).is_ok());
            for (one, other) in belongs.iter_mut().zip(more) {
                *one |= other;
            }
        }
        for (one, below) in belongs.iter_mut().zip(below) {
            *one &= below;
        }
        self.pick(&belongs)
    }

    fn pick(&self, chosen: &[bool]) -> Vec<Member> {
        let rows = self.table.iter().zip(chosen);
        let live = rows.filter(|(stat, chosen)| **chosen && stat.is_alive());
        live.map(|(stat, _)| Member {
            pid: stat.pid,
            starttime: stat.starttime,
            comm: stat.comm.clone(),
        })
        .collect()
    }
}

/// For each row of the table: does `seed` hold for it or for one of its ancestors?
///
/// Each row is walked upwards once, up to the first ancestor that is decided already. The table is
/// no snapshot, so it may hold a cycle (a reused number): the way up has an end all the same, since
/// rows on it are marked as undecided no more when they are entered.
fn closure(table: &[Stat], seed: impl Fn(&Stat) -> bool) -> Vec<bool> {
    let mut decided: Vec<Option<bool>> = vec![None; table.len()];
    let mut way = Vec::new();
    for start in 0..table.len() {
        let mut at = start;
        let verdict = loop {
            let Some(stat) = table.get(at) else {
                break false;
            };
            match decided.get(at) {
                Some(Some(known)) => break *known,
                Some(None) => {}
                None => break false,
            }
            way.push(at);
            if seed(stat) {
                break true;
            }
            if let Some(slot) = decided.get_mut(at) {
                *slot = Some(false);
            }
            match table.binary_search_by_key(&stat.parent, |other| other.pid) {
                Ok(parent) => at = parent,
                Err(_) => break false,
            }
        };
        for at in way.drain(..) {
            if let Some(slot) = decided.get_mut(at) {
                *slot = Some(verdict);
            }
        }
    }
    decided.into_iter().map(|one| one == Some(true)).collect()
}

#[cfg(test)]
mod tests;
