#!/usr/bin/env bash
# Builds the static binary: ./build-static.sh [TARGET], by default for this machine. Needs rustup and a C compiler, no musl-gcc.
set -euo pipefail
cd "$(dirname "$0")"

target=${1:-$(uname -m)-unknown-linux-musl}
rustup target list --installed | grep -qx "$target" || rustup -q target add "$target"
case $target in
  "$(uname -m)"-*) compiler=gcc ;;
  *) compiler=${target%%-*}-linux-gnu-gcc ;;
esac
name=${target//-/_}
export "CC_$name=$compiler" "CARGO_TARGET_${name^^}_LINKER=$compiler"
cargo build --quiet --release --locked --bin podvisor --target "$target"
ls -l "${CARGO_TARGET_DIR:-target}/$target/release/podvisor"
