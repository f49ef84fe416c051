//! What an attempt to send came to, in the words that delivery decides by. Every protocol is translated into these.

use std::time::Duration;

/// The outcome of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has taken it, but for this many records, which it refused for good (OTLP's `partial_success`).
    Delivered {
        /// Records refused.
        rejected: u64,
    },
    /// Too many bytes (413, gRPC's `RESOURCE_EXHAUSTED` for size): smaller ones may pass.
    TooLarge,
    /// The receiver can't read it (400, 422, `INVALID_ARGUMENT`), as one bad record spoils the whole: the others may pass.
    Malformed {
        /// What the receiver said, cut short.
        message: String,
    },
    /// It failed, and may pass later.
    Retry(Failure),
}

/// A failure that is worth another attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The metric's label.
    pub reason: Reason,
    /// Not before this long has passed (`Retry-After`, `RetryInfo`), as the receiver asked.
    pub after: Option<Duration>,
    /// It may be this very batch that the receiver fails over (500, `INTERNAL`, `DATA_LOSS`, "Contents failed to deliver"):
    /// it must not be sent for ever.
    pub suspect: bool,
    /// One more attempt at once, without delay: a pooled connection was closed under it.
    pub stale: bool,
    /// For the log, cut short, without secrets.
    pub message: String,
}

/// Why an attempt failed: the label of `podvisor_sink_retries_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No connection: refused, reset, name not found.
    Connect,
    /// No answer in time.
    Timeout,
    /// Too many requests.
    Http429,
    /// Any other 4xx: mostly a config or credentials to be mended at either end.
    Http4xx,
    /// The receiver failed.
    Http5xx,
    /// Only some of it was taken.
    Partial,
    /// The TLS handshake or a certificate.
    Tls,
}

impl Reason {
    /// All, in the order of the metric's labels.
    pub const ALL: [Reason; 7] = [
        Reason::Connect,
        Reason::Timeout,
        Reason::Http429,
        Reason::Http4xx,
        Reason::Http5xx,
        Reason::Partial,
        Reason::Tls,
    ];

    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Connect => "connect",
            Reason::Timeout => "timeout",
            Reason::Http429 => "http_429",
            Reason::Http4xx => "http_4xx",
            Reason::Http5xx => "http_5xx",
            Reason::Partial => "partial",
            Reason::Tls => "tls",
        }
    }
}
