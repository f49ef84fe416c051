//! The client's end: one connection for one request.

use std::io;
use std::path::{Path, PathBuf};

use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

pub use super::logs::LogLine;
use super::routes::{Order, Problem};
use super::status::Status;

/// Why there is no answer, or not the one that was hoped for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No socket, or nobody behind it.
    #[error("no podvisor answers{}: {error}", place(.path))]
    NoAnswer {
        /// Where it was looked for; None: nowhere to look.
        path: Option<PathBuf>,
        /// What the system said.
        error: io::Error,
    },
    /// The connection broke, or what came was no answer.
    #[error("podvisor's answer broke off: {0}")]
    Broken(String),
    /// podvisor said no.
    #[error("{error}")]
    Refused {
        /// Its status code.
        status: StatusCode,
        /// Why.
        error: String,
    },
}

fn place(path: &Option<PathBuf>) -> String {
    let at = path.as_ref().map(|path| format!(" at {}", path.display()));
    at.unwrap_or_default()
}

/// A podvisor's socket.
#[derive(Debug)]
pub struct Client {
    runtime: tokio::runtime::Runtime,
    path: PathBuf,
}

impl Client {
    /// For the podvisor that the environment names, or the one that is there.
    ///
    /// # Errors
    /// There is no socket.
    pub fn find() -> Result<Self, ClientError> {
        let no_answer = |error| ClientError::NoAnswer { path: None, error };
        let path = super::socket::find(|name| std::env::var_os(name)).ok_or_else(|| {
            let kind = io::ErrorKind::NotFound;
            no_answer(io::Error::new(kind, "there is no control socket"))
        })?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(no_answer)?;
        Ok(Self { runtime, path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How things are; with `after`, once there is something newer than that revision (or after half a minute).
    ///
    /// # Errors
    /// No podvisor answers, or not as it should.
    pub fn status(&self, after: Option<u64>) -> Result<Status, ClientError> {
        let query = after.map_or_else(String::new, |after| format!("?after={after}"));
        let text = self.whole(Method::GET, &format!("/v1/status{query}"), Vec::new())?;
        serde_json::from_slice(&text).map_err(|error| ClientError::Broken(error.to_string()))
    }

    /// As [`Self::status`] with `after`, but None when nothing new comes before `until`.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub fn status_before(
        &self,
        after: u64,
        until: std::time::Instant,
    ) -> Result<Option<Status>, ClientError> {
        let path = format!("/v1/status?after={after}");
        loop {
            let text = self.runtime.block_on(async {
                let asked = async {
                    let body = self.request(Method::GET, &path, Vec::new()).await?;
                    Ok(body.collect().await.map_err(broken)?.to_bytes())
                };
                let answer = tokio::time::timeout_at(until.into(), asked).await;
                answer.ok().transpose()
            })?;
            let Some(text) = text else { return Ok(None) };
            let status: Status = serde_json::from_slice(&text).map_err(broken)?;
            if status.revision > after {
                return Ok(Some(status));
            }
        }
    }

    /// Asks for a deed: `start`, `stop`, `restart` or `signal`. What becomes of it, the status tells.
    ///
    /// # Errors
    /// As [`Self::status`]; and podvisor may refuse.
    pub fn order(
        &self,
        deed: &str,
        services: &[String],
        signal: Option<&str>,
    ) -> Result<(), ClientError> {
        let order = Order {
            services: services.to_vec(),
            signal: signal.map(str::to_owned),
        };
        let body =
            serde_json::to_vec(&order).map_err(|error| ClientError::Broken(error.to_string()))?;
        self.whole(Method::POST, &format!("/v1/{deed}"), body)
            .map(drop)
    }

    /// Log lines, each as it comes, until there are no more or `each` says so.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub fn logs(
        &self,
        query: &str,
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), ClientError> {
        self.runtime.block_on(async {
            let path = format!("/v1/logs?{query}");
            let mut body = self.request(Method::GET, &path, Vec::new()).await?;
            let mut rest = Vec::new();
            while let Some(frame) = body.frame().await {
                // podvisor has ended, and with it the lines.
                let Ok(frame) = frame else { return Ok(()) };
                rest.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
                let mut from = 0;
                while let Some(end) = memchr::memchr(b'\n', &rest[from..]) {
                    if !each(&rest[from..from + end]) {
                        return Ok(());
                    }
                    from += end + 1;
                }
                rest.drain(..from);
            }
            Ok(())
        })
    }

    fn whole(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Bytes, ClientError> {
        self.runtime.block_on(async {
            let body = self.request(method, path, body).await?;
            Ok(body.collect().await.map_err(broken)?.to_bytes())
        })
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Incoming, ClientError> {
        let stream = tokio::net::UnixStream::connect(&self.path).await;
        let stream = stream.map_err(|error| ClientError::NoAnswer {
            path: Some(self.path.clone()),
            error,
        })?;
        // Whoever else can write to that folder is not to be mistaken for podvisor.
        let own = nix::unistd::geteuid().as_raw();
        let peer = stream.peer_cred().map_err(broken)?.uid();
        if own != 0 && peer != 0 && peer != own {
            let owner = format!("{} belongs to user {peer}", self.path.display());
            return Err(ClientError::Broken(owner));
        }
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Host", "podvisor")
            .body(Full::new(Bytes::from(body)))
            .map_err(broken)?;
        let answer = sender.send_request(request).await.map_err(broken)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer.into_body());
        }
        let text = answer
            .into_body()
            .collect()
            .await
            .map_err(broken)?
            .to_bytes();
        let error = serde_json::from_slice::<Problem>(&text)
            .map_or_else(|_| format!("status {status}"), |problem| problem.error);
        Err(ClientError::Refused { status, error })
    }
}

fn broken(error: impl std::fmt::Display) -> ClientError {
    ClientError::Broken(error.to_string())
}
