//! The `podvisor` binary: everything is in the library.

fn main() {}
