//! Probe attempts: one try each, verdicts belong to the core.
//!
//! An attempt runs as a task on PID 1's own thread, so it never blocks: it is bounded in time by its timeout and in
//! memory by its constants, and it makes a new connection, as the kubelet does, because a kept one would hide that
//! nothing listens any more.

mod file;
mod grpc;
mod http;
mod tcp;
mod tls;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::config::probe::Check;
use crate::core::ProbeOutcome;

/// How much of an answer is read, as in the kubelet (pkg/probe/http/http.go).
const MAX_BODY: usize = 10 * 1024;
/// The longest reason that is kept.
const MAX_DETAIL: usize = 256;

/// What one try came to.
#[derive(Debug)]
pub struct Attempt {
    /// Whether it succeeded.
    pub outcome: ProbeOutcome,
    /// How long it took.
    pub took: Duration,
    /// Why, for the log; at most 256 bytes.
    pub detail: String,
}

/// Why a try did not succeed.
#[derive(Debug)]
enum Miss {
    /// It was answered, and the answer is no.
    No(String),
    /// It could not be asked.
    Error(String),
}

impl Miss {
    fn error(error: impl std::fmt::Display) -> Self {
        Self::Error(error.to_string())
    }
}

/// Makes one try. Exec probes are processes and made elsewhere; what waits to be told is never asked.
pub async fn attempt(check: &Check, timeout: Duration) -> Attempt {
    let began = Instant::now();
    let asked = tokio::time::timeout(timeout, ask(check)).await;
    let (outcome, mut detail) = match asked {
        Ok(Ok(detail)) => (ProbeOutcome::Success, detail),
        Ok(Err(Miss::No(detail))) => (ProbeOutcome::Failure, detail),
        Ok(Err(Miss::Error(detail))) => (ProbeOutcome::Error, detail),
        Err(_) => (ProbeOutcome::Timeout, "no answer in time".to_owned()),
    };
    detail.truncate(detail.floor_char_boundary(MAX_DETAIL));
    Attempt {
        outcome,
        took: began.elapsed(),
        detail,
    }
}

async fn ask(check: &Check) -> Result<String, Miss> {
    match check {
        Check::HttpGet(get) => http::get(get).await,
        Check::TcpSocket(socket) => tcp::connects(socket).await,
        Check::Grpc(grpc) => grpc::serves(grpc).await,
        Check::FileExists(path) => file::exists(path).await,
        Check::Exec(_) | Check::LogMatch(_) | Check::Notify | Check::NotifyFd(_) => {
            Err(Miss::Error("nothing to ask".to_owned()))
        }
    }
}

/// Drives a connection for as long as something is talked about on it: no task of it outlives the attempt. When the
/// connection ends first, the talk hears of it by itself, after what had come before.
async fn beside<T>(connection: impl Future, talk: impl Future<Output = T>) -> T {
    let connection = async {
        connection.await;
        std::future::pending().await
    };
    tokio::select! {
        answer = talk => answer,
        never = connection => never,
    }
}

/// The addresses of a host. Numbers, and the name of this host, are not looked up.
async fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, Miss> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(Miss::error)?;
    Ok(found.collect())
}

/// A connection to the first address that takes one.
async fn connect(host: &str, port: u16) -> Result<tokio::net::TcpStream, Miss> {
    let mut last = Miss::Error(format!("{host} has no address"));
    for address in addresses(host, port).await? {
        match tokio::net::TcpStream::connect(address).await {
            Ok(stream) => {
                drop(stream.set_nodelay(true));
                return Ok(stream);
            }
            Err(error) => last = Miss::error(error),
        }
    }
    Err(last)
}
