//! podvisor's own log.
