//! The snapshot that the supervisor publishes and others read.
