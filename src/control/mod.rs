//! Control: what a person asks of a running podvisor, over HTTP/JSON on a unix socket. Types here, both ends beside them.
//!
//! The server has a thread of its own and reads the published view; only what changes something goes to the main loop, as
//! an [`Ask`] in a bounded queue. The client is `podvisor status` and its like. `docs/openapi.yaml` describes the API.

pub mod client;
mod logs;
mod routes;
mod server;
pub mod socket;
pub mod status;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};

use crate::logs::LogPlane;
use crate::usage::Watcher;
use crate::view::View;

pub use server::serve;

/// Asks that wait for the main loop. Past it the client is told to come again.
const WAITING: usize = 64;

/// What can be asked of services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Start them, and what they need.
    Start,
    /// Stop them, and what needs them.
    Stop,
    /// Stop those that run, then start them.
    Restart,
    /// Send this signal to their main processes.
    Signal(i32),
}

/// Something for the main loop.
#[derive(Debug)]
pub struct Ask {
    /// What is to be done.
    pub deed: Deed,
    /// With which services, by their names.
    pub services: Vec<String>,
    /// What became of it: the names of those for which it could not be done, and why.
    pub reply: oneshot::Sender<Result<(), String>>,
}

/// Where asks come out.
pub type Asks = mpsc::Receiver<Ask>;

/// What the server reads and where it turns to.
#[derive(Clone)]
pub struct Shared {
    /// The published view.
    pub view: Arc<ArcSwap<View>>,
    /// Counts the views.
    pub revisions: watch::Receiver<u64>,
    /// The rings.
    pub logs: LogPlane,
    /// What services use, if anybody looks.
    pub usage: Option<Watcher>,
    /// To the main loop.
    pub asks: mpsc::Sender<Ask>,
}

/// The queue to the main loop.
#[must_use]
pub fn asks() -> (mpsc::Sender<Ask>, Asks) {
    mpsc::channel(WAITING)
}
