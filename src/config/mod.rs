//! What the user said: YAML text to checked types.

pub mod logs;
pub mod model;
pub mod probe;
mod probe_decode;
