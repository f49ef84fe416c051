//! A small receiver of what the sinks send: NDJSON as Vector takes it, and OTLP over HTTP.
//!
//! For trying things out, for demonstrations, and for tests: it shows what comes in, keeps books of it
//! ([`ledger`]) and fails on request ([`faults`]). Not for production: it keeps nothing but what is
//! written out, and its output is written before a request is answered, on the same thread, so one who
//! does not read it (a stopped terminal, a full pipe) holds everything up.

mod answer;
pub mod decode;
mod door;
pub mod faults;
pub mod ledger;
mod server;
pub mod show;

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use http::StatusCode;
use tokio::sync::mpsc;

use decode::Seen;
pub use door::Door;
use faults::Faults;
use ledger::{Counts, Ledger};
pub use server::serve;

/// Commands that may wait: each is waited for by who gave it.
const COMMANDS: usize = 16;

/// Where records go.
pub trait Output: Send {
    /// A record that is kept. Failures are told by [`Output::end`].
    fn record(&mut self, seen: &Seen<'_>);

    /// A request that was not taken, or is not answered with success.
    fn refused(&mut self, path: &str, status: Option<StatusCode>, why: &str);

    /// All of a request's records have been handed over; it is answered next.
    ///
    /// # Errors
    ///
    /// When records could not be written: the receiver ends.
    fn end(&mut self) -> io::Result<()>;
}

/// The books and the output, held while a request is taken in.
pub struct Desk {
    ledger: Mutex<Ledger>,
    output: Mutex<Box<dyn Output>>,
}

impl Desk {
    /// With empty books.
    #[must_use]
    pub fn new(output: Box<dyn Output>) -> Arc<Self> {
        Arc::new(Desk {
            ledger: Mutex::default(),
            output: Mutex::new(output),
        })
    }

    /// The books as they stand.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.ledger().counts()
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn output(&self) -> MutexGuard<'_, Box<dyn Output>> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a running receiver can be told. Each is confirmed when it is done.
#[derive(Debug)]
pub enum Command {
    /// Other faults from now on.
    Faults(Faults, SyncSender<()>),
    /// Refuse connections, and cut those that are open.
    Down(SyncSender<()>),
    /// Take connections again, on the same port.
    Up(SyncSender<()>),
}

/// The start of a text, `at` bytes at most.
fn cut(text: &str, at: usize) -> &str {
    text.get(..text.floor_char_boundary(at)).unwrap_or(text)
}

/// A receiver on a thread of its own, until it is dropped.
pub struct Receiver {
    address: SocketAddr,
    desk: Arc<Desk>,
    commands: Option<mpsc::Sender<Command>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Receiver {
    /// Listens on an address, of which the port may be 0.
    ///
    /// # Errors
    ///
    /// The address can't be listened on, or there is no thread or event loop to be had.
    pub fn start(
        address: SocketAddr,
        faults: Faults,
        output: Box<dyn Output>,
    ) -> io::Result<Receiver> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let door = {
            let _guard = runtime.enter();
            Door::bind(address)?
        };
        let address = door.address();
        let desk = Desk::new(output);
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let work = serve(door, desk.clone(), faults, receiver);
        let thread = std::thread::Builder::new()
            .name("pv-receive".to_owned())
            .spawn(move || runtime.block_on(work))?;
        Ok(Receiver {
            address,
            desk,
            commands: Some(commands),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The books as they stand.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.desk.counts()
    }

    /// Other faults from now on, for requests that have not been read yet.
    pub fn set_faults(&self, faults: Faults) {
        self.tell(|done| Command::Faults(faults, done));
    }

    /// Refuses connections, and cuts those that are open.
    pub fn down(&self) {
        self.tell(Command::Down);
    }

    /// Takes connections again, on the same port.
    pub fn up(&self) {
        self.tell(Command::Up);
    }

    /// Waits until it is done. Nothing happens if the receiver has ended.
    fn tell(&self, command: impl FnOnce(SyncSender<()>) -> Command) {
        let (done, confirmed) = sync_channel(1);
        let sent = self
            .commands
            .as_ref()
            .is_some_and(|commands| commands.blocking_send(command(done)).is_ok());
        if sent {
            // An error: the receiver has ended.
            let _ = confirmed.recv();
        }
    }

    /// Ends it, and gives the books.
    ///
    /// # Errors
    ///
    /// As [`serve`].
    pub fn stop(mut self) -> io::Result<Counts> {
        self.end()?;
        Ok(self.desk.counts())
    }

    fn end(&mut self) -> io::Result<()> {
        drop(self.commands.take());
        let ended = self.thread.take().map(JoinHandle::join);
        ended.and_then(Result::ok).unwrap_or(Ok(()))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.end());
    }
}
