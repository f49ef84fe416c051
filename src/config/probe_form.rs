//! How a probe is written: one check beside its numbers; how it is read, and its schema.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, de};

use super::probe::{Check, Exec, Grpc, HttpGet, Probe, TcpSocket};

/// How a service is asked for its state, how often, and how many answers decide: one check, and Kubernetes' own numbers.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Probe")]
struct WrittenProbe {
    /// An HTTP request; a status from 200 to 399 is a success.
    http_get: Option<HttpGet>,
    /// A TCP connection.
    tcp_socket: Option<TcpSocket>,
    /// A command; exit code 0 is a success.
    exec: Option<Exec>,
    /// The gRPC health protocol.
    grpc: Option<Grpc>,
    /// A regular expression: a line of the service's output that matches it. Once seen, it stays passed.
    log_match: Option<String>,
    /// The path of a file that exists.
    file_exists: Option<String>,
    /// true: the service says so itself, by sd_notify (READY=1 to `$NOTIFY_SOCKET`; as a liveness probe: WATCHDOG=1).
    notify: Option<bool>,
    /// The service says so itself, by writing a newline to this descriptor (s6's way). 3 to 1000.
    #[schemars(range(min = 3, max = 1000))]
    notify_fd: Option<i32>,
    /// Seconds from the start to the first probe. Default: 0.
    initial_delay_seconds: Option<u32>,
    /// Seconds between probes. Default: 10.
    #[schemars(range(min = 1))]
    period_seconds: Option<u32>,
    /// Seconds after which a probe has failed. Default: 1.
    #[schemars(range(min = 1))]
    timeout_seconds: Option<u32>,
    /// Failures in a row that make it failing. Default: 3.
    #[schemars(range(min = 1))]
    failure_threshold: Option<u32>,
    /// Successes in a row that make it passing. Default: 1, and nothing else for startup and liveness.
    #[schemars(range(min = 1))]
    success_threshold: Option<u32>,
    /// For startup and liveness: `stop.timeout` when this probe is why the service is stopped. Seconds.
    #[schemars(range(min = 1))]
    termination_grace_period_seconds: Option<u32>,
}

/// The names of the checks.
pub(super) const CHECKS: [&str; 8] = [
    "httpGet",
    "tcpSocket",
    "exec",
    "grpc",
    "logMatch",
    "fileExists",
    "notify",
    "notifyFd",
];

impl JsonSchema for Probe {
    fn schema_name() -> Cow<'static, str> {
        "Probe".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = WrittenProbe::json_schema(generator);
        let one_of: Vec<_> = CHECKS
            .iter()
            .map(|check| serde_json::json!({ "required": [check] }))
            .collect();
        schema.insert("oneOf".to_owned(), one_of.into());
        schema
    }
}

impl<'de> Deserialize<'de> for Probe {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let written = WrittenProbe::deserialize(from)?;
        if written.notify == Some(false) {
            return Err(de::Error::custom(
                "`notify: false` says nothing: remove it, or choose another check",
            ));
        }
        let found: Vec<(&str, Check)> = [
            written.http_get.map(|it| ("httpGet", Check::HttpGet(it))),
            written
                .tcp_socket
                .map(|it| ("tcpSocket", Check::TcpSocket(it))),
            written.exec.map(|it| ("exec", Check::Exec(it))),
            written.grpc.map(|it| ("grpc", Check::Grpc(it))),
            written
                .log_match
                .map(|it| ("logMatch", Check::LogMatch(it))),
            written
                .file_exists
                .map(|it| ("fileExists", Check::FileExists(it))),
            written.notify.map(|_| ("notify", Check::Notify)),
            written
                .notify_fd
                .map(|it| ("notifyFd", Check::NotifyFd(it))),
        ]
        .into_iter()
        .flatten()
        .collect();
        let names: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
        let mut checks = found.into_iter().map(|(_, check)| check);
        let (Some(check), None) = (checks.next(), checks.next()) else {
            return Err(de::Error::custom(if names.is_empty() {
                "a probe needs a check: httpGet, tcpSocket, exec, grpc, logMatch, fileExists, notify or \
                 notifyFd"
                    .to_owned()
            } else {
                format!("a probe has one check, found {}", names.join(" and "))
            }));
        };
        let defaults = Probe::new(check);
        Ok(Self {
            initial_delay_seconds: written
                .initial_delay_seconds
                .unwrap_or(defaults.initial_delay_seconds),
            period_seconds: written.period_seconds.unwrap_or(defaults.period_seconds),
            timeout_seconds: written.timeout_seconds.unwrap_or(defaults.timeout_seconds),
            failure_threshold: written
                .failure_threshold
                .unwrap_or(defaults.failure_threshold),
            success_threshold: written
                .success_threshold
                .unwrap_or(defaults.success_threshold),
            termination_grace_period_seconds: written.termination_grace_period_seconds,
            ..defaults
        })
    }
}
