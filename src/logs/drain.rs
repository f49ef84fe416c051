//! The end of the log plane's work: all that was written is read, given out and shown.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::yield_now;
use tokio::time::{sleep_until, timeout_at};

use super::DrainReport;
use super::reader::Plane;
use super::stream::Pipe;

/// At a drain, a pipe that somebody still holds counts as read after this long a silence.
pub const IDLE: Duration = Duration::from_millis(250);

/// See [`super::LogPlane::drain`].
pub(super) async fn drain(plane: &Rc<Plane>, deadline: Instant) -> DrainReport {
    let started = Instant::now();
    let pipes_drained = loop {
        let ended = plane.pipe_ended.notified();
        let now = Instant::now();
        let open = plane.open();
        let silent = open
            .iter()
            .map(|p| p.last_data.get().max(started) + IDLE)
            .max();
        match silent {
            None => break true,
            _ if now >= deadline => break false,
            Some(at) if at > now => {
                // Not just asleep until then: the end of the last pipe ends the wait.
                tokio::select! {
                    () = sleep_until(at.min(deadline).into()) => {}
                    () = ended => {}
                }
            }
            // A tap wants some left alone for now: they are not silent, they wait.
            Some(_) if open.iter().any(|p| plane.is_held(p)) => {
                tokio::select! {
                    () = sleep_until((now + IDLE).min(deadline).into()) => {}
                    () = ended => {}
                }
            }
            // Silent as far as we were told. Look for ourselves: a busy machine may have kept this
            // thread from its pipes for as long.
            Some(_) => {
                for pipe in &open {
                    plane.guarded(pipe, |plane| plane.turn(pipe, Pipe::read_now));
                }
                if open.iter().all(|p| p.last_data.get() < now) {
                    break true;
                }
                yield_now().await;
            }
        }
    };
    let open = plane.open();
    for pipe in &open {
        plane.guarded(pipe, |plane| plane.finish(pipe));
    }
    for tap in plane.taps.borrow_mut().iter_mut() {
        let _ = catch_unwind(AssertUnwindSafe(|| tap.flush()));
    }
    let consoles = plane.consoles.borrow().idle();
    let written = async {
        for console in consoles {
            console.written().await;
        }
    };
    let console_written = timeout_at(deadline.into(), written).await.is_ok();
    DrainReport {
        open_pipes: open.len(),
        pipes_drained,
        console_written,
    }
}
