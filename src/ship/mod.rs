//! Shipping: every record encoded once, compressed once, kept until a sink has taken it, and sent.

pub mod compress;
pub mod delivery;
pub mod event;
pub mod identity;
pub mod json;
pub mod ndjson;
pub mod otlp;
pub mod parcel;
pub mod record;
#[cfg(test)]
mod samples;
pub mod send;
pub mod split;
pub mod spool;
pub mod table;
pub mod verdict;
