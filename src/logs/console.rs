//! The console: one thread that writes whole lines to fd 1, and the bounded queue before it.
//!
//! A container runtime can stop reading fd 1 for ever. Then the writer thread hangs in write(2) and
//! nothing else does: the queue fills, further lines are left out of the console (only of the
//! console), counted per service, and when writing goes on one line says how many are missing,
//! at the very place where they are missing.
//!
//! A console that is merely busy for a moment is not blocked: the writer thread may just wait for
//! the CPU while a service floods. So before lines are left out the reader waits a little, at most
//! [`PATIENCE`] at once and a tenth of the time, which the services' pipes (256 KiB each) buffer
//! unless they flood too. Once lines are being left out it does not wait at all.
//!
//! The queue is one byte buffer that the reader appends rendered lines to and that the writer swaps
//! with its empty one. So nothing is allocated per line, and the bound is exact in bytes.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::counters::{ConsoleCounters, ServiceCounters};
use super::format::{Format, Formatter, NoticeStyle, notice};
use super::out::Out;
use super::record::{Chunk, ServiceId, Stream};

/// Half of the console's queue in bytes: this much may wait while as much is being written, each
/// plus the one chunk that passes the mark. Together about 1.2 MiB.
pub const QUEUE_HALF: usize = 512 * 1024;

/// A full queue is waited for at most this long at once ...
pub const PATIENCE: Duration = Duration::from_millis(100);

/// ... and for at most one part in this many of the time.
pub const PATIENCE_SHARE: u32 = 10;

/// Changes of service that the queue holds at most: bounds the bookkeeping (128 KiB) when many
/// services write very short lines in turn.
pub const MAX_SPANS: usize = 8192;

/// One write to fd 1 carries whole lines up to this many bytes, or one longer line.
pub const MAX_WRITE: usize = 64 * 1024;

/// After this long without a line the buffers shrink to [`KEEP_IDLE`].
const SHRINK_AFTER: Duration = Duration::from_secs(2);

/// Bytes that each of the two buffers keeps when idle.
const KEEP_IDLE: usize = 8 * 1024;

/// Bytes of stack: the thread only swaps, cuts and writes.
const STACK: usize = 64 * 1024;

#[derive(Debug)]
struct Span {
    counters: Arc<ServiceCounters>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Whose lines `bytes` holds, in order: to count them if the write fails.
    spans: Vec<Span>,
}

#[derive(Debug)]
struct State {
    pending: Batch,
    /// Lines left out since the queue was found full; 0 means that it is open.
    dropped: u64,
    /// Raw only: whose unfinished line the console's cursor stands in.
    open: Option<ServiceId>,
    style: NoticeStyle,
    writing: bool,
    closed: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    /// The queue was taken.
    room: Condvar,
    idle: Notify,
    counters: Arc<ConsoleCounters>,
}

impl Shared {
    /// The writer thread never panics with the lock held in a half-done state: every critical
    /// section only moves whole values. So a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reader's end of the console. Dropping it ends the writer thread once all is written.
#[derive(Debug)]
pub struct Console {
    shared: Arc<Shared>,
    formatter: Formatter,
    /// How long the reader may still wait, and when that was reckoned.
    patience: (Duration, Instant),
}

impl Console {
    /// Starts the thread `pv-console` that writes to `fd`; with [`Format::None`] there is none.
    ///
    /// # Errors
    /// When the thread can't be created.
    pub fn start(
        fd: OwnedFd,
        formatter: Formatter,
        counters: Arc<ConsoleCounters>,
    ) -> std::io::Result<Console> {
        let state = State {
            pending: Batch::default(),
            dropped: 0,
            open: None,
            style: formatter.notice_style(),
            writing: false,
            closed: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            wake: Condvar::new(),
            room: Condvar::new(),
            idle: Notify::new(),
            counters,
        });
        if formatter.format() != Format::None {
            let theirs = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("pv-console".into())
                .stack_size(STACK)
                .spawn(move || writer(&theirs, &Out::new(fd)))?;
        }
        Ok(Console {
            shared,
            formatter,
            patience: (PATIENCE, Instant::now()),
        })
    }

    /// Aligns prefixes to names of this many bytes.
    pub fn set_width(&mut self, width: usize) {
        self.formatter.set_width(width);
        self.shared.lock().style = self.formatter.notice_style();
    }

    /// Queues the chunk's lines. Waits for room as the module says; what has none is counted.
    pub fn append(&mut self, chunk: &Chunk<'_>, counters: &Arc<ServiceCounters>) {
        if self.formatter.format() == Format::None {
            return;
        }
        self.formatter.begin(chunk);
        let mut state = self.shared.lock();
        if state.full() && state.dropped == 0 {
            state = wait_for_room(&self.shared, state, &mut self.patience);
        }
        let was_empty = state.pending.bytes.is_empty();
        let taken = state.append(&self.formatter, chunk, counters);
        let wake = was_empty && taken > 0 && !state.writing;
        drop(state);
        if wake {
            self.shared.wake.notify_one();
        }
    }

    /// To wait for the console without holding it.
    #[must_use]
    pub fn idle(&self) -> ConsoleIdle {
        ConsoleIdle(Arc::clone(&self.shared))
    }
}

/// The console for stdout, and one for stderr where that is written apart.
#[derive(Debug)]
pub struct Consoles {
    /// Stdout, and stderr when there is no console of its own.
    pub out: Console,
    /// Stderr.
    pub err: Option<Console>,
}

impl Consoles {
    /// Aligns prefixes to names of this many bytes.
    pub fn set_width(&mut self, width: usize) {
        self.out.set_width(width);
        if let Some(err) = &mut self.err {
            err.set_width(width);
        }
    }

    /// Queues the chunk's lines where its stream goes.
    pub fn append(&mut self, chunk: &Chunk<'_>, counters: &Arc<ServiceCounters>) {
        match (&mut self.err, chunk.stream) {
            (Some(err), Stream::Stderr) => err.append(chunk, counters),
            _ => self.out.append(chunk, counters),
        }
    }

    /// To wait for all of them.
    #[must_use]
    pub fn idle(&self) -> Vec<ConsoleIdle> {
        [Some(&self.out), self.err.as_ref()]
            .into_iter()
            .flatten()
            .map(Console::idle)
            .collect()
    }
}

/// Tells when the console has written what it was given.
#[derive(Debug)]
pub struct ConsoleIdle(Arc<Shared>);

impl ConsoleIdle {
    /// Resolves when everything queued is written, or counted as failed.
    pub async fn written(&self) {
        loop {
            let idle = self.0.idle.notified();
            if self.now() {
                return;
            }
            idle.await;
        }
    }

    /// True when nothing waits and nothing is being written.
    #[must_use]
    pub fn now(&self) -> bool {
        let state = self.0.lock();
        !state.writing && state.pending.bytes.is_empty() && state.dropped == 0
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_one();
    }
}

/// Waits until the queue is taken, as long as the patience lasts.
fn wait_for_room<'a>(
    shared: &'a Shared,
    state: MutexGuard<'a, State>,
    (left, reckoned): &mut (Duration, Instant),
) -> MutexGuard<'a, State> {
    let start = Instant::now();
    *left = (*left + (start - *reckoned) / PATIENCE_SHARE).min(PATIENCE);
    let waited = shared.room.wait_timeout_while(state, *left, |s| s.full());
    *reckoned = Instant::now();
    *left = left.saturating_sub(*reckoned - start);
    waited.unwrap_or_else(PoisonError::into_inner).0
}

impl State {
    /// Appends what has room; returns how many lines that were.
    fn append(&mut self, f: &Formatter, chunk: &Chunk<'_>, counters: &Arc<ServiceCounters>) -> u64 {
        let before = self.pending.bytes.len();
        let mut taken = 0;
        if self.dropped == 0 && !self.full() {
            if f.format() == Format::Raw {
                if self.open.is_some_and(|s| s != chunk.service) {
                    self.pending.bytes.push(b'\n');
                }
                self.open = None;
            }
            if f.format() == Format::Raw {
                self.pending.bytes.extend_from_slice(chunk.raw());
            } else {
                chunk
                    .iter()
                    .for_each(|line| f.line(&line, &mut self.pending.bytes));
            }
            taken = chunk.lines.len();
            if self.pending.bytes.last().is_some_and(|b| *b != b'\n') {
                self.open = Some(chunk.service);
            }
        }
        let (taken, left) = (taken as u64, (chunk.lines.len() - taken) as u64);
        if left > 0 {
            self.dropped += left;
            counters.console_dropped.add(left);
        }
        let bytes = self.pending.bytes.len() - before;
        match self.pending.spans.last_mut() {
            Some(span) if Arc::ptr_eq(&span.counters, counters) => span.bytes += bytes,
            _ if bytes == 0 => {}
            _ => self.pending.spans.push(Span {
                counters: Arc::clone(counters),
                bytes,
            }),
        }
        taken
    }

    fn full(&self) -> bool {
        self.pending.bytes.len() >= QUEUE_HALF || self.pending.spans.len() >= MAX_SPANS
    }

    /// Says what was left out, behind the last line that had room.
    fn add_notice(&mut self) {
        if self.dropped == 0 {
            return;
        }
        if self.open.take().is_some() {
            self.pending.bytes.push(b'\n');
        }
        notice(self.style, self.dropped, &mut self.pending.bytes);
        self.dropped = 0;
    }
}

fn writer(shared: &Shared, out: &Out) {
    let mut batch = Batch::default();
    while next_batch(shared, &mut batch) {
        write_batch(shared, out, &batch);
        batch.bytes.clear();
        batch.spans.clear();
    }
}

/// Waits for lines and swaps them into `batch`, which is empty. False when the console is closed.
fn next_batch(shared: &Shared, batch: &mut Batch) -> bool {
    let mut state = shared.lock();
    state.writing = false;
    let mut shrunk = false;
    while state.pending.bytes.is_empty() && state.dropped == 0 {
        if state.closed {
            return false;
        }
        shared.idle.notify_waiters();
        state = if shrunk {
            shared
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner)
        } else {
            let waited = shared.wake.wait_timeout(state, SHRINK_AFTER);
            let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            if timeout.timed_out() {
                shrunk = true;
                for b in [&mut state.pending, batch] {
                    b.bytes.shrink_to(KEEP_IDLE);
                    b.spans.shrink_to(KEEP_IDLE / size_of::<Span>());
                }
            }
            state
        };
    }
    state.add_notice();
    std::mem::swap(&mut state.pending, batch);
    state.writing = true;
    shared.room.notify_one();
    true
}

fn write_batch(shared: &Shared, out: &Out, batch: &Batch) {
    let mut done = 0;
    while done < batch.bytes.len() {
        let piece = &batch.bytes[done..];
        let piece = &piece[..whole_lines(piece)];
        match out.write_all(piece) {
            Ok(()) => shared.counters.written_bytes.add(piece.len() as u64),
            Err(e) => {
                shared.counters.write_errors(e.into()).add(1);
                count_lost(batch, done, done + piece.len());
            }
        }
        done += piece.len();
    }
}

/// Counts the lines in `batch.bytes[from..to]` as dropped, each to its service.
fn count_lost(batch: &Batch, from: usize, to: usize) {
    let mut start = 0;
    for span in &batch.spans {
        let end = start + span.bytes;
        if let Some(lost) = batch.bytes.get(start.max(from)..end.min(to))
            && let Some(last) = lost.last()
        {
            let lines = memchr::memchr_iter(b'\n', lost).count() + usize::from(*last != b'\n');
            span.counters.console_dropped.add(lines as u64);
        }
        start = end;
    }
}

/// Length of the whole lines at the start of `bytes` that go out in one write.
fn whole_lines(bytes: &[u8]) -> usize {
    if bytes.len() <= MAX_WRITE {
        return bytes.len();
    }
    match memchr::memrchr(b'\n', &bytes[..MAX_WRITE]) {
        Some(i) => i + 1,
        None => {
            memchr::memchr(b'\n', &bytes[MAX_WRITE..]).map_or(bytes.len(), |i| MAX_WRITE + i + 1)
        }
    }
}
