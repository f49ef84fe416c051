//! The types of `logs.sinks` and `logs.spool`: where records are sent, and where they wait.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::units::{ByteSize, HumanDuration};

/// A place to which records are sent.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sink {
    /// What it speaks.
    #[serde(rename = "type")]
    pub kind: SinkKind,
    /// Its address: `http://vector:8080/`, `https://otel-collector:4318`. For `type: otlp` without a path the protocol's
    /// own is added. Default: for `type: otlp` what the `OTEL_EXPORTER_OTLP_*` variables say; required for `type: http`.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// A known backend: fills in the path and query that it wants, where `endpoint` has none.
    #[serde(default)]
    pub preset: Option<Preset>,
    /// Further query parameters.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// How OTLP is carried. Default: http/protobuf. Only for `type: otlp`.
    #[serde(default)]
    pub protocol: Option<OtlpProtocol>,
    /// How a batch is compressed. Default: gzip; for `type: otlp` without an `endpoint`, `OTEL_EXPORTER_OTLP_COMPRESSION`.
    /// Sinks of the same type and compression share their batches.
    #[serde(default)]
    pub compression: Option<Compression>,
    /// How hard it is compressed: 1 to 9 for gzip, 1 to 19 for zstd. Default: 2 for gzip (1 for `type: otlp`), 3 for zstd.
    #[serde(default)]
    #[schemars(range(min = 1, max = 19))]
    pub level: Option<u32>,
    /// How podvisor says who it is.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// Further request headers (for grpc: metadata).
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Certificates, for `https://`.
    #[serde(default)]
    pub tls: Tls,
    /// How long one request may take. Default: 10s.
    #[serde(default)]
    pub timeout: Option<HumanDuration>,
    /// When a batch is full.
    #[serde(default)]
    pub batch: Batch,
    /// Requests under way at once; with more than one, batches may arrive out of order. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 4))]
    pub concurrency: u32,
    /// What the body of an OTLP record is, when a line is a JSON object. Default: text. Only for `type: otlp`.
    #[serde(default)]
    pub body: Option<Body>,
}

fn one() -> u32 {
    1
}

/// A known backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Preset {
    /// Vector: its http_server source, or with `type: otlp` its opentelemetry source.
    Vector,
    /// VictoriaLogs: `/insert/jsonline`, or with `type: otlp` `/insert/opentelemetry/v1/logs`. It drops lines of 256 KiB
    /// in silence, so with `type: http` lines are cut at 160 KiB.
    Victorialogs,
    /// Loki 3: `/otlp/v1/logs`. Only for `type: otlp`.
    Loki,
}

/// What the body of an OTLP record is, when a line is a JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Body {
    /// The line as it was written.
    #[default]
    Text,
    /// A map of its fields.
    Map,
}

/// What a sink speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SinkKind {
    /// NDJSON over HTTP POST: Vector's http_server source, or any endpoint that takes it.
    Http,
    /// The OpenTelemetry protocol.
    Otlp,
}

/// How OTLP is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub enum OtlpProtocol {
    /// gRPC, by convention on port 4317.
    #[serde(rename = "grpc")]
    Grpc,
    /// Protobuf over HTTP POST, by convention on port 4318.
    #[default]
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
}

/// How a batch is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Compression {
    /// gzip: understood by everything.
    #[default]
    Gzip,
    /// zstd: smaller and faster.
    Zstd,
    /// Not at all.
    None,
}

/// How podvisor says who it is: a bearer token, or a user name with a password; one of the three.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Auth {
    /// `Authorization: Bearer …`, read once: `${file:/var/run/secrets/token}`.
    pub bearer: Option<Secret>,
    /// `Authorization: Bearer …` from a file that is read again when it changes, as a mounted token does.
    pub bearer_file: Option<String>,
    /// `Authorization: Basic …`.
    pub basic: Option<Basic>,
}

/// A user name with a password.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Basic {
    /// The user.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// Certificates of a TLS connection.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Tls {
    /// PEM file of the authorities to trust. Default: the system's, else Mozilla's.
    pub ca_file: Option<String>,
    /// PEM file of podvisor's own certificate.
    pub cert_file: Option<String>,
    /// PEM file of that certificate's key.
    pub key_file: Option<String>,
    /// The name the server must prove. Default: the endpoint's host.
    pub server_name: Option<String>,
    /// true: any certificate is taken. For tests only.
    pub insecure_skip_verify: bool,
}

/// When a batch is full: by whichever comes first.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Batch {
    /// Bytes before compression: 64KiB to 4MiB. Default: 1MiB.
    pub max_bytes: ByteSize,
    /// Records. Default: 4096.
    #[schemars(range(min = 1))]
    pub max_records: u32,
    /// Age of the first record. Default: 1s.
    pub max_age: HumanDuration,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            max_bytes: ByteSize::from_bytes(1024 * 1024),
            max_records: 4096,
            max_age: HumanDuration::from_secs(1),
        }
    }
}

/// A buffer on disk.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spool {
    /// The folder; best on a volume that survives the container.
    pub path: String,
    /// The most it may hold. Default: 256MiB.
    #[serde(default = "spool_bytes")]
    pub max_bytes: ByteSize,
    /// When records go there. Default: overflow.
    #[serde(default)]
    pub mode: SpoolMode,
    /// When what was written is forced to the disk: it survives podvisor's death without, a node's only with. Default: never.
    #[serde(default)]
    pub fsync: Fsync,
}

/// When what was written to the spool is forced to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Fsync {
    /// The kernel decides.
    #[default]
    Never,
    /// Once a second.
    EverySecond,
    /// After each write.
    Always,
}

fn spool_bytes() -> ByteSize {
    ByteSize::from_bytes(256 * 1024 * 1024)
}

/// When records go to the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SpoolMode {
    /// When half of the memory is in use, when the sink fails, and at the end.
    #[default]
    Overflow,
    /// Always, before they are sent: survives a kill of podvisor, as by the kernel when memory runs out.
    Always,
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
