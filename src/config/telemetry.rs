//! The types of `telemetry:`: what podvisor says about itself, and to whom.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::sink::{OtlpProtocol, Secret, Tls};
use crate::units::HumanDuration;

/// What podvisor says about itself.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Telemetry {
    /// To an OpenTelemetry collector.
    pub otlp: Option<OtlpTelemetry>,
}

/// podvisor's own metrics and traces, pushed.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OtlpTelemetry {
    /// The collector's address.
    pub endpoint: String,
    /// How OTLP is carried. Default: http/protobuf.
    #[serde(default)]
    pub protocol: OtlpProtocol,
    /// Whether metrics are pushed. Default: true.
    #[serde(default = "super::model::yes")]
    pub metrics: bool,
    /// Whether traces (start-up, restarts, shutdown) are pushed. Default: true.
    #[serde(default = "super::model::yes")]
    pub traces: bool,
    /// How often metrics are pushed. Default: 15s.
    #[serde(default = "interval")]
    pub interval: HumanDuration,
    /// Further request headers.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Certificates, for `https://`.
    #[serde(default)]
    pub tls: Tls,
}

fn interval() -> HumanDuration {
    HumanDuration::from_secs(15)
}
