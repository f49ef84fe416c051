//! What podvisor says about itself: its own log on stderr.

pub mod limit;
pub mod line;
pub mod own_log;
#[cfg(test)]
mod tests;
