//! The binary as its users meet it: one module per promise of the contract.
//!
//! Each test runs a real podvisor on a real config with real processes (`examples/child.rs`), on ports and in
//! folders of its own, all at the same time. What needs root or namespaces is in `pid1.rs`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot do its part has failed"
)]

mod support;

mod boot_order;
mod console;
mod control;
mod cron;
mod exit_codes;
mod health;
mod install;
mod pid1;
mod probes;
mod processes;
mod receive;
mod restart;
mod run_cmd;
mod ship;
mod shutdown;
mod signals;
mod spool;
mod usage;
