//! The whole of a config.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::http::Http;
use super::logs::{Logs, Shutdown};
use super::model::{Service, ServiceName};
use super::telemetry::Telemetry;

/// A podvisor config: the services of one container, and what podvisor itself does.
#[derive(Debug, Clone, PartialEq, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// The services, by name.
    pub services: BTreeMap<ServiceName, Service>,
    /// Where the services' output goes.
    pub logs: Logs,
    /// Health endpoints and metrics.
    pub http: Http,
    /// The end of the container.
    pub shutdown: Shutdown,
    /// What podvisor says about itself.
    pub telemetry: Telemetry,
}

/// The sections of a config.
pub(super) const SECTIONS: [&str; 5] = ["services", "logs", "http", "shutdown", "telemetry"];
