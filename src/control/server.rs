//! The server: one thread, bounded in connections, bytes and time. Whoever is not root or podvisor's own user is refused.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::LocalSet;

use super::{Shared, routes};

/// Connections at the same time; one more is closed at once.
const MAX_CONNECTIONS: usize = 1200;
/// How long a request's head may take, and an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest request head.
const MAX_HEAD: usize = 16 * 1024;
/// How long to wait after accept(2) failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The thread's stack.
const STACK: usize = 512 * 1024;

/// Answers from now on, on a thread of its own, for as long as podvisor lives.
///
/// # Errors
/// The thread or its event loop cannot be made.
pub fn serve(listener: std::os::unix::net::UnixListener, shared: Shared) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listener = {
        let _guard = runtime.enter();
        UnixListener::from_std(listener)?
    };
    let thread = std::thread::Builder::new()
        .name("pv-control".to_owned())
        .stack_size(STACK);
    thread
        .spawn(move || LocalSet::new().block_on(&runtime, accept(listener, shared)))
        .map(drop)
}

async fn accept(listener: UnixListener, shared: Shared) {
    let open = Rc::new(Cell::new(0_usize));
    let own = nix::unistd::geteuid().as_raw();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "accept on the control socket");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let allowed = stream
            .peer_cred()
            .is_ok_and(|peer| peer.uid() == 0 || peer.uid() == own);
        if open.get() >= MAX_CONNECTIONS {
            continue;
        }
        open.set(open.get() + 1);
        let (open, shared) = (open.clone(), shared.clone());
        tokio::task::spawn_local(async move {
            talk(stream, allowed, shared).await;
            open.set(open.get() - 1);
        });
    }
}

async fn talk(stream: UnixStream, allowed: bool, shared: Shared) {
    let service = service_fn(|request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(routes::answer(request, allowed, &shared).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = connection {
        tracing::trace!(%error, "control connection");
    }
}
