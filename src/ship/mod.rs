//! Shipping: every record encoded once, compressed once, kept until a sink has taken it, and sent.

pub mod event;
pub mod json;
pub mod parcel;
pub mod record;
pub mod verdict;
