//! Durations, sizes and signals, as the config and the CLI write them.
