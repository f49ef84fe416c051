//! USR1: the state of everything, one line a service, to podvisor's own log.

use crate::view::View;

/// Writes the state to the log, at most [`MOST`] services of it.
pub(super) fn dump(view: &View) {
    tracing::info!(
        phase = view.phase.name(),
        services = view.services.len(),
        "state"
    );
    for service in view.services.iter().take(MOST) {
        tracing::info!(
            service = &*service.name,
            state = service.state.name(),
            ready = service.ready,
            pid = service.pid.unwrap_or_default(),
            reason = &*service.reason,
            "state"
        );
    }
}

/// How many services a dump names.
const MOST: usize = 1000;
