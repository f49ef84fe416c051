//! Signals to podvisor: registered first of all, told apart here, acted on in the loop.

use std::io;
use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Supervisor;
use crate::core::{Event, Halt};
use crate::process::signals as by_number;

/// SIGRTMIN+3, which systemd's tools send to ask for a power-off. SIGRTMIN is 34 for programs: libc keeps two.
const RTMIN_3: i32 = 37;

/// The kernel's first real-time signal; libc keeps some of them.
const FIRST_REAL_TIME: i32 = 32;

/// What a signal means here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// End in order.
    Stop,
    /// End at once.
    Quit,
    /// Apply a changed config.
    Reload,
    /// Say what state everything is in.
    Dump,
    /// Say more, or no longer.
    Debug,
    /// Nothing; it must only not do what it does by default.
    Nothing,
}

/// All signals that podvisor acts on.
pub struct Signals {
    streams: Vec<(i32, Signal)>,
    child: Signal,
    stops: Vec<i32>,
}

/// All signals but SIGCHLD.
pub(super) struct Streams {
    streams: Vec<(i32, Signal)>,
    stops: Vec<i32>,
}

impl Signals {
    /// Registers them. The first thing that podvisor does: PID 1 has no default actions, and what comes while the
    /// config is read must not be lost.
    ///
    /// # Errors
    ///
    /// When the kernel refuses a handler.
    pub fn register(forward_all: bool) -> io::Result<Self> {
        let mut numbers = vec![
            libc::SIGTERM,
            libc::SIGINT,
            libc::SIGQUIT,
            libc::SIGHUP,
            libc::SIGUSR1,
            libc::SIGUSR2,
            libc::SIGTSTP,
            libc::SIGTTIN,
            libc::SIGTTOU,
            RTMIN_3,
        ];
        if forward_all {
            // Not PIPE: it comes from podvisor's own writes to a console that is gone, and std ignores it.
            numbers.extend(by_number::forwardable().filter(|number| *number != libc::SIGPIPE));
            numbers.sort_unstable();
            numbers.dedup();
        }
        let mut streams = Vec::with_capacity(numbers.len());
        for number in numbers {
            match signal(SignalKind::from_raw(number)) {
                Ok(stream) => streams.push((number, stream)),
                // The C library's own (musl keeps one more than glibc): nobody can send it to any use.
                Err(error) if number >= FIRST_REAL_TIME && number != RTMIN_3 => {
                    tracing::debug!(number, %error, "signal not handed on");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Self {
            streams,
            child: signal(SignalKind::child())?,
            stops: Vec::new(),
        })
    }

    /// Further signals that ask podvisor to end (`shutdown.signals`).
    ///
    /// # Errors
    ///
    /// When the kernel refuses a handler.
    pub fn also_stop_on(&mut self, signals: &[i32]) -> io::Result<()> {
        for number in signals {
            if !self.streams.iter().any(|(known, _)| known == number) {
                self.streams
                    .push((*number, signal(SignalKind::from_raw(*number))?));
            }
            self.stops.push(*number);
        }
        Ok(())
    }

    /// SIGCHLD apart from the others: the loop waits for both.
    pub(super) fn split(self) -> (Streams, Signal) {
        (
            Streams {
                streams: self.streams,
                stops: self.stops,
            },
            self.child,
        )
    }
}

impl Streams {
    /// The next signal, and whether it asks podvisor to end.
    pub(super) async fn next(&mut self) -> (i32, bool) {
        std::future::poll_fn(|context| {
            for (number, stream) in &mut self.streams {
                if let Poll::Ready(Some(())) = stream.poll_recv(context) {
                    let stops = self.stops.contains(number);
                    return Poll::Ready((*number, stops));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// A signal that has come already.
    pub(super) fn pending(&mut self) -> Option<(i32, bool)> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(self.next()).poll(&mut context) {
            Poll::Ready(signal) => Some(signal),
            Poll::Pending => None,
        }
    }
}

/// Waits for SIGCHLD. Many deaths may be one signal, so whoever waits must reap until none is left.
pub(super) async fn child_died(child: &mut Signal) {
    if child.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

fn meaning(number: i32, stops: bool) -> Meaning {
    match number {
        _ if stops => Meaning::Stop,
        libc::SIGTERM | libc::SIGINT | RTMIN_3 => Meaning::Stop,
        libc::SIGQUIT => Meaning::Quit,
        libc::SIGHUP => Meaning::Reload,
        libc::SIGUSR1 => Meaning::Dump,
        libc::SIGUSR2 => Meaning::Debug,
        _ => Meaning::Nothing,
    }
}

impl Supervisor {
    pub(super) fn on_signal(&mut self, (number, stops): (i32, bool)) {
        self.published.count_signal(number);
        if self.single {
            return self.hand_on(number, stops);
        }
        match meaning(number, stops) {
            Meaning::Stop => self.queue.push_back(Event::Halt(Halt::Stop)),
            Meaning::Quit => self.queue.push_back(Event::Halt(Halt::Quit)),
            Meaning::Reload => {
                tracing::warn!("HUP: this version cannot reload; the config stays as it is");
            }
            Meaning::Dump => super::dump::dump(&self.published.view()),
            Meaning::Debug => {
                self.own_log.toggle_debug();
            }
            Meaning::Nothing => {}
        }
    }

    /// `run -- CMD`: the command gets every signal, and decides. One that asks to end also starts podvisor's own
    /// deadline, so that the last logs are out before the container runtime kills it.
    fn hand_on(&mut self, number: i32, stops: bool) {
        if matches!(number, libc::SIGTTIN | libc::SIGTTOU) {
            return;
        }
        self.signal_single(number);
        if stops || matches!(number, libc::SIGTERM | RTMIN_3) {
            self.queue.push_back(Event::Halt(Halt::Stop));
        }
    }
}
