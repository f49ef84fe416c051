//! What becomes of one request.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

use super::Desk;
use super::decode::{self, MAX_BODY, Protocol, Refused};
use super::faults::{Deed, Faults};
use crate::ship::otlp::wire::{close, open, put_bytes, put_number};

/// Bodies of all connections together, as sent, in units of [`UNIT`] bytes: 512 MiB.
const MAX_BODIES: usize = 512 * 1024;
/// What bodies are measured in.
const UNIT: usize = 1024;
/// How long to wait for the next bytes of a body.
const STALL: Duration = Duration::from_secs(60);
/// The only type that OTLP receivers must take (and Vector's takes no other).
const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
/// Said of what was asked for.
const ASKED: &str = "as asked for";

/// An answer.
type Reply = Response<Full<Bytes>>;

/// No answer: the connection is to be reset.
#[derive(Debug, thiserror::Error)]
#[error("cut off")]
pub(super) struct Cut;

/// What all requests share.
pub(super) struct Hall {
    desk: Arc<Desk>,
    faults: ArcSwap<Faults>,
    bodies: Semaphore,
    broken: mpsc::Sender<io::Error>,
}

impl Hall {
    pub(super) fn new(
        desk: Arc<Desk>,
        faults: ArcSwap<Faults>,
        broken: mpsc::Sender<io::Error>,
    ) -> Self {
        let bodies = Semaphore::new(MAX_BODIES);
        Hall {
            desk,
            faults,
            bodies,
            broken,
        }
    }

    pub(super) fn faults(&self) -> Arc<Faults> {
        self.faults.load_full()
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        self.faults.store(Arc::new(faults));
    }

    /// Enters a request that failed into the books.
    fn failed(&self, path: &str, status: Option<StatusCode>, why: &str) {
        self.desk.ledger().request(false);
        let mut output = self.desk.output();
        output.refused(path, status, why);
        self.end(output.end());
    }

    /// Whether all could be written out; if not, it is the end of the receiver.
    fn end(&self, written: io::Result<()>) -> bool {
        let ok = written.is_ok();
        if let Err(error) = written {
            drop(self.broken.try_send(error));
        }
        ok
    }
}

pub(super) async fn answer(request: Request<Incoming>, hall: Arc<Hall>) -> Result<Reply, Cut> {
    match (request.method(), request.uri().path()) {
        (&Method::POST, _) => post(request, &hall).await,
        (&Method::GET, "/ping") => Ok(reply(StatusCode::OK, TEXT, "pong")),
        (&Method::GET, "/counts") => {
            let counts = hall.desk.counts();
            let body = serde_json::to_vec(&counts).unwrap_or_default();
            Ok(reply(StatusCode::OK, JSON, body))
        }
        (&Method::GET, _) => {
            let help = "not here; POST records to any path, or GET /counts or /ping\n";
            Ok(reply(StatusCode::NOT_FOUND, TEXT, help))
        }
        _ => {
            let only = "only GET and POST\n";
            let mut reply = reply(StatusCode::METHOD_NOT_ALLOWED, TEXT, only);
            let allowed = HeaderValue::from_static("GET, POST");
            reply.headers_mut().insert(header::ALLOW, allowed);
            Ok(reply)
        }
    }
}

async fn post(request: Request<Incoming>, hall: &Hall) -> Result<Reply, Cut> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let protocol = Protocol::of(path);
    let faults = hall.faults();
    let refuse = |status, why: &str| {
        hall.failed(path, Some(status), why);
        Ok(refusal(protocol, status, why))
    };
    let (body, room) = match read(body, &hall.bodies, faults.rate()).await {
        Ok(read) => read,
        Err(Some(refused)) => return refuse(refused.status, &refused.why),
        Err(None) => return Err(Cut),
    };
    // Those of now: they may have changed while the body was on its way.
    let faults = hall.faults();
    let deed = faults.draw();
    match deed {
        Some(Deed::Refuse {
            status,
            retry_after,
        }) => {
            let mut reply = refuse(status, ASKED)?;
            if let Some(seconds) = retry_after {
                let value = HeaderValue::from(seconds);
                reply.headers_mut().insert(header::RETRY_AFTER, value);
            }
            return Ok(reply);
        }
        Some(Deed::Hang) => {
            hall.failed(path, None, "no answer, as asked for");
            drop((body, room));
            return std::future::pending().await;
        }
        Some(Deed::Reset) => {
            hall.failed(path, None, "reset, as asked for");
            return Err(Cut);
        }
        Some(Deed::Lost | Deed::Partial) | None => {}
    }
    let request = Whole {
        path,
        protocol,
        wire: body.len(),
        deed,
    };
    match request.unpacked(&head.headers, body, &faults) {
        Ok((body, records)) => request.keep(&body, records, hall),
        Err(refused) => refuse(refused.status, &refused.why),
    }
}

/// Reads a body. Its share of [`MAX_BODIES`] is taken until the permit is dropped. The error is none
/// when the peer has gone.
async fn read(
    mut body: Incoming,
    bodies: &Semaphore,
    rate: Option<u64>,
) -> Result<(Bytes, Option<SemaphorePermit<'_>>), Option<Refused>> {
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(Some(Refused::too_large()));
    }
    let mut all = BytesMut::new();
    let mut room: Option<SemaphorePermit<'_>> = None;
    loop {
        let late = |_| Refused::new(StatusCode::REQUEST_TIMEOUT, "nothing more has come");
        let frame = tokio::time::timeout(STALL, body.frame());
        let Some(frame) = frame.await.map_err(late)? else {
            return Ok((all.freeze(), room));
        };
        let Ok(data) = frame.map_err(|_| None)?.into_data() else {
            continue;
        };
        if all.len() + data.len() > MAX_BODY {
            return Err(Some(Refused::too_large()));
        }
        let units = data.len().div_ceil(UNIT) as u32;
        let permit = bodies.try_acquire_many(units).map_err(|_| {
            let why = "too many bodies at the same time";
            Refused::new(StatusCode::SERVICE_UNAVAILABLE, why)
        })?;
        match &mut room {
            Some(room) => room.merge(permit),
            None => room = Some(permit),
        }
        all.extend_from_slice(&data);
        if let Some(rate) = rate {
            let needed = Duration::from_secs_f64(data.len() as f64 / rate as f64);
            tokio::time::sleep(needed).await;
        }
    }
}

/// A request of which all bytes are here.
struct Whole<'a> {
    path: &'a str,
    protocol: Protocol,
    wire: usize,
    deed: Option<Deed>,
}

impl Whole<'_> {
    /// The body as it was before it was packed, and the number of its records: all can be read.
    fn unpacked(
        &self,
        headers: &HeaderMap,
        body: Bytes,
        faults: &Faults,
    ) -> Result<(Bytes, u64), Refused> {
        // A value that is not text is no encoding and no type either.
        let named = |name| match headers.get(name) {
            Some(value) => value.to_str().unwrap_or("?"),
            None => "",
        };
        let kind = named(header::CONTENT_TYPE);
        if self.protocol == Protocol::Otlp && kind != PROTOBUF {
            let why = format!("Content-Type must be {PROTOBUF}");
            return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
        }
        let body = decode::unpack(named(header::CONTENT_ENCODING), body)?;
        if let Some((status, why)) = faults.spoiled(&body) {
            return Err(Refused::new(status, format!("{why}, {ASKED}")));
        }
        let records = decode::check(self.protocol, &body)?;
        Ok((body, records))
    }

    /// Enters the records into the books, writes them out, and says so, as far as the deed lets it.
    fn keep(&self, body: &[u8], records: u64, hall: &Hall) -> Result<Reply, Cut> {
        let partial = self.deed == Some(Deed::Partial);
        let kept = match self.protocol {
            Protocol::Ndjson if partial => records / 2,
            Protocol::Otlp if partial => records.saturating_sub(1),
            _ => records,
        };
        let (status, why) = match (self.deed, self.protocol) {
            (Some(Deed::Lost), _) => (None, "kept and reset, as asked for"),
            // In Vector's words for a sink that failed behind it.
            (Some(Deed::Partial), Protocol::Ndjson) => (
                Some(StatusCode::INTERNAL_SERVER_ERROR),
                "Contents failed to deliver to sink, as asked for",
            ),
            _ => (Some(StatusCode::OK), ""),
        };
        let success = status == Some(StatusCode::OK);
        let mut ledger = hall.desk.ledger();
        ledger.request(success);
        ledger.body(self.wire, body.len());
        let mut output = hall.desk.output();
        let mut left = kept;
        let read = decode::each(self.protocol, body, &mut |seen| {
            if left > 0 {
                left -= 1;
                ledger.record(self.path, seen);
                output.record(seen);
            }
        });
        if !success {
            output.refused(self.path, status, why);
        }
        if !hall.end(output.end()) || read.is_err() {
            let why = "the records could not be written out";
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            return Ok(refusal(self.protocol, status, why));
        }
        match status {
            None => Err(Cut),
            Some(StatusCode::OK) => Ok(taken(self.protocol, records - kept)),
            Some(status) => Ok(refusal(self.protocol, status, why)),
        }
    }
}

/// Success, as each protocol says it: nothing at all, or an `ExportLogsServiceResponse`, which is
/// empty too unless records were rejected.
fn taken(protocol: Protocol, rejected: u64) -> Reply {
    let mut body = Vec::new();
    if protocol == Protocol::Ndjson {
        return reply(StatusCode::OK, TEXT, body);
    }
    if rejected > 0 {
        let partial_success = open(1, 0, &mut body);
        put_number(1, rejected, &mut body);
        put_bytes(2, ASKED.as_bytes(), &mut body);
        close(partial_success, &mut body);
    }
    reply(StatusCode::OK, PROTOBUF, body)
}

/// Failure: Vector's JSON object, or a `google.rpc.Status`.
fn refusal(protocol: Protocol, status: StatusCode, why: &str) -> Reply {
    match protocol {
        Protocol::Ndjson => {
            let body = serde_json::json!({ "code": status.as_u16(), "message": why });
            reply(status, JSON, body.to_string())
        }
        Protocol::Otlp => {
            let mut body = Vec::new();
            put_number(1, grpc_code(status), &mut body);
            put_bytes(2, why.as_bytes(), &mut body);
            reply(status, PROTOBUF, body)
        }
    }
}

/// gRPC's status that fits HTTP's (`google/rpc/code.proto` has the table).
fn grpc_code(status: StatusCode) -> u64 {
    match status.as_u16() {
        400 | 415 | 422 => 3,
        401 => 16,
        403 => 7,
        404 => 5,
        408 | 504 => 4,
        413 | 429 => 8,
        500 => 13,
        503 => 14,
        _ => 2,
    }
}

fn reply(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    reply.headers_mut().insert(header::CONTENT_TYPE, kind);
    reply
}
