//! The thread `pv-logs`: reads all pipes, and shows every chunk of lines to its consumers.
//!
//! One current-thread runtime, one small task per pipe, one read buffer for all. A task reads until
//! its pipe is empty or its turn is used up, so that no flood starves a quiet service.
//!
//! A panic here is a bug, but must not end services: closing the read end of a pipe kills its
//! writer with SIGPIPE. So a turn is run under `catch_unwind` and the pipe goes on with the next
//! read; what is lost is at most that chunk and the unfinished line. Should a panic hit outside of
//! a turn, the tasks are started anew over the same pipes. Either way it is counted and reported.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local, yield_now};
use tokio::time::{sleep_until, timeout_at};

use super::console::Consoles;
use super::drain::drain;
use super::record::{Chunk, LineMeta, Stream};
use super::service::ServiceLog;
use super::stamp::now_ns;
use super::stream::{ENLARGED_PIPES, Pipe};
use super::{DrainReport, LogEvent, Source, Tap};

/// Bytes of the one read buffer that all pipes share.
pub const READ_BUF: usize = 64 * 1024;

/// Bytes that one pipe may bring before the others have their turn.
pub const TURN: usize = 256 * 1024;

/// Bytes of stack.
const STACK: usize = 256 * 1024;

/// What the handle asks for.
#[derive(Debug)]
pub(super) enum Command {
    Attach(Arc<ServiceLog>, Box<Source>),
    Drain {
        deadline: Instant,
        reply: oneshot::Sender<DrainReport>,
    },
    Width(usize),
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The pipe is empty.
    Empty,
    /// There may be more.
    Used,
    /// The last writer is gone.
    End,
}

pub(super) struct Plane {
    buf: RefCell<Box<[u8]>>,
    metas: RefCell<Vec<LineMeta>>,
    pub(super) consoles: RefCell<Consoles>,
    pub(super) taps: RefCell<Vec<Box<dyn Tap>>>,
    /// The deadline that the taps' timer sleeps until.
    tap_armed: Cell<Option<Instant>>,
    tap_timer: Notify,
    events: mpsc::Sender<LogEvent>,
    pipes: RefCell<HashMap<u64, Rc<Pipe>>>,
    next_pipe: Cell<u64>,
    pub(super) pipe_ended: Notify,
}

/// Starts the thread.
pub(super) fn start(
    mut commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<LogEvent>,
    consoles: Consoles,
    taps: Vec<Box<dyn Tap>>,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let run = move || {
        let plane = Rc::new(Plane {
            buf: RefCell::new(vec![0; READ_BUF].into_boxed_slice()),
            metas: RefCell::default(),
            consoles: RefCell::new(consoles),
            taps: RefCell::new(taps),
            tap_armed: Cell::new(None),
            tap_timer: Notify::new(),
            events,
            pipes: RefCell::default(),
            next_pipe: Cell::new(0),
            pipe_ended: Notify::new(),
        });
        loop {
            let local = LocalSet::new();
            let all = AssertUnwindSafe(|| {
                local.block_on(&runtime, serve(&plane, &mut commands));
            });
            match catch_unwind(all) {
                Ok(()) => return,
                Err(panic) => {
                    let message = panic_message(&*panic);
                    let _ = plane.events.try_send(LogEvent::Panicked {
                        service: None,
                        message,
                    });
                }
            }
        }
    };
    std::thread::Builder::new()
        .name("pv-logs".into())
        .stack_size(STACK)
        .spawn(run)?;
    Ok(())
}

/// Until the last handle is gone. Also the way back in after a panic: takes up the known pipes.
async fn serve(plane: &Rc<Plane>, commands: &mut mpsc::Receiver<Command>) {
    let known: Vec<_> = plane
        .pipes
        .borrow()
        .iter()
        .map(|(k, p)| (*k, Rc::clone(p)))
        .collect();
    for (key, pipe) in known {
        spawn_local(follow(Rc::clone(plane), key, pipe));
    }
    spawn_local(expire_taps(Rc::clone(plane)));
    while let Some(command) = commands.recv().await {
        match command {
            Command::Attach(service, source) => attach(plane, &service, *source),
            Command::Width(width) => plane.consoles.borrow_mut().set_width(width),
            Command::Drain { deadline, reply } => {
                let plane = Rc::clone(plane);
                spawn_local(async move {
                    let _ = reply.send(drain(&plane, deadline).await);
                });
            }
        }
    }
}

fn attach(plane: &Rc<Plane>, service: &Arc<ServiceLog>, source: Source) {
    let watches = Rc::new(RefCell::new(source.watches));
    let started = (source.incarnation, source.pid);
    for (fd, stream) in [
        (source.stdout, Stream::Stdout),
        (source.stderr, Stream::Stderr),
    ] {
        let (service, watches) = (Arc::clone(service), Rc::clone(&watches));
        let pipe = Rc::new(Pipe::new(fd, service, stream, started, watches));
        if plane.pipes.borrow().len() < ENLARGED_PIPES {
            pipe.enlarge();
        }
        let key = plane.next_pipe.get();
        plane.next_pipe.set(key + 1);
        plane.pipes.borrow_mut().insert(key, Rc::clone(&pipe));
        spawn_local(follow(Rc::clone(plane), key, pipe));
    }
}

/// Reads one pipe to its end.
async fn follow(plane: Rc<Plane>, key: u64, pipe: Rc<Pipe>) {
    loop {
        pipe.ready().await;
        plane.unheld(&pipe).await;
        match plane
            .guarded(&pipe, |plane| plane.turn(&pipe, Pipe::read))
            .unwrap_or(Turn::Used)
        {
            Turn::Empty => {}
            Turn::Used => yield_now().await,
            Turn::End => break,
        }
    }
    plane.guarded(&pipe, |plane| plane.finish(&pipe));
    plane.pipes.borrow_mut().remove(&key);
    plane.pipe_ended.notify_waiters();
}

impl Plane {
    /// Runs `f`; a panic is counted and reported, and costs the pipe's unfinished line.
    pub(super) fn guarded<T>(
        self: &Rc<Self>,
        pipe: &Pipe,
        f: impl FnOnce(&Rc<Self>) -> T,
    ) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| f(self))) {
            Ok(value) => Some(value),
            Err(panic) => {
                if let Ok(mut framer) = pipe.framer.try_borrow_mut() {
                    framer.reset();
                }
                self.panicked(pipe, &*panic);
                None
            }
        }
    }

    fn panicked(self: &Rc<Self>, pipe: &Pipe, panic: &(dyn Any + Send)) {
        pipe.service.counters().reader_panics.add(1);
        let service = Some(pipe.service.id());
        // Only if there is room: a panic that repeats must not fill memory with reports.
        let _ = self.events.try_send(LogEvent::Panicked {
            service,
            message: panic_message(panic),
        });
    }

    pub(super) fn turn(
        self: &Rc<Self>,
        pipe: &Pipe,
        read: impl Fn(&Pipe, &mut [u8]) -> Option<usize>,
    ) -> Turn {
        let mut buf = self.buf.borrow_mut();
        let mut metas = self.metas.borrow_mut();
        let mut framer = pipe.framer.borrow_mut();
        let now = Instant::now();
        if let Some(since) = pipe.backlog_since.take() {
            let waited = now.saturating_duration_since(since).as_nanos();
            pipe.service.counters().pipe_blocked_ns.add(waited as u64);
        }
        let mut brought = 0;
        while brought < TURN {
            match read(pipe, &mut buf) {
                None => return Turn::Empty,
                Some(0) => return Turn::End,
                Some(n) => {
                    brought += n;
                    pipe.last_data.set(now);
                    pipe.service.counters().bytes(pipe.stream).add(n as u64);
                    let ts = now_ns();
                    framer.feed(&buf[..n], &mut metas, &mut |bytes, lines| {
                        self.deliver(pipe, ts, bytes, lines);
                    });
                    if self.is_held(pipe) {
                        break;
                    }
                }
            }
        }
        pipe.backlog_since.set(Some(Instant::now()));
        Turn::Used
    }

    /// Whether a tap wants the service's pipes left alone.
    pub(super) fn is_held(&self, pipe: &Pipe) -> bool {
        let id = pipe.service.id();
        self.taps.borrow().iter().any(|tap| tap.hold(id).is_some())
    }

    /// Waits while a tap wants the service's pipes left alone.
    async fn unheld(&self, pipe: &Pipe) {
        loop {
            let id = pipe.service.id();
            let hold = self.taps.borrow().iter().find_map(|tap| tap.hold(id));
            let Some(hold) = hold else { return };
            if pipe.backlog_since.get().is_none() {
                pipe.backlog_since.set(Some(Instant::now()));
            }
            let bell = hold.bell.notified();
            let mut bell = std::pin::pin!(bell);
            // From here on no ring is missed; so what the bell stands for is asked for once more.
            bell.as_mut().enable();
            if !self.is_held(pipe) {
                return;
            }
            match hold.until {
                None => bell.await,
                Some(at) => {
                    let _ = timeout_at(at.into(), bell).await;
                }
            }
        }
    }

    /// Gives out the unfinished line.
    pub(super) fn finish(self: &Rc<Self>, pipe: &Pipe) {
        let ts = now_ns();
        pipe.framer
            .borrow_mut()
            .finish(&mut |b, l| self.deliver(pipe, ts, b, l));
    }

    /// Shows the lines to everybody, in order of importance.
    fn deliver(self: &Rc<Self>, pipe: &Pipe, ts_ns: u64, bytes: &[u8], lines: &[LineMeta]) {
        let counters = pipe.service.counters();
        let count = lines.len() as u64;
        let chunk = Chunk {
            bytes,
            lines,
            first_seq: counters.next_seq.advance(count),
            ts_ns,
            service: pipe.service.id(),
            name: pipe.service.name(),
            stream: pipe.stream,
            incarnation: pipe.incarnation,
            pid: pipe.pid,
        };
        counters.lines(pipe.stream).add(count);
        counters.last_line_ns.set(ts_ns);
        let split = lines.iter().filter(|l| l.partial && l.part == 0).count();
        counters.truncated.add(split as u64);
        pipe.service.ring().push(&chunk);
        self.consoles.borrow_mut().append(&chunk, counters);
        self.watch(pipe, &chunk);
        for tap in self.taps.borrow_mut().iter_mut() {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| tap.chunk(&chunk))) {
                self.panicked(pipe, &*panic);
            }
            if let Some(at) = tap.deadline()
                && self.tap_armed.get().is_none_or(|armed| at < armed)
            {
                self.tap_armed.set(Some(at));
                self.tap_timer.notify_one();
            }
        }
    }

    /// Reports and forgets the probes that a line of the chunk matches.
    fn watch(self: &Rc<Self>, pipe: &Pipe, chunk: &Chunk<'_>) {
        let mut watches = pipe.watches.borrow_mut();
        if watches.is_empty() {
            return;
        }
        watches.retain(|(probe, regex)| {
            let found = chunk.iter().any(|line| regex.is_match(line.text));
            if found {
                self.report(LogEvent::Matched {
                    service: chunk.service,
                    incarnation: chunk.incarnation,
                    probe: *probe,
                });
            }
            !found
        });
    }

    /// A match must arrive. If the supervisor is behind, the event waits in a task of its own:
    /// there is at most one per probe and incarnation.
    fn report(self: &Rc<Self>, event: LogEvent) {
        if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
            let events = self.events.clone();
            spawn_local(async move {
                let _ = events.send(event).await;
            });
        }
    }

    pub(super) fn open(&self) -> Vec<Rc<Pipe>> {
        self.pipes.borrow().values().cloned().collect()
    }
}

/// Calls the taps whose deadline has passed; sleeps for good while none has one.
async fn expire_taps(plane: Rc<Plane>) {
    loop {
        let next = plane
            .taps
            .borrow()
            .iter()
            .filter_map(|t| t.deadline())
            .min();
        plane.tap_armed.set(next);
        let Some(at) = next else {
            plane.tap_timer.notified().await;
            continue;
        };
        tokio::select! {
            () = sleep_until(at.into()) => {}
            () = plane.tap_timer.notified() => {}
        }
        let now = Instant::now();
        for tap in plane.taps.borrow_mut().iter_mut() {
            if tap.deadline().is_some_and(|d| d <= now) {
                let _ = catch_unwind(AssertUnwindSafe(|| tap.expire(now)));
            }
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic".into())
}
