//! The types of a probe, in Kubernetes' words and with Kubernetes' defaults: a pod's probe pastes in unchanged.

use schemars::JsonSchema;
use serde::Deserialize;

/// Whether the service has come up. Holds back the other probes; failing for good fails the start.
pub type StartupProbe = Probe;
/// Whether the service may be used.
pub type ReadinessProbe = Probe;
/// Whether the service must be restarted.
pub type LivenessProbe = Probe;

/// How a service is asked for its state, how often, and how many answers decide.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// What is asked.
    pub check: Check,
    /// Seconds from the start to the first probe. Default: 0.
    pub initial_delay_seconds: u32,
    /// Seconds between probes. Default: 10.
    pub period_seconds: u32,
    /// Seconds after which a probe has failed. Default: 1.
    pub timeout_seconds: u32,
    /// Failures in a row that make it failing. Default: 3.
    pub failure_threshold: u32,
    /// Successes in a row that make it passing. Default: 1; 1 always for startup and liveness.
    pub success_threshold: u32,
    /// For startup and liveness: `stop.timeout` when this probe is why the service is stopped.
    pub termination_grace_period_seconds: Option<u32>,
}

impl Probe {
    /// A probe with Kubernetes' own defaults.
    pub fn new(check: Check) -> Self {
        Self {
            check,
            initial_delay_seconds: 0,
            period_seconds: 10,
            timeout_seconds: 1,
            failure_threshold: 3,
            success_threshold: 1,
            termination_grace_period_seconds: None,
        }
    }
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// An HTTP request; a status from 200 to 399 is a success.
    HttpGet(HttpGet),
    /// A TCP connection.
    TcpSocket(TcpSocket),
    /// A command; exit code 0 is a success.
    Exec(Exec),
    /// The gRPC health protocol.
    Grpc(Grpc),
    /// A line of the service's output that matches this regular expression; once seen it stays passed.
    LogMatch(String),
    /// A file that exists.
    FileExists(String),
    /// sd_notify: the service sends READY=1 to NOTIFY_SOCKET (and WATCHDOG=1, if it asked for a watchdog).
    Notify,
    /// s6's readiness notification: a newline written to this descriptor.
    NotifyFd(i32),
}

impl Check {
    /// Whether podvisor asks (true), or waits to be told (false).
    pub fn is_active(&self) -> bool {
        !matches!(self, Self::LogMatch(_) | Self::Notify | Self::NotifyFd(_))
    }
}

/// An HTTP request, as the kubelet makes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpGet {
    /// Host to connect to. Default: 127.0.0.1 (Kubernetes: the pod's address).
    #[serde(default)]
    pub host: Option<String>,
    /// Port number (also as a string, so that `${PORT}` works).
    #[serde(deserialize_with = "super::forms::port")]
    #[schemars(with = "super::forms::Port")]
    pub port: u16,
    /// Path and query. Default: `/`.
    #[serde(default, deserialize_with = "super::forms::path")]
    pub path: Option<String>,
    /// HTTP or HTTPS (whose certificate is not verified, as with the kubelet). Default: HTTP.
    #[serde(default)]
    pub scheme: Scheme,
    /// Further request headers; `Host` here sets the host asked for.
    #[serde(default)]
    pub http_headers: Vec<HttpHeader>,
}

/// HTTP or HTTPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Scheme {
    /// Plain.
    #[default]
    Http,
    /// Over TLS, unverified.
    Https,
}

/// One request header.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A TCP connection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TcpSocket {
    /// Host to connect to. Default: 127.0.0.1.
    #[serde(default)]
    pub host: Option<String>,
    /// Port number (also as a string).
    #[serde(deserialize_with = "super::forms::port")]
    #[schemars(with = "super::forms::Port")]
    pub port: u16,
}

/// A command, run with the service's environment, user and working directory.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exec {
    /// Program and arguments; not passed through a shell.
    pub command: Vec<String>,
}

/// The gRPC health protocol (grpc.health.v1.Health/Check), without TLS as in Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grpc {
    /// Port number (also as a string).
    #[serde(deserialize_with = "super::forms::port")]
    #[schemars(with = "super::forms::Port")]
    pub port: u16,
    /// The service name to ask about. Default: empty, the server as a whole.
    #[serde(default)]
    pub service: Option<String>,
}
