//! What must happen in one situation each, by name.

mod by_hand;
mod cron_runs;
mod depend;
mod probing;
mod restarting;
mod single;
mod stopping;

use std::time::Duration;

use podvisor::core::{ServiceState, Tick};

use crate::world::World;

/// How long after `from`.
fn after(from: Tick, at: Tick) -> Duration {
    at.since(from)
}

/// The states of services, in the order asked.
fn states<const N: usize>(world: &World, names: [&str; N]) -> [ServiceState; N] {
    names.map(|name| world.state(name))
}
