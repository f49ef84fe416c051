//! Durations, sizes and signals, as the config and the CLI write them.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// A duration as users write it: `500ms`, `10s`, `5m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
pub struct HumanDuration(pub Duration);

impl HumanDuration {
    /// So many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

/// A size in bytes as users write it: `64KiB`, `1Mi`, `10MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// So many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }
}

/// A signal, by number; written as `SIGTERM`, `TERM` or `15`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
pub struct SignalName(pub i32);

impl SignalName {
    /// SIGTERM.
    pub const TERM: Self = Self(15);
}

/// The name of a signal, such as `SIGTERM` or `SIGRTMIN+3`; its number when it has none.
pub fn signal_label(signal: i32) -> String {
    format!("{signal}")
}
