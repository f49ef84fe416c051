#!/usr/bin/env bash
# Builds the static binary and runs every test against real peers. Fails where one is missing; never skips.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=$(uname -m)-unknown-linux-musl
./build-static.sh "$target" > /dev/null
binary=${CARGO_TARGET_DIR:-target}/$target/release/podvisor

tests/real/compat.sh "$binary"
tests/real/examples.sh "$binary"
tests/real/container.sh "$binary"
tests/real/image.sh "$binary"
PODVISOR=$(realpath "$binary") tests/real/ship/ship.sh
/usr/bin/python3 tests/real/dashboards/dashboards.py "$binary"
/usr/bin/python3 tests/real/dashboards/page.py "$binary"
"${PODVISOR_PEERS:-$HOME/.cache/podvisor-peers}/venv-charts/bin/python3" tests/real/charts/charts.py "$binary"
