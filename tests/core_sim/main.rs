//! The pure core in a simulated world: random worlds with invariants, scenarios by name, the diagram, the scale.
//!
//! `SEED=n cargo test --test core_sim random` replays one random world and prints what happened in it;
//! `WORLDS=n` sets how many are tried, `FIRST=n` with which seed they begin.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that finds something wrong panics, in its helpers, too"
)]

mod chance;
mod diagram;
mod known;
mod plan;
mod random_worlds;
mod scale;
mod scenarios;
mod script;
mod world;
