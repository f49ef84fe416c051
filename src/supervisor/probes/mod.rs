//! Probe attempts: one try each, verdicts belong to the core.
