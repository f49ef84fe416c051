//! The types of `logs:` and `shutdown:`: console, what happens to a service's output, and the end of the container.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::sink::{Sink, Spool};
use crate::units::{ByteSize, HumanDuration, SignalName};

/// What happens to one service's output.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ServiceLogs {
    /// How a line is read before it is shipped. Default: auto.
    pub parse: Parse,
    /// Lines that belong together, such as a stack trace, as one record. Default: every line is one.
    pub multiline: Option<Multiline>,
    /// The longest line; what is longer is cut into parts, none is dropped. Default: 256KiB.
    pub max_line: ByteSize,
    /// How many of the last lines are kept in memory. Default: 1000.
    #[schemars(range(max = 100_000))]
    pub ring: u32,
    /// What happens when lines come faster than they can be shipped. Default: dropOldest.
    pub when_full: WhenFull,
    /// Labels that go with each record.
    pub labels: BTreeMap<String, String>,
}

impl Default for ServiceLogs {
    fn default() -> Self {
        Self {
            parse: Parse::default(),
            multiline: None,
            max_line: ByteSize::from_bytes(256 * 1024),
            ring: 1000,
            when_full: WhenFull::default(),
            labels: BTreeMap::new(),
        }
    }
}

/// How a line is read before it is shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Parse {
    /// As JSON when it is an object, as text otherwise.
    #[default]
    Auto,
    /// As JSON; a line that is none is kept as text and counted.
    Json,
    /// As text, always.
    None,
}

/// Which lines belong together.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Multiline {
    /// A regular expression: a line that matches it begins a record, any other continues the one before.
    pub start_pattern: String,
    /// The most lines of one record. Default: 500.
    #[serde(default = "multiline_max_lines")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_lines: u32,
    /// A record ends when no further line comes for this long. Default: 200ms.
    #[serde(default = "multiline_timeout")]
    pub timeout: HumanDuration,
}

fn multiline_max_lines() -> u32 {
    500
}

fn multiline_timeout() -> HumanDuration {
    HumanDuration::from_millis(200)
}

/// What happens when lines come faster than they can be shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum WhenFull {
    /// The oldest lines are dropped, and counted.
    #[default]
    DropOldest,
    /// The newest lines are dropped, and counted.
    DropNewest,
    /// The service waits when it writes. It may hang for as long as the log backend does.
    Block,
}

/// Where the services' output goes.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Logs {
    /// What `kubectl logs` shows.
    pub console: Console,
    /// Where records are sent, by a name of your choice.
    pub sinks: BTreeMap<String, Sink>,
    /// A buffer on disk for what can't be sent yet.
    pub spool: Option<Spool>,
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
    pub signals: Vec<SignalName>,
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

impl Shutdown {
    /// The deadline: as the user said, else by whether this is a pod.
    pub fn deadline(&self, in_kubernetes: bool) -> HumanDuration {
        self.deadline
            .unwrap_or(HumanDuration::from_secs(if in_kubernetes { 25 } else { 8 }))
    }

    /// The part of the deadline that is kept for the last logs.
    pub fn flush_timeout(&self, in_kubernetes: bool) -> HumanDuration {
        let quarter = HumanDuration(self.deadline(in_kubernetes).get() / 4);
        self.flush_timeout
            .unwrap_or_else(|| HumanDuration::from_secs(5).min(quarter))
    }
}
