//! The thread `pv-ship`: one task per sink, one that takes parcels in, one that ends it all.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{sleep_until, timeout, timeout_at};

use super::announce::Announcer;
use super::compose::compose;
use super::delivery::{Request, Step};
use super::desk::Desk;
use super::pack::Packed;
use super::sink::{Answer, Entry, raw_bytes};
use super::verdict::{Failure, Reason, Verdict};
use super::{Asked, FlushReport};

/// Bytes of stack. TLS handshakes and zstd need some.
const STACK: usize = 512 * 1024;

/// A request that its own timeout did not end is given up after this much longer: a bug in the client, or a hung resolver.
const OVERTIME: Duration = Duration::from_secs(2);

/// A sink with work and nothing under way is looked at after this long, whatever was missed: better late than never.
const WATCHDOG: Duration = Duration::from_secs(60);

type Shared = Rc<RefCell<Desk>>;

/// Starts the thread. `build` makes the desk there, since what it holds belongs to one thread.
pub(super) fn start(
    build: impl FnOnce() -> Desk + Send + 'static,
    announcer: Announcer,
    parcels: mpsc::Receiver<Packed>,
    asked: mpsc::Receiver<Asked>,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Name resolution only: it blocks.
        .max_blocking_threads(4)
        .build()?;
    std::thread::Builder::new()
        .name("pv-ship".into())
        .stack_size(STACK)
        .spawn(move || {
            let desk = Rc::new(RefCell::new(build()));
            let local = LocalSet::new();
            local.block_on(&runtime, serve(desk, announcer, parcels, asked));
            // A resolver that hangs is not waited for.
            runtime.shutdown_background();
        })?;
    Ok(())
}

async fn serve(
    desk: Shared,
    announcer: Announcer,
    mut parcels: mpsc::Receiver<Packed>,
    mut asked: mpsc::Receiver<Asked>,
) {
    let announcer = Rc::new(RefCell::new(announcer));
    let sinks = desk.borrow().sinks.len();
    for at in 0..sinks {
        spawn_local(follow(Rc::clone(&desk), Rc::clone(&announcer), at));
    }
    loop {
        tokio::select! {
            packed = parcels.recv() => match packed {
                Some(Packed::Parcel(lane, parcel)) => desk.borrow_mut().accept(lane, parcel),
                Some(Packed::Mark) => desk.borrow_mut().mark(),
                None => return,
            },
            Some(Asked::Flush { deadline, reply }) = asked.recv() => {
                spawn_local(end(Rc::clone(&desk), deadline, reply));
            }
        }
    }
}

/// Sends what one sink has, as its delivery decides.
async fn follow(desk: Shared, announcer: Rc<RefCell<Announcer>>, at: usize) {
    let wake = Rc::clone(&desk.borrow().sinks[at].wake);
    loop {
        let to_say = announcer
            .borrow_mut()
            .tell_losses(&mut desk.borrow_mut(), at);
        let step = desk.borrow_mut().step(at);
        match step {
            Step::Send(request) => {
                spawn_local(attempt(Rc::clone(&desk), at, request));
            }
            Step::Wait(until) => {
                let watchdog = Instant::now() + WATCHDOG;
                let until = [until, to_say]
                    .into_iter()
                    .flatten()
                    .fold(watchdog, Instant::min);
                tokio::select! {
                    () = wake.notified() => {}
                    () = sleep_until(until.into()) => {}
                }
            }
        }
    }
}

/// One request and its answer.
async fn attempt(desk: Shared, at: usize, request: Request<Rc<Entry>>) {
    let started = Instant::now();
    let (sender, time, wake) = {
        let desk = desk.borrow();
        let sink = &desk.sinks[at];
        (Rc::clone(&sink.sender), sink.timeout, Rc::clone(&sink.wake))
    };
    let raw = raw_bytes(&request);
    let (verdict, wire_bytes) = match compose(&request) {
        Some(body) => {
            let wire_bytes = body.iter().map(bytes::Bytes::len).sum();
            let first = request.parts.first();
            let batch = first.map_or_else(String::new, |part| {
                format!(
                    "{:016x}-{}",
                    part.handle.parcel.source, part.handle.parcel.seq
                )
            });
            // In a task of its own: should the client panic, the sink gets an answer all the same.
            let sending = spawn_local(async move { sender.send(body, time, &batch).await });
            let verdict = match timeout(time + OVERTIME, sending).await {
                Ok(Ok(verdict)) => verdict,
                Ok(Err(_)) => failed(Reason::Connect, "the client failed (a bug)"),
                Err(_) => failed(Reason::Timeout, "no answer, nor a timeout"),
            };
            (verdict, wire_bytes)
        }
        // What we packed ourselves can't be unpacked: memory or disk is bad.
        None => (
            Verdict::Malformed {
                message: "a damaged parcel".into(),
            },
            0,
        ),
    };
    let answer = Answer {
        id: request.id,
        verdict,
        took: started.elapsed(),
        wire_bytes,
        raw_bytes: raw,
    };
    drop(request);
    desk.borrow_mut().answered(at, answer);
    wake.notify_one();
}

fn failed(reason: Reason, message: &str) -> Verdict {
    Verdict::Retry(Failure {
        reason,
        after: None,
        suspect: false,
        stale: false,
        message: message.to_owned(),
    })
}

/// Sends what can be sent until the deadline; then what is left goes to the spool, or is counted.
async fn end(desk: Shared, deadline: Instant, reply: oneshot::Sender<FlushReport>) {
    desk.borrow_mut().begin_drain(deadline);
    let changed = Rc::clone(&desk.borrow().changed);
    let all_out = async {
        loop {
            let change = changed.notified();
            let mut change = std::pin::pin!(change);
            change.as_mut().enable();
            if desk.borrow().is_done() {
                return;
            }
            change.await;
        }
    };
    let in_time = timeout_at(deadline.into(), all_out).await.is_ok();
    let left = desk.borrow_mut().finish();
    let _ = reply.send(FlushReport {
        in_time,
        spooled: left.spooled,
        lost: left.lost,
    });
}
