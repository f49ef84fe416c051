//! podvisor's own log: compact lines on stderr, quiet, limited, never in the way.
//!
//! The loop that supervises must not wait for stderr: a container runtime that stops reading it
//! would stop podvisor (containerd does that when its disk is full). So a message is rendered into
//! a small bounded queue and the thread `pv-stderr` writes it. What finds the queue full is counted
//! and named in one line once writing goes on. A storm of messages is cut by a token bucket, and
//! one line says how many were held back.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::{Registry, reload};

use super::limit::{Bucket, Rate};
use super::line;
use crate::logs::out::Out;
use crate::logs::stamp::now_ns;

/// The filter when `PODVISOR_LOG` says nothing: our facts, and others' troubles.
const QUIET: &str = "warn,podvisor=info";

/// What SIGUSR2 switches to.
const DEBUG: &str = "warn,podvisor=debug";

/// The limit in ordinary times.
const QUIET_RATE: Rate = Rate {
    burst: 100,
    per_second: 10,
};

/// The limit while debugging.
const DEBUG_RATE: Rate = Rate {
    burst: 1000,
    per_second: 200,
};

/// Bytes that may wait for stderr.
pub const QUEUE: usize = 64 * 1024;

/// How often the writer looks whether it may say what was held back.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// Bytes of stack: the thread only swaps and writes.
const STACK: usize = 64 * 1024;

/// How podvisor's own log is set up.
#[derive(Debug)]
pub struct Options {
    /// `PODVISOR_LOG`: a level, or levels by target, as `debug` or `info,podvisor::core=trace`.
    pub filter: Option<String>,
    /// Colour the levels.
    pub colour: bool,
    /// Where to write.
    pub fd: OwnedFd,
}

impl Options {
    /// From the environment, onto the inherited stderr.
    ///
    /// # Errors
    /// When stderr is closed or no descriptor is left.
    pub fn from_env() -> std::io::Result<Options> {
        use std::os::fd::AsFd;
        let stderr = std::io::stderr();
        Ok(Options {
            filter: std::env::var("PODVISOR_LOG")
                .ok()
                .filter(|f| !f.trim().is_empty()),
            colour: crate::logs::colour_wanted(&stderr),
            fd: stderr.as_fd().try_clone_to_owned()?,
        })
    }
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The writer thread could not be created.
    #[error("can't start the log's writer: {0}")]
    Thread(#[from] std::io::Error),
    /// A second call.
    #[error("podvisor's own log is already set up")]
    Twice,
}

/// The handle for what happens to the log later.
#[derive(Debug)]
pub struct OwnLog {
    filter: reload::Handle<Targets, Registry>,
    base: String,
    debug: AtomicBool,
    shared: Arc<Shared>,
}

/// Sets up the log for the whole process. A filter that can't be read is one warning, and the
/// default is used.
///
/// # Errors
/// See [`InitError`].
pub fn init(options: Options) -> Result<OwnLog, InitError> {
    let wanted = options.filter.clone();
    let (subscriber, log, problem) = build(options)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| InitError::Twice)?;
    if let (Some(problem), Some(filter)) = (problem, wanted) {
        tracing::warn!(%filter, %problem, used = QUIET, "PODVISOR_LOG can't be read");
    }
    Ok(log)
}

/// As [`init`], but the caller installs the subscriber. Also what is wrong with the filter.
///
/// # Errors
/// When the writer thread can't be created.
pub fn build(
    options: Options,
) -> std::io::Result<(impl Subscriber + Send + Sync, OwnLog, Option<String>)> {
    let base = options.filter.unwrap_or_else(|| QUIET.into());
    let (base, filter, problem) = match base.parse::<Targets>() {
        Ok(filter) => (base, filter, None),
        Err(e) => (QUIET.into(), targets(QUIET), Some(e.to_string())),
    };
    let shared = Arc::new(Shared::new(options.colour));
    let theirs = Arc::clone(&shared);
    let out = Out::new(options.fd);
    std::thread::Builder::new()
        .name("pv-stderr".into())
        .stack_size(STACK)
        .spawn(move || writer(&theirs, &out))?;
    let (filter, handle) = reload::Layer::new(filter);
    let subscriber = Registry::default()
        .with(filter)
        .with(Front(Arc::clone(&shared)));
    let log = OwnLog {
        filter: handle,
        base,
        debug: AtomicBool::new(false),
        shared,
    };
    Ok((subscriber, log, problem))
}

/// A filter that has been read before, or is ours.
fn targets(text: &str) -> Targets {
    text.parse().unwrap_or_default()
}

impl OwnLog {
    /// Switches debug messages on, or back to what was asked for; true when they are on now.
    pub fn toggle_debug(&self) -> bool {
        let on = !self.debug.fetch_xor(true, Relaxed);
        let (filter, rate) = if on {
            (DEBUG, DEBUG_RATE)
        } else {
            (&*self.base, QUIET_RATE)
        };
        // Both were read before, and the subscriber lives as long as the process.
        let _ = self.filter.reload(targets(filter));
        self.shared.lock().bucket.set_rate(rate);
        on
    }

    /// Waits until everything said so far is written, at most for `timeout`; true when it is.
    /// Blocks: only for the way out.
    pub fn flush(&self, timeout: Duration) -> bool {
        let waited = self
            .shared
            .idle
            .wait_timeout_while(self.shared.lock(), timeout, |s| {
                s.writing || !s.queue.is_empty()
            });
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Messages that found the queue full because stderr was blocked.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Relaxed)
    }

    /// Messages that the rate limit held back.
    #[must_use]
    pub fn suppressed(&self) -> u64 {
        self.shared.suppressed.load(Relaxed)
    }
}

#[cfg(test)]
impl OwnLog {
    /// Messages were held back that no line has named yet.
    pub(super) fn owes_report(&self) -> bool {
        self.shared.lock().bucket.owes_report()
    }
}

#[derive(Debug)]
struct State {
    queue: String,
    bucket: Bucket,
    /// Messages that found the queue full and are not named yet.
    missing: u64,
    writing: bool,
    closed: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    idle: Condvar,
    colour: bool,
    dropped: AtomicU64,
    suppressed: AtomicU64,
}

impl Shared {
    fn new(colour: bool) -> Self {
        let state = State {
            queue: String::new(),
            bucket: Bucket::new(QUIET_RATE, Instant::now()),
            missing: 0,
            writing: false,
            closed: false,
        };
        Shared {
            state: Mutex::new(state),
            wake: Condvar::new(),
            idle: Condvar::new(),
            colour,
            dropped: AtomicU64::new(0),
            suppressed: AtomicU64::new(0),
        }
    }

    /// Held for a copy of one line or a swap, never for a write.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues how many messages were held back, if it is time.
    fn report(&self, state: &mut State, now: Instant) {
        if let Some(n) = state.bucket.report(now) {
            state.queue += &line::remark(
                &format!("{n} messages suppressed by the rate limit"),
                now_ns(),
                self.colour,
            );
        }
    }
}

/// The layer at the end of the subscriber. Dropping it ends the writer.
struct Front(Arc<Shared>);

impl<S: Subscriber> Layer<S> for Front {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let shared = &self.0;
        let now = Instant::now();
        let mut state = shared.lock();
        shared.report(&mut state, now);
        if !state.bucket.take(now) {
            shared.suppressed.fetch_add(1, Relaxed);
            // The writer looks after it that the number is named.
            shared.wake.notify_one();
            return;
        }
        // Rendered without the lock: a value's Debug may be slow, or log itself.
        drop(state);
        let text = line::event(event, now_ns(), shared.colour);
        let mut state = shared.lock();
        if state.missing > 0 || state.queue.len() + text.len() > QUEUE {
            state.missing += 1;
            shared.dropped.fetch_add(1, Relaxed);
        } else {
            state.queue += &text;
        }
        drop(state);
        shared.wake.notify_one();
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.wake.notify_one();
    }
}

fn writer(shared: &Shared, out: &Out) {
    let mut text = String::new();
    let mut state = shared.lock();
    loop {
        shared.report(&mut state, Instant::now());
        if state.queue.is_empty() {
            shared.idle.notify_all();
            if state.closed {
                return;
            }
            state = if state.bucket.owes_report() {
                let waited = shared.wake.wait_timeout(state, REPORT_EVERY);
                waited.unwrap_or_else(PoisonError::into_inner).0
            } else {
                shared
                    .wake
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner)
            };
            continue;
        }
        let missing = std::mem::take(&mut state.missing);
        std::mem::swap(&mut state.queue, &mut text);
        state.writing = true;
        drop(state);
        if missing > 0 {
            let remark = format!("{missing} messages dropped: stderr was blocked");
            text += &line::remark(&remark, now_ns(), shared.colour);
        }
        // One write per line keeps each whole beside other writers of the same pipe. There is
        // nowhere left to report a failure to.
        for line in text.split_inclusive('\n') {
            let _ = out.write_all(line.as_bytes());
        }
        text.clear();
        state = shared.lock();
        state.writing = false;
    }
}
