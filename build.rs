//! Tells the binary what it was built for, and with.
#![expect(
    clippy::disallowed_types,
    reason = "a build script is no part of PID 1"
)]

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=PODVISOR_REVISION");
    let target = std::env::var("TARGET").unwrap_or_else(|_| "unknown".to_owned());
    println!("cargo:rustc-env=PODVISOR_TARGET={target}");
    println!(
        "cargo:rustc-env=PODVISOR_RUSTC={}",
        rustc().as_deref().unwrap_or("unknown")
    );
}

/// The compiler's version, without its name.
fn rustc() -> Option<String> {
    let output = Command::new(std::env::var_os("RUSTC")?)
        .arg("--version")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split(' ').nth(1).map(str::to_owned)
}
