//! The health and metrics endpoint, on a thread of its own.
