//! The names of the states, as the world knows them.

/// What a service is at one moment, as metrics, the API and people name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceState {
    /// Not looked at yet, or a cron service between runs.
    Pending,
    /// To be started as soon as what it depends on allows.
    Blocked,
    /// The process was made; its program does not run yet.
    Starting,
    /// Its program runs, and it is not ready.
    Running,
    /// Its program runs and it is ready.
    Ready,
    /// It ended and will be started again after a delay.
    Backoff,
    /// It is being stopped.
    Stopping,
    /// It does not run, and is not to.
    Stopped,
    /// It did its work.
    Completed,
    /// It failed for good.
    Failed,
}

impl ServiceState {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Pending,
        Self::Blocked,
        Self::Starting,
        Self::Running,
        Self::Ready,
        Self::Backoff,
        Self::Stopping,
        Self::Stopped,
        Self::Completed,
        Self::Failed,
    ];

    /// The name that stands in metrics, JSON and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Blocked => "blocked",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Ready => "ready",
            Self::Backoff => "backoff",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}
