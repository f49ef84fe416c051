//! The health and metrics endpoint, on a thread of its own: it reads what was published and waits for nobody.

mod health;
mod metrics;
mod page;
mod pulse;
mod reply;
mod server;

use std::sync::Arc;

use arc_swap::ArcSwap;

pub use pulse::Pulse;
pub use server::{BindError, Bound, bind};

use crate::metrics::Metrics;
use crate::view::View;

/// What the endpoint answers from.
pub struct Shared {
    view: Arc<ArcSwap<View>>,
    pulse: Arc<Pulse>,
    metrics: Metrics,
}

impl Shared {
    /// What the endpoint answers from.
    pub fn new(view: Arc<ArcSwap<View>>, pulse: Arc<Pulse>, metrics: Metrics) -> Self {
        Self {
            view,
            pulse,
            metrics,
        }
    }
}
