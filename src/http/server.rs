//! The server: one thread, bounded in connections, bytes and time, so that nobody keeps the kubelet out.
//!
//! When all places are taken, the connection that has been idle or slow for longest is closed for the new one: a
//! scanner that opens connections and says nothing, or says it a byte at a time, only ever evicts its own kind and
//! itself.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::{AbortHandle, LocalSet};

use super::reply::{Reply, TEXT, reply};
use super::{Shared, health, metrics, page};

/// Connections at the same time.
const MAX_CONNECTIONS: usize = 64;
/// How long a request's head may take, and an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest request head.
const MAX_HEAD: usize = 16 * 1024;
/// How long to wait after accept(2) failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The thread's stack; a scrape needs most.
const STACK: usize = 512 * 1024;
/// The paths of this endpoint, for metrics: everything else counts as `other`.
const PATHS: &str = "/livez /readyz /readyz/<name> /startupz /healthz /metrics";

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {error}")]
pub struct BindError {
    address: SocketAddr,
    error: io::Error,
}

/// An address that is listened on, and not answered yet.
#[derive(Debug)]
pub struct Bound(TcpListener);

/// Listens on an address; before anything is started, so that a wrong one is refused in time.
///
/// # Errors
///
/// The address is taken, not this machine's, or needs a privilege.
pub fn bind(address: SocketAddr) -> Result<Bound, BindError> {
    let failed = |error| BindError { address, error };
    // std sets SO_REUSEADDR: a container that is restarted finds the old one's connections in TIME_WAIT.
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(Bound(listener))
}

impl Bound {
    /// The address; its port is the real one when 0 was asked for.
    ///
    /// # Errors
    ///
    /// As getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Answers from now on, on a thread of its own, for as long as podvisor lives.
    ///
    /// # Errors
    ///
    /// When the thread or its event loop cannot be made.
    pub fn serve(self, shared: Shared) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _guard = runtime.enter();
            tokio::net::TcpListener::from_std(self.0)?
        };
        let thread = std::thread::Builder::new()
            .name("pv-http".to_owned())
            .stack_size(STACK);
        let serve = move || LocalSet::new().block_on(&runtime, accept(listener, Arc::new(shared)));
        thread.spawn(serve).map(drop)
    }
}

/// The open connections, the least recently used first.
#[derive(Default)]
struct Places {
    open: VecDeque<(u64, AbortHandle)>,
    next: u64,
}

impl Places {
    /// Moves a connection behind all others: it has just been useful.
    fn used(&mut self, number: u64) {
        if let Some(at) = self.open.iter().position(|(known, _)| *known == number)
            && let Some(place) = self.open.remove(at)
        {
            self.open.push_back(place);
        }
    }

    fn closed(&mut self, number: u64) {
        self.open.retain(|(known, _)| *known != number);
    }

    /// Makes room for one more.
    fn make_room(&mut self) {
        while self.open.len() >= MAX_CONNECTIONS {
            if let Some((_, oldest)) = self.open.pop_front() {
                oldest.abort();
            }
        }
    }
}

async fn accept(listener: tokio::net::TcpListener, shared: Arc<Shared>) {
    let places = Rc::new(RefCell::new(Places::default()));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // EMFILE and ENFILE stay for a while; a peer that is gone already does not, and costs one pause.
                tracing::debug!(%error, "accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        drop(stream.set_nodelay(true));
        places.borrow_mut().make_room();
        let number = places.borrow().next;
        let task = tokio::task::spawn_local(talk(stream, number, shared.clone(), places.clone()));
        let mut places = places.borrow_mut();
        places.next += 1;
        places.open.push_back((number, task.abort_handle()));
    }
}

async fn talk(
    stream: tokio::net::TcpStream,
    number: u64,
    shared: Arc<Shared>,
    places: Rc<RefCell<Places>>,
) {
    let service = service_fn(|request: Request<Incoming>| {
        places.borrow_mut().used(number);
        let reply = answer(&request, &shared);
        async move { Ok::<Reply, Infallible>(reply) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = connection {
        tracing::trace!(%error, "connection");
    }
    places.borrow_mut().closed(number);
}

/// Answers one request; a bug while doing so is a 500, and the thread lives on.
fn answer(request: &Request<Incoming>, shared: &Shared) -> Reply {
    let route = || route(request, shared);
    let mut reply = std::panic::catch_unwind(AssertUnwindSafe(route))
        .unwrap_or_else(|_| reply(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "internal error\n"));
    shared
        .metrics
        .count_request(request.uri().path(), reply.status().as_u16());
    if request.method() == Method::HEAD {
        // The length of what GET would send, and nothing of it.
        let length = hyper::body::Body::size_hint(reply.body())
            .exact()
            .unwrap_or(0);
        reply
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        *reply.body_mut() = Full::new(Bytes::new());
    }
    reply
}

fn route(request: &Request<Incoming>, shared: &Shared) -> Reply {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refused = reply(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n");
        refused
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let query = request.uri().query().unwrap_or_default();
    match request.uri().path() {
        "/livez" | "/healthz" => health::livez(shared.pulse.ask(), query),
        "/readyz" => health::readyz(&shared.view.load(), query),
        "/startupz" => health::startupz(&shared.view.load(), query),
        "/metrics" => metrics::metrics(&shared.metrics, request.headers()),
        "/" => page::reply(&shared.view.load()),
        path => match path.strip_prefix("/readyz/") {
            Some(name) => health::readyz_of(&shared.view.load(), name, query),
            None => reply(
                StatusCode::NOT_FOUND,
                TEXT,
                format!("not here; try {PATHS}\n"),
            ),
        },
    }
}

#[cfg(test)]
mod tests;
