//! The `podvisor` binary: everything is in the library.

fn main() -> std::process::ExitCode {
    podvisor::cli::main().into()
}
