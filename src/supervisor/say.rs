//! What podvisor says about what happened: one log line a fact.

use std::time::Duration;

use crate::core::{Core, Ending, Fact, Halt, ServiceId, ShutdownWhy};

/// Says one fact. The level is a promise: a `warn` needs a look, an `error` needs somebody.
pub(super) fn say(core: &Core, single: bool, fact: &Fact) {
    let of_the_command = matches!(
        fact,
        Fact::Ended { .. } | Fact::Failed { .. } | Fact::ShutdownBegan { .. }
    );
    if single && of_the_command {
        // The command's own business, as with tini; its exit code tells.
        return tracing::debug!(?fact, "the command ended");
    }
    let name = |id: &ServiceId| core.graph().spec(*id).name.clone();
    match fact {
        Fact::Started { service, pid } => {
            tracing::debug!(service = &*name(service), pid, "started");
        }
        Fact::Ready { service, took } if !core.graph().spec(*service).has_readiness() => {
            tracing::debug!(service = &*name(service), took = %short(*took), "ready");
        }
        Fact::Ready { service, took } => {
            tracing::info!(service = &*name(service), took = %short(*took), "ready");
        }
        Fact::Unready { service } => {
            tracing::warn!(service = &*name(service), "no longer ready");
        }
        Fact::Ended {
            service,
            ending,
            ran,
        } => {
            let (service, ran) = (name(service), short(*ran));
            if *ending == Ending::Code(0) {
                tracing::debug!(service = &*service, %ending, %ran, "ended");
            } else {
                tracing::warn!(service = &*service, %ending, %ran, "ended");
            }
        }
        Fact::OutOfMemory { service } => {
            tracing::error!(
                service = &*name(service),
                "killed by the kernel: the container is out of memory"
            );
        }
        Fact::Survivors { service } => {
            tracing::info!(
                service = &*name(service),
                "left processes behind, stopping them"
            );
        }
        Fact::ExecFailed { service, fault } => {
            tracing::error!(service = &*name(service), error = %fault.text, "cannot be run");
        }
        Fact::Backoff {
            service,
            reason,
            delay,
            failures,
        } => {
            let (service, delay) = (name(service), short(*delay));
            tracing::info!(service = &*service, reason = reason.name(), failures, %delay, "restarts");
        }
        Fact::Completed { service, took } => {
            tracing::info!(service = &*name(service), took = %short(*took), "completed");
        }
        Fact::Failed { service, failure } => {
            let reason = core.failure_text(failure);
            tracing::error!(service = &*name(service), %reason, "failed for good");
        }
        Fact::ProbeFailed {
            service,
            probe,
            failures,
        } => {
            tracing::warn!(
                service = &*name(service),
                probe = probe.name(),
                failures,
                "probe fails"
            );
        }
        Fact::StartTimedOut { service } => {
            tracing::warn!(service = &*name(service), "not ready in time");
        }
        Fact::WatchdogMissed { service } => {
            tracing::warn!(service = &*name(service), "missed its watchdog");
        }
        Fact::Stopping { service } => {
            tracing::debug!(service = &*name(service), "stopping");
        }
        Fact::Stopped {
            service,
            took,
            killed,
            ending,
        } => {
            let (service, took) = (name(service), short(*took));
            let how = ending.map_or_else(String::new, |e| e.to_string());
            if *killed {
                tracing::warn!(service = &*service, %how, %took, "stopped by killing");
            } else {
                tracing::info!(service = &*service, %how, %took, "stopped");
            }
        }
        Fact::Killing { service } => {
            tracing::warn!(service = &*name(service), "does not stop, killing it");
        }
        Fact::Unkillable { service } => {
            tracing::error!(service = &*name(service), "killed, and still there");
        }
        Fact::ConflictLost { service, with } => {
            let with = name(with);
            tracing::warn!(
                service = &*name(service),
                with = &*with,
                "not started: conflicts"
            );
        }
        Fact::CronSkipped { service } => {
            tracing::info!(
                service = &*name(service),
                "run skipped: the previous one still runs"
            );
        }
        Fact::Refused { service } => {
            tracing::warn!(service = &*name(service), "refused: shutting down");
        }
        Fact::Up { took } => tracing::info!(took = %short(*took), "all required services are up"),
        Fact::ShutdownBegan { why } => say_shutdown(core, *why),
        Fact::ShutdownHurried { halt: Halt::Stop } => {
            tracing::warn!("asked to stop again: no more order");
        }
        Fact::ShutdownHurried { halt: Halt::Quit } => tracing::warn!("asked to quit: killing all"),
        Fact::DeadlineReached { left } => {
            tracing::error!(services = left, "killing what still runs");
        }
        Fact::Frozen { lasted } => {
            tracing::warn!(lasted = %short(*lasted), "podvisor itself was frozen");
        }
    }
}

fn say_shutdown(core: &Core, why: ShutdownWhy) {
    let name = |id: ServiceId| core.graph().spec(id).name.clone();
    match why {
        ShutdownWhy::Asked(_) => tracing::info!("asked to stop"),
        ShutdownWhy::Failed(id) => {
            tracing::error!(
                service = &*name(id),
                "shutting down: a required service failed"
            );
        }
        ShutdownWhy::Succeeded(id) => {
            tracing::info!(service = &*name(id), "shutting down: completed");
        }
        ShutdownWhy::AllDone => tracing::info!("all work is done"),
    }
}

/// A time for people: `3ms`, `1.25s`.
fn short(time: Duration) -> String {
    match time.as_millis() {
        0 => format!("{}us", time.as_micros()),
        ms if ms < 1000 => format!("{ms}ms"),
        ms if ms < 60_000 => format!("{:.2}s", ms as f64 / 1000.0),
        ms => format!("{}s", ms / 1000),
    }
}
