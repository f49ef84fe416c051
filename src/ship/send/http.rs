//! One exchange over HTTP: a body that is sent as it is, an answer that is read within bounds, and what can go wrong.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{io, iter};

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use reqwest::{Client, Request};
use tokio::time::{Instant, timeout_at};

use super::clean::Clean;
use crate::ship::verdict::{Failure, Reason};

/// What is kept of an answer's body, in bytes.
pub(super) const MAX_BODY: usize = 64 * 1024;
/// The most causes of an error that are looked at.
const MAX_CAUSES: usize = 16;

/// Parts that are sent one after the other, without being copied together.
pub(super) struct Parts {
    parts: VecDeque<Bytes>,
    left: u64,
}

impl Parts {
    pub(super) fn new(parts: Vec<Bytes>) -> Self {
        let left = parts.iter().map(|part| part.len() as u64).sum();
        let parts = parts.into_iter().filter(|part| part.has_remaining());
        Self {
            parts: parts.collect(),
            left,
        }
    }
}

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = self.parts.pop_front();
        self.left -= part.as_ref().map_or(0, |part| part.len() as u64);
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// What a receiver answered.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// [`MAX_BODY`] at most.
    pub(super) body: Vec<u8>,
    pub(super) trailers: HeaderMap,
    /// It was read to its end.
    pub(super) whole: bool,
}

/// How much of an answer's body is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For this long after the status, if the request has that much time. None: as long as it has, and without the end
    /// there is no answer.
    pub(super) time: Option<Duration>,
    /// This many bytes; those past [`MAX_BODY`] are thrown away.
    pub(super) bytes: usize,
}

/// There was no answer.
#[derive(Debug)]
pub(super) enum Broken {
    /// Not in this time.
    Silent(Duration),
    /// The connection failed.
    Failed(reqwest::Error),
}

/// Sends a request and reads the answer, all in `timeout`.
pub(super) async fn exchange(
    client: &Client,
    request: Request,
    patience: Patience,
    timeout: Duration,
) -> Result<Answer, Broken> {
    let deadline = Instant::now() + timeout;
    let response = timeout_at(deadline, client.execute(request))
        .await
        .map_err(|_| Broken::Silent(timeout))?
        .map_err(|error| Broken::Failed(error.without_url()))?;
    let (head, body) = http::Response::<reqwest::Body>::from(response).into_parts();
    let mut answer = Answer {
        status: head.status,
        headers: head.headers,
        body: Vec::new(),
        trailers: HeaderMap::new(),
        whole: false,
    };
    let until = patience.time.map(|time| Instant::now() + time);
    let until = until.map_or(deadline, |until| until.min(deadline));
    let read = timeout_at(until, answer.read(body, patience.bytes)).await;
    // Too slow is as good as broken off: the status is known, and the rest only explains it.
    if read.is_err() && patience.time.is_none() {
        return Err(Broken::Silent(timeout));
    }
    Ok(answer)
}

impl Answer {
    async fn read(&mut self, mut body: reqwest::Body, most: usize) {
        let mut read = 0;
        while read <= most {
            match body.frame().await {
                None => {
                    self.whole = true;
                    return;
                }
                Some(Err(_)) => return,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        read += data.len();
                        let room = MAX_BODY.saturating_sub(self.body.len());
                        self.body
                            .extend_from_slice(data.get(..room).unwrap_or(&data));
                    }
                    Err(frame) => {
                        self.trailers = frame.into_trailers().unwrap_or_default();
                    }
                },
            }
        }
    }
}

impl Broken {
    /// In delivery's words. `answered`: the connection may have been one that was used before.
    pub(super) fn failure(&self, answered: bool, clean: &Clean) -> Failure {
        let (reason, text) = match self {
            Broken::Silent(after) => (Reason::Timeout, format!("no answer in {after:?}")),
            Broken::Failed(error) => (reason(error), text(error)),
        };
        let used = match self {
            Broken::Silent(_) => false,
            Broken::Failed(error) => answered && !error.is_connect() && !error.is_timeout(),
        };
        Failure {
            reason,
            after: None,
            suspect: false,
            stale: used && reason == Reason::Connect,
            message: clean.text(&text),
        }
    }
}

fn reason(error: &reqwest::Error) -> Reason {
    if causes(error).any(|cause| cause.is::<rustls::Error>()) {
        return Reason::Tls;
    }
    // What times out while it connects (to no one, or through a firewall) has no connection.
    if error.is_timeout() && !error.is_connect() {
        return Reason::Timeout;
    }
    Reason::Connect
}

/// The last two causes: what was tried, and what the system or the library says.
fn text(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    texts.dedup();
    let start = texts.len().saturating_sub(2);
    texts.split_off(start).join(": ")
}

/// An error and its causes, those inside `io::Error` too, which are not among its sources.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let first: &(dyn Error + 'static) = error;
    iter::successors(Some(first), |error| cause(*error)).take(MAX_CAUSES)
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    }
}
