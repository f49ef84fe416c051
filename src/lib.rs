//! podvisor: a container ENTRYPOINT that runs the processes of one container.
//!
//! The map (who may import whom is held by `tests/layers.rs`, the why is in `ARCHITECTURE.md`):
//!
//! | room | does |
//! |---|---|
//! | [`units`], [`exit`] | ground: durations, sizes, signals; exit codes |
//! | [`config`] | what the user said: YAML text to checked types, every error with its place |
//! | [`core`] | pure: graph, states, restarts, probe verdicts, stop, shutdown, outcome |
//! | [`process`] | the only `unsafe`: fork, exec, reap, kill, find descendants |
//! | [`logs`] | pipes, lines, rings, console |
//! | [`view`] | the snapshot that the supervisor publishes |
//! | [`metrics`], [`http`] | read the view: families, health, pages |
//! | [`usage`] | what the services' processes and the container use |
//! | [`supervisor`] | the driver: one thread, one loop, turns actions into deeds |
//! | [`ship`] | records to parcels to sinks: encode, compress, keep, send |
//! | [`receive`] | the other end, small: takes what sinks send, shows and counts it, fails to order |
//! | [`control`] | the control socket: API, server, client |
//! | [`telemetry`] | podvisor's own log |
//! | [`cli`] | arguments and one file per command |

pub mod cli;
pub mod config;
pub mod control;
pub mod core;
pub mod exit;
pub mod http;
pub mod logs;
pub mod metrics;
pub mod process;
pub mod receive;
pub mod ship;
pub mod supervisor;
pub mod telemetry;
pub mod units;
pub mod usage;
pub mod view;
