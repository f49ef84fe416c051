//! Tells the binary what it was built for.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=PODVISOR_REVISION");
    if let Ok(target) = std::env::var("TARGET") {
        println!("cargo:rustc-env=PODVISOR_TARGET={target}");
    }
}
