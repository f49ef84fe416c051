//! Every exit code of podvisor, in one place.

/// Asked to stop and every required service ended cleanly, or all work completed.
pub const OK: u8 = 0;
/// The thing asked for failed (client commands).
pub const FAILED: u8 = 1;
/// The command line is wrong (EX_USAGE of sysexits.h).
pub const USAGE: u8 = 64;
/// No supervisor answers (EX_UNAVAILABLE of sysexits.h; client commands).
pub const UNAVAILABLE: u8 = 69;
/// podvisor itself failed (EX_SOFTWARE of sysexits.h).
pub const INTERNAL: u8 = 70;
/// No process could be created (EX_OSERR of sysexits.h).
pub const CANNOT_CREATE_PROCESS: u8 = 71;
/// The config is refused (EX_CONFIG of sysexits.h).
pub const CONFIG: u8 = 78;
/// A required service was not ready by its start deadline.
pub const START_DEADLINE: u8 = 100;
/// Something that a required service depends on failed for good.
pub const DEPENDENCY_FAILED: u8 = 101;
/// A required service was stopped for failing liveness.
pub const LIVENESS: u8 = 102;
/// A command could not be executed (as in a shell).
pub const NOT_EXECUTABLE: u8 = 126;
/// A command was not found (as in a shell).
pub const NOT_FOUND: u8 = 127;
/// QUIT: 128 + SIGQUIT.
pub const QUIT: u8 = 131;
/// A required service had to be killed at the shutdown deadline: 128 + SIGKILL.
pub const KILLED_AT_DEADLINE: u8 = 137;
