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
    /// Which records are shipped. Default: all.
    pub filter: Filter,
    /// The most records that are shipped; the others are dropped, and counted. Default: no limit.
    pub rate_limit: Option<RateLimit>,
    /// What is blotted out before a record is shipped. The console shows lines as they are.
    pub redact: Vec<Redact>,
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
            filter: Filter::default(),
            rate_limit: None,
            redact: Vec::new(),
        }
    }
}

/// Which records are shipped.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Filter {
    /// Regular expressions: only what matches one of them. Default: everything.
    pub keep: Vec<String>,
    /// Regular expressions: nothing that matches one of them, even if `keep` does.
    pub drop: Vec<String>,
    /// Only what is at least as bad as this, and what does not say how bad it is.
    pub min_level: Option<Level>,
}

/// How bad a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// Finest detail.
    Trace,
    /// For developers.
    Debug,
    /// What happens.
    Info,
    /// Not an error yet.
    Warn,
    /// Something failed.
    Error,
    /// The process can't go on.
    Fatal,
}

/// The most records of a service that are shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// Records a second, over time.
    #[schemars(range(min = 1))]
    pub per_second: u32,
    /// Records at once, after a silence. Default: one second's worth.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub burst: Option<u32>,
}

/// One thing to blot out: `pattern` or `builtin`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Redact {
    /// A regular expression.
    #[serde(default)]
    pub pattern: Option<String>,
    /// A pattern that podvisor brings.
    #[serde(default)]
    pub builtin: Option<Builtin>,
    /// What stands there instead; `$1` is the first group of `pattern`. Default: `[redacted]`.
    #[serde(default)]
    pub replacement: Option<String>,
}

/// Patterns that podvisor brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Builtin {
    /// Addresses of electronic mail.
    Email,
    /// IPv4 addresses.
    Ipv4,
    /// Card numbers whose check digit is right.
    CreditCard,
    /// What follows `Bearer `.
    Bearer,
    /// Values of keys such as `password`, `secret`, `token`, `apiKey`.
    Password,
    /// Amazon's access keys.
    AwsKey,
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

/// Which lines belong together: one of `startPattern`, `continuePattern`, `indent` and `preset`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Multiline {
    /// A regular expression: a line that matches it begins a record, any other continues the one before.
    #[serde(default)]
    pub start_pattern: Option<String>,
    /// A regular expression: a line that matches it continues the record before, any other begins one.
    #[serde(default)]
    pub continue_pattern: Option<String>,
    /// true: a line that begins with a space or tab continues the record before.
    #[serde(default)]
    pub indent: bool,
    /// Stack traces of a language, as its runtime prints them.
    #[serde(default)]
    pub preset: Option<MultilinePreset>,
    /// The most lines of one record. Default: 500.
    #[serde(default = "multiline_max_lines")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_lines: u32,
    /// A record ends when no further line comes for this long. Default: 200ms.
    #[serde(default = "multiline_timeout")]
    pub timeout: HumanDuration,
}

/// Stack traces of a language, as its runtime prints them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MultilinePreset {
    /// Java, Kotlin, Scala, Clojure.
    Java,
    /// Python.
    Python,
    /// Go.
    Go,
    /// Ruby.
    Ruby,
    /// C# and the other languages of .NET.
    Dotnet,
    /// Java, Python and Go together.
    Auto,
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
    /// How much memory all that waits to be sent may take, over all sinks: 1MiB at least. Default: 8MiB, at most 5 % of the container's memory limit.
    pub max_memory: Option<ByteSize>,
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
