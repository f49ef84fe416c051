#!/usr/bin/env bash
# Builds the static binary and runs every test against real peers. Fails where one is missing; never skips.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=x86_64-unknown-linux-musl
CC_x86_64_unknown_linux_musl=gcc cargo build -q --release --target "$target"
binary=${CARGO_TARGET_DIR:-target}/$target/release/podvisor

tests/real/compat.sh "$binary"
tests/real/examples.sh "$binary"
tests/real/container.sh "$binary"
PODVISOR=$(realpath "$binary") tests/real/ship/ship.sh
/usr/bin/python3 tests/real/dashboards/dashboards.py "$binary"
/usr/bin/python3 tests/real/dashboards/page.py "$binary"
"${PODVISOR_PEERS:-$HOME/.cache/podvisor-peers}/venv-charts/bin/python3" tests/real/charts/charts.py "$binary"
