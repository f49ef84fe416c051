//! Durations, sizes and signals, as the config and the command line write them.

mod duration;
mod schedule;
mod signal;
mod size;

pub use duration::{DurationError, HumanDuration};
pub use schedule::{Schedule, ScheduleError};
pub use signal::{SignalError, SignalName, signal_label};
pub use size::{ByteSize, SizeError};
