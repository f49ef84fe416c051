//! What each service uses with all its descendants, and the container as a whole: looked at on an interval, by a thread
//! of its own.
//!
//! A scrape reads what was published last and waits for nobody. While nobody scrapes, nothing is looked at: after
//! [`PATIENCE`] without a scrape the thread sleeps until the next one, which shows the last figures once more.

mod books;
pub mod cgroup;
mod read;
mod tree;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use nix::unistd::Pid;

use crate::process::reaper::Usage as Reaped;
use crate::view::View;
use books::Book;
pub use books::{Held, Spent, TreeUsage};
use cgroup::{Cgroup, Place};
use read::{Reader, open_fds};

/// Without a scrape for so long, the looking ends until there is one.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Messages that wait for the thread. Past it a scrape is not noted, and what an ended process used is missed, counted.
const WAITING: usize = 4096;

/// The figures of one look.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// Each service, in name order.
    pub services: Vec<(Arc<str>, TreeUsage)>,
    /// The container.
    pub cgroup: Cgroup,
    /// How long the look took.
    pub took: Duration,
    /// What could not be read or told, by [`ERRORS`].
    pub errors: [u64; ERRORS.len()],
}

/// Why something is missing in the figures: not permitted, not readable for another reason, use of an ended process that
/// nobody was found to own, or that came too fast.
pub const ERRORS: [&str; 4] = ["denied", "unreadable", "unattributed", "missed"];

/// An index into [`ERRORS`].
#[derive(Debug, Clone, Copy)]
enum Error {
    Denied,
    Unreadable,
    Unattributed,
    Missed,
}

enum Told {
    /// A main process was reaped.
    Main(Arc<str>, Reaped),
    /// Somebody else was.
    Orphan(Pid, Reaped),
    /// There was a scrape.
    Asked,
}

/// The other end of the thread.
#[derive(Debug, Clone)]
pub struct Watcher {
    latest: Arc<ArcSwap<Usage>>,
    tell: SyncSender<Told>,
    missed: Arc<std::sync::atomic::AtomicU64>,
}

impl Watcher {
    /// Starts the thread. It ends with the process.
    ///
    /// # Errors
    /// No thread could be made.
    pub fn start(view: Arc<ArcSwap<View>>, interval: Duration) -> io::Result<Self> {
        let (tell, told) = sync_channel(WAITING);
        let watcher = Self {
            latest: Arc::default(),
            tell,
            missed: Arc::default(),
        };
        let looker = Looker {
            view,
            watcher: watcher.clone(),
            reader: Reader::default(),
            place: Place::of_self(),
            owners: HashMap::new(),
            names: Vec::new(),
            limits: HashMap::new(),
            books: HashMap::new(),
            errors: [0; ERRORS.len()],
            ticks: per_second(),
            page: page_bytes(),
        };
        std::thread::Builder::new()
            .name("pv-usage".into())
            .stack_size(256 * 1024)
            .spawn(move || looker.run(&told, interval))?;
        Ok(watcher)
    }

    /// Figures that stay as they are.
    #[cfg(test)]
    pub(crate) fn fixed(usage: Usage) -> Self {
        Self {
            latest: Arc::new(ArcSwap::from_pointee(usage)),
            tell: sync_channel(1).0,
            missed: Arc::default(),
        }
    }

    /// The figures of the last look; and notes that somebody wants them.
    #[must_use]
    pub fn scrape(&self) -> Arc<Usage> {
        // Full: the thread is busy, so it is awake.
        drop(self.tell.try_send(Told::Asked));
        self.latest.load_full()
    }

    /// A service's main process was reaped.
    pub fn reaped_main(&self, service: &Arc<str>, usage: Reaped) {
        self.tell(Told::Main(service.clone(), usage));
    }

    /// A process that podvisor did not start was reaped.
    pub fn reaped_orphan(&self, pid: Pid, usage: Reaped) {
        self.tell(Told::Orphan(pid, usage));
    }

    fn tell(&self, told: Told) {
        if let Err(TrySendError::Full(_)) = self.tell.try_send(told) {
            self.missed
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

struct Looker {
    view: Arc<ArcSwap<View>>,
    watcher: Watcher,
    reader: Reader,
    place: Place,
    owners: tree::Owners,
    /// The services of the last look, by the places that `owners` names.
    names: Vec<Arc<str>>,
    /// Limits of open files, read once a process.
    limits: HashMap<tree::Name, u64>,
    books: HashMap<Arc<str>, Book>,
    errors: [u64; ERRORS.len()],
    ticks: u32,
    page: u64,
}

impl Looker {
    fn run(mut self, told: &Receiver<Told>, interval: Duration) {
        let (mut next, mut asked) = (Instant::now(), Instant::now());
        loop {
            let now = Instant::now();
            let wanted = now.duration_since(asked) < PATIENCE.max(interval);
            if wanted && now >= next {
                self.look(told);
                next = Instant::now() + interval;
                continue;
            }
            let message = if wanted {
                told.recv_timeout(next.saturating_duration_since(now))
            } else {
                told.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match message {
                Ok(Told::Asked) => asked = Instant::now(),
                Ok(ended) => self.take(ended),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn take(&mut self, told: Told) {
        match told {
            Told::Main(service, usage) => self.books.entry(service).or_default().reaped(&usage),
            Told::Orphan(pid, usage) => {
                // By its number alone, for it is gone; it was just there.
                let mut known = self.owners.iter();
                let owner = known
                    .find_map(|((known, _), owner)| (*known == pid.as_raw()).then_some(*owner));
                match owner.flatten().and_then(|at| self.names.get(at)) {
                    Some(name) => self.books.entry(name.clone()).or_default().reaped(&usage),
                    None => self.count(Error::Unattributed),
                }
            }
            Told::Asked => {}
        }
    }

    fn count(&mut self, error: Error) {
        self.errors[error as usize] += 1;
    }

    fn failed(&mut self, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::PermissionDenied => self.count(Error::Denied),
            // It ended meanwhile.
            io::ErrorKind::NotFound => {}
            _ if error.raw_os_error() == Some(libc::ESRCH) => {}
            _ => self.count(Error::Unreadable),
        }
    }

    fn look(&mut self, told: &Receiver<Told>) {
        let began = Instant::now();
        // First what has ended, then what lives: what ends in between is missed once, and never counted twice.
        while let Ok(told) = told.try_recv() {
            self.take(told);
        }
        let view = self.view.load_full();
        self.names = view.services.iter().map(|s| s.name.clone()).collect();
        let names = self.names.clone();
        let mains: tree::Mains = view
            .services
            .iter()
            .enumerate()
            .filter_map(|(at, service)| Some((service.pid?, at)))
            .collect();
        let mut living = vec![(Spent::default(), Held::default()); names.len()];
        match crate::process::procfs::Reader::pids() {
            Ok(pids) => {
                let place = tree::Place {
                    own: nix::unistd::getpid().as_raw(),
                    mains: &mains,
                    names: &names,
                };
                let walk = tree::walk(pids, &mut self.reader, &place, &mut self.owners);
                for (pid, at, stat) in &walk.members {
                    if let Some((spent, held)) = living.get_mut(*at) {
                        self.add(*pid, stat, spent, held);
                    }
                }
            }
            Err(error) => self.failed(&error),
        }
        let owners = &self.owners;
        self.limits.retain(|name, _| owners.contains_key(name));
        self.books.retain(|name, _| names.contains(name));
        self.errors[Error::Missed as usize] = self
            .watcher
            .missed
            .load(std::sync::atomic::Ordering::Relaxed);
        let services = names
            .into_iter()
            .zip(living)
            .map(|(name, (spent, held))| {
                let spent = self.books.entry(name.clone()).or_default().settle(&spent);
                (name, TreeUsage { held, spent })
            })
            .collect();
        self.watcher.latest.store(Arc::new(Usage {
            services,
            cgroup: self.place.read(),
            took: began.elapsed(),
            errors: self.errors,
        }));
    }

    fn add(&mut self, pid: Pid, stat: &read::Stat, spent: &mut Spent, held: &mut Held) {
        let ticks = |ticks: u64| Duration::from_secs(ticks) / self.ticks;
        spent.user += ticks(stat.user_ticks);
        spent.system += ticks(stat.system_ticks);
        spent.major_faults += stat.major_faults;
        if stat.zombie {
            return;
        }
        held.processes += 1;
        held.threads += stat.threads;
        held.virtual_bytes += stat.virtual_bytes;
        held.resident_bytes += stat.resident_pages * self.page;
        match self.reader.status(pid, stat.threads) {
            Ok(status) => {
                held.swap_bytes += status.swap_bytes;
                spent.voluntary_switches += status.voluntary;
                spent.involuntary_switches += status.involuntary;
            }
            Err(error) => self.failed(&error),
        }
        match self.reader.io(pid) {
            Ok((read, written)) => {
                spent.read_bytes += read;
                spent.write_bytes += written;
            }
            Err(error) => self.failed(&error),
        }
        match open_fds(pid) {
            Ok(open) => {
                held.open_fds += open;
                let limit = self.limit(pid, stat.starttime);
                if let Some(limit) = limit {
                    held.fd_usage_max = held.fd_usage_max.max(open as f64 / limit as f64);
                }
            }
            Err(error) => self.failed(&error),
        }
    }

    fn limit(&mut self, pid: Pid, starttime: u64) -> Option<u64> {
        let name = (pid.as_raw(), starttime);
        if let Some(limit) = self.limits.get(&name) {
            return Some(*limit);
        }
        match self.reader.max_fds(pid) {
            Ok(limit) => {
                let limit = limit?;
                self.limits.insert(name, limit);
                Some(limit)
            }
            Err(error) => {
                self.failed(&error);
                None
            }
        }
    }
}

fn per_second() -> u32 {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK);
    let ticks = ticks
        .ok()
        .flatten()
        .and_then(|ticks| u32::try_from(ticks).ok());
    ticks.filter(|ticks| *ticks > 0).unwrap_or(100)
}

fn page_bytes() -> u64 {
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    let page = page
        .ok()
        .flatten()
        .and_then(|page| u64::try_from(page).ok());
    page.unwrap_or(4096)
}
