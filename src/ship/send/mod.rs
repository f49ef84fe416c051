//! One attempt to send: a request over connections that are kept, and what became of it.

mod auth;
mod classify;
mod clean;
mod client;
mod files;
mod grpc;
mod http;
mod target;
mod tls;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use ::http::header::AUTHORIZATION;
use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use bytes::Bytes;
use reqwest::{Proxy, Url};

pub use self::auth::Auth;
pub use self::classify::MAX_WAIT;
pub use self::clean::MAX_MESSAGE;
pub use self::target::{CONNECT_TIMEOUT, Protocol, SetupError, TIMEOUT, Target};
pub use self::tls::Tls;

use self::auth::Authorization;
use self::clean::Clean;
use self::client::{Connections, Lease, Plan};
use self::http::{Answer, Broken, MAX_BODY, Parts, Patience};
use self::tls::Trust;
use super::parcel::Codec;
use super::verdict::{Reason, Verdict};

/// The age after which connections are made anew (±20 %), and their names resolved anew.
const MAX_AGE: Duration = Duration::from_secs(300);
/// How often it is asked whether certificates, keys and tokens have changed.
const WATCH: Duration = Duration::from_secs(30);
/// How long the body of an HTTP answer is waited for: the status says nearly everything.
const BODY_TIME: Duration = Duration::from_secs(2);
/// What is read of a gRPC answer to get at the status behind it, in bytes. No more than [`MAX_BODY`] is kept.
const GRPC_BODY: usize = 4 << 20;

/// Says which batch it is: the same for every attempt.
const BATCH_ID: HeaderName = HeaderName::from_static("idempotency-key");

/// Sends to one target. Several requests may be under way.
///
/// Runs on a tokio runtime with I/O and time, and resolves names on its blocking threads. As a name server may keep
/// such a thread for longer than anybody waits, the runtime is best ended with `shutdown_background`.
pub struct Sender {
    name: String,
    protocol: Protocol,
    codec: Codec,
    url: Url,
    headers: HeaderMap,
    timeout: Duration,
    state: Mutex<State>,
}

struct State {
    connections: Connections,
    trust: Trust,
    authorization: Authorization,
    clean: Clean,
}

/// What tests have otherwise.
struct Tuning {
    proxies: Option<Vec<Proxy>>,
    max_age: Duration,
    watch: Duration,
}

impl Sender {
    /// Reads the files that the target names. Nothing is sent yet.
    ///
    /// # Errors
    /// See [`SetupError`].
    pub fn new(target: Target) -> Result<Self, SetupError> {
        let tuning = Tuning {
            proxies: None,
            max_age: MAX_AGE,
            watch: WATCH,
        };
        Self::tuned(target, tuning)
    }

    fn tuned(target: Target, tuning: Tuning) -> Result<Self, SetupError> {
        let now = Instant::now();
        let grpc = target.protocol == Protocol::OtlpGrpc;
        let mut clean = Clean::new();
        let url = target::url(&target.url, &mut clean)?;
        let headers = target::headers(&target, &mut clean)?;
        let alpn: &[u8] = if grpc { b"h2" } else { b"http/1.1" };
        let trust = Trust::new(target.tls, alpn, tuning.watch, now)?;
        let authorization = Authorization::new(&target.auth, tuning.watch, now, &mut clean)?;
        // Proxies forward HTTP/1.1. For TLS they open a tunnel, through which anything may pass.
        let direct = grpc && url.scheme() == "http";
        let plan = Plan {
            grpc,
            connect_timeout: target.connect_timeout,
            user_agent: target.user_agent,
            max_age: tuning.max_age,
            proxies: if direct {
                Some(Vec::new())
            } else {
                tuning.proxies
            },
        };
        let connections =
            Connections::new(plan, trust.config(), now).map_err(SetupError::Client)?;
        Ok(Self {
            name: target.name,
            protocol: target.protocol,
            codec: target.codec,
            url,
            headers,
            timeout: target.timeout,
            state: Mutex::new(State {
                connections,
                trust,
                authorization,
                clean,
            }),
        })
    }

    /// Bytes that `body` takes as a request's body.
    #[must_use]
    pub fn wire_bytes(&self, body: &[Bytes]) -> u64 {
        let prefix = if self.protocol == Protocol::OtlpGrpc {
            grpc::PREFIX
        } else {
            0
        };
        body.iter()
            .map(Bytes::len)
            .fold(prefix as u64, |sum, len| sum + len as u64)
    }

    /// Makes one attempt to send the parts of `body`, which are one after the other what [`Target::codec`] says, in
    /// `timeout` or the target's, whichever is shorter. `batch_id` is sent along as `Idempotency-Key`.
    ///
    /// By gRPC, what is compressed must be one part: several are [`Verdict::TooLarge`], and nothing is sent.
    ///
    /// May be cancelled: what was under way is then broken off.
    pub async fn send(&self, body: Vec<Bytes>, timeout: Duration, batch_id: &str) -> Verdict {
        let timeout = timeout.min(self.timeout);
        let parts = match self.protocol {
            Protocol::OtlpGrpc => grpc::frame(body, self.codec),
            _ => Some(body),
        };
        let Some(parts) = parts else {
            return Verdict::TooLarge;
        };
        let (lease, authorization) = self.lease();
        let request = lease
            .client
            .post(self.url.clone())
            .headers(self.request_headers(authorization, timeout, batch_id))
            .body(reqwest::Body::wrap(Parts::new(parts)))
            .build();
        let answer = match request {
            Ok(request) => http::exchange(&lease.client, request, self.patience(), timeout).await,
            Err(error) => Err(Broken::Failed(error.without_url())),
        };
        self.judge(&answer, &lease)
    }

    /// Throws the connections away: for a watchdog. Requests under way end on the old ones.
    pub fn rebuild(&self) {
        let state = &mut *self.state();
        let tls = state.trust.config();
        state.connections.renew(&self.name, tls, Instant::now());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connections and credentials as they should be now.
    fn lease(&self) -> (Lease, Option<HeaderValue>) {
        let now = Instant::now();
        let state = &mut *self.state();
        if state.trust.reload(&self.name, now) || state.connections.old(now) {
            state
                .connections
                .renew(&self.name, state.trust.config(), now);
        }
        let authorization = state.authorization.value(&self.name, now, &mut state.clean);
        (state.connections.lease(), authorization)
    }

    fn request_headers(
        &self,
        authorization: Option<HeaderValue>,
        timeout: Duration,
        batch_id: &str,
    ) -> HeaderMap {
        let mut headers = self.headers.clone();
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, value);
        }
        if let Ok(id) = HeaderValue::from_str(batch_id) {
            headers.insert(BATCH_ID, id);
        }
        if self.protocol == Protocol::OtlpGrpc
            && let Ok(timeout) = HeaderValue::from_str(&grpc::timeout(timeout))
        {
            headers.insert("grpc-timeout", timeout);
        }
        headers
    }

    fn patience(&self) -> Patience {
        match self.protocol {
            Protocol::OtlpGrpc => Patience {
                time: None,
                bytes: GRPC_BODY,
            },
            _ => Patience {
                time: Some(BODY_TIME),
                bytes: MAX_BODY,
            },
        }
    }

    /// Says what it means, and learns from it for the next attempt.
    fn judge(&self, answer: &Result<Answer, Broken>, lease: &Lease) -> Verdict {
        let state = &mut *self.state();
        let verdict = match answer {
            Err(broken) => Verdict::Retry(broken.failure(lease.answered, &state.clean)),
            Ok(answer) => {
                state.connections.answered(lease.generation);
                let now = SystemTime::now();
                match self.protocol {
                    Protocol::HttpNdjson => classify::ndjson(answer, now, &state.clean),
                    Protocol::OtlpHttp => classify::otlp(answer, now, &state.clean),
                    Protocol::OtlpGrpc => classify::grpc(answer, now, &state.clean),
                }
            }
        };
        if let Ok(answer) = answer
            && refuses_credentials(answer)
        {
            state.authorization.refused();
        }
        if let (Err(_), Verdict::Retry(failure)) = (answer, &verdict) {
            if failure.reason == Reason::Tls {
                state.trust.refused();
            }
            // Others in the pool are likely to be as dead, and the name may mean another address by now.
            let renew = failure.stale || failure.reason == Reason::Timeout;
            if renew && state.connections.generation() == lease.generation {
                let tls = state.trust.config();
                state.connections.renew(&self.name, tls, Instant::now());
            }
        }
        verdict
    }
}

/// 401 or gRPC's UNAUTHENTICATED.
fn refuses_credentials(answer: &Answer) -> bool {
    let code = |headers| grpc::status(headers).map(|status| status.code);
    answer.status == StatusCode::UNAUTHORIZED
        || code(&answer.trailers).or_else(|| code(&answer.headers)) == Some(16)
}

#[cfg(test)]
mod tests;
