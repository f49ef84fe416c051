//! The routes of `/v1`, as `docs/openapi.yaml` has them.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::status::Status;
use super::{Ask, Deed, Shared, logs};

/// Every path there is.
const PATHS: [&str; 6] = [
    "/v1/status",
    "/v1/logs",
    "/v1/start",
    "/v1/stop",
    "/v1/restart",
    "/v1/signal",
];
/// The largest body of a request.
const MAX_BODY: usize = 1024 * 1024;
/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long `?after=` waits at most.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// How long the main loop may take to answer.
const MAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// What a POST says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Order {
    /// Which services.
    pub services: Vec<String>,
    /// For `/v1/signal`: which signal, by name or number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
}

/// The answer when something is wrong.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Problem {
    /// What, in a sentence.
    pub error: String,
}

/// The body of an answer: all at once, or bit by bit.
pub(super) enum Reply {
    Whole(Option<Bytes>),
    Stream(mpsc::Receiver<Bytes>),
}

impl Body for Reply {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(bits) => bits
                .poll_recv(cx)
                .map(|bit| bit.map(|bit| Ok(Frame::data(bit)))),
        }
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Whole(bytes) => {
                let length = bytes.as_ref().map_or(0, Bytes::len);
                hyper::body::SizeHint::with_exact(length as u64)
            }
            Self::Stream(_) => hyper::body::SizeHint::default(),
        }
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Reply> {
    // Our own types: no map with keys that are no strings, nothing that fails.
    let text = serde_json::to_vec(value).unwrap_or_default();
    with_type(status, "application/json", Reply::Whole(Some(text.into())))
}

fn with_type(status: StatusCode, kind: &'static str, body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn problem(status: StatusCode, error: impl Into<String>) -> Response<Reply> {
    let error = error.into();
    json(status, &Problem { error })
}

/// Answers one request.
pub(super) async fn answer(
    request: Request<Incoming>,
    allowed: bool,
    shared: &Shared,
) -> Response<Reply> {
    if !allowed {
        return problem(
            StatusCode::FORBIDDEN,
            "only root and podvisor's own user may do that",
        );
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let query = request.uri().query().unwrap_or_default().to_owned();
    let deed = match (&method, path.as_str()) {
        (&Method::GET, "/v1/status") => return status(shared, &query).await,
        (&Method::GET, "/v1/logs") => return log_lines(shared, &query),
        (&Method::POST, "/v1/start") => Deed::Start,
        (&Method::POST, "/v1/stop") => Deed::Stop,
        (&Method::POST, "/v1/restart") => Deed::Restart,
        (&Method::POST, "/v1/signal") => Deed::Signal(0),
        (_, path) if PATHS.contains(&path) => {
            return problem(StatusCode::METHOD_NOT_ALLOWED, "not with this method");
        }
        _ => return problem(StatusCode::NOT_FOUND, "no such path; see docs/openapi.yaml"),
    };
    let body = Limited::new(request.into_body(), MAX_BODY).collect();
    let body = match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            return problem(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is too large, or broken",
            );
        }
        Err(_) => return problem(StatusCode::REQUEST_TIMEOUT, "the body takes too long"),
    };
    match serde_json::from_slice::<Order>(&body) {
        Ok(order) => carry_out(deed, order, shared).await,
        Err(error) => problem(StatusCode::BAD_REQUEST, error.to_string()),
    }
}

async fn carry_out(deed: Deed, order: Order, shared: &Shared) -> Response<Reply> {
    let deed = match (deed, &order.signal) {
        (Deed::Signal(_), Some(signal)) => match signal.parse::<crate::units::SignalName>() {
            Ok(signal) => Deed::Signal(signal.number()),
            Err(error) => return problem(StatusCode::BAD_REQUEST, error.to_string()),
        },
        (Deed::Signal(_), None) => return problem(StatusCode::BAD_REQUEST, "`signal` is missing"),
        (deed, _) => deed,
    };
    let view = shared.view.load();
    let unknown = order
        .services
        .iter()
        .find(|name| !view.services.iter().any(|known| *known.name == **name));
    if let Some(unknown) = unknown {
        return problem(StatusCode::NOT_FOUND, format!("no service `{unknown}`"));
    }
    drop(view);
    let (reply, answered) = oneshot::channel();
    let ask = Ask {
        deed,
        services: order.services,
        reply,
    };
    if shared.asks.try_send(ask).is_err() {
        return problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many requests wait; come again",
        );
    }
    match tokio::time::timeout(MAIN_TIMEOUT, answered).await {
        Ok(Ok(Ok(()))) => json(
            StatusCode::ACCEPTED,
            &serde_json::json!({ "accepted": true }),
        ),
        Ok(Ok(Err(error))) => problem(StatusCode::CONFLICT, error),
        Ok(Err(_)) => problem(StatusCode::SERVICE_UNAVAILABLE, "podvisor is ending"),
        Err(_) => problem(StatusCode::GATEWAY_TIMEOUT, "the main loop does not answer"),
    }
}

async fn status(shared: &Shared, query: &str) -> Response<Reply> {
    let mut revisions = shared.revisions.clone();
    if let Some(after) = parameter(query, "after").and_then(|text| text.parse::<u64>().ok()) {
        let newer = revisions.wait_for(|revision| *revision > after);
        // Past it the same is told once more.
        let _ = tokio::time::timeout(MAX_WAIT, newer).await;
    }
    let revision = *revisions.borrow();
    let usage = shared.usage.as_ref().map(crate::usage::Watcher::scrape);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |now| now.as_secs_f64());
    let status = Status::of(&shared.view.load(), usage.as_deref(), revision, now);
    json(StatusCode::OK, &status)
}

fn log_lines(shared: &Shared, query: &str) -> Response<Reply> {
    let wanted = match logs::Wanted::parse(query, &shared.logs) {
        Ok(wanted) => wanted,
        Err(error) => return problem(StatusCode::BAD_REQUEST, error),
    };
    let (bits, out) = mpsc::channel(logs::CHUNKS);
    tokio::task::spawn_local(logs::send(wanted, shared.logs.clone(), bits));
    with_type(StatusCode::OK, "application/x-ndjson", Reply::Stream(out))
}

/// The first value of a parameter. Names and numbers need no decoding: service names have none of those characters.
pub(super) fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    parameters(query, name).next()
}

/// All values of a parameter.
pub(super) fn parameters<'a>(query: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    query.split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_has_these_paths_and_no_others() {
        let text = include_str!("../../docs/openapi.yaml");
        let described = text.lines().filter_map(|line| line.strip_prefix("  /v1/"));
        let described: Vec<String> = described
            .map(|line| format!("/v1/{}", line.split(':').next().unwrap()))
            .collect();
        assert_eq!(described, PATHS);
    }

    #[test]
    fn parameters_come_as_often_as_they_are_given() {
        let query = "service=a&follow=1&service=b&flag";
        assert_eq!(parameters(query, "service").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(
            (parameter(query, "flag"), parameter(query, "no")),
            (Some(""), None)
        );
    }
}
