//! The types of `logs:` and `telemetry:`: console, what happens to a service's output, sinks and spool.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::units::{ByteSize, HumanDuration};

/// What happens to one service's output.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ServiceLogs {
    /// The longest line; what is longer is cut into parts, none is dropped. Default: 256KiB.
    pub max_line: ByteSize,
    /// How many of the last lines are kept in memory. Default: 1000.
    pub ring: u32,
    /// Whether the lines are echoed on podvisor's own stdout. Default: true.
    pub console: bool,
    /// Labels that go with each record.
    pub labels: BTreeMap<String, String>,
}

impl Default for ServiceLogs {
    fn default() -> Self {
        Self {
            max_line: ByteSize::from_bytes(256 * 1024),
            ring: 1000,
            console: true,
            labels: BTreeMap::new(),
        }
    }
}

/// The log plane.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Logs {
    /// What `kubectl logs` shows.
    pub console: Console,
}

/// podvisor's own stdout.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Console {
    /// How a service's line is written there. Default: prefixed.
    pub format: ConsoleFormat,
}

/// How a line is written to podvisor's own stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ConsoleFormat {
    /// The bytes as they are.
    Raw,
    /// The service's name before each line; coloured on a terminal.
    #[default]
    Prefixed,
    /// One JSON object a line.
    Json,
    /// Nothing.
    None,
}

/// The end of the container.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Shutdown {
    /// How long the whole shutdown may take; keep it below the pod's terminationGracePeriodSeconds. Default: 25s under Kubernetes, 8s elsewhere.
    pub deadline: Option<HumanDuration>,
    /// How long `/readyz` answers 503 before the first service is stopped. Default: 0s.
    pub drain_delay: HumanDuration,
    /// The part of `deadline` that is kept for the last logs. Default: 5s, at most a quarter of the deadline.
    pub flush_timeout: Option<HumanDuration>,
    /// Further signals that stop podvisor in order, beside TERM, INT and RTMIN+3.
    pub signals: Vec<crate::units::SignalName>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            deadline: None,
            drain_delay: HumanDuration::from_millis(0),
            flush_timeout: None,
            signals: Vec::new(),
        }
    }
}
