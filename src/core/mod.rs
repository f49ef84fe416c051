//! The pure core: events in, actions out, no clock and no I/O.
