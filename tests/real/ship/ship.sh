#!/usr/bin/env bash
# Ships logs with the real podvisor to real receivers and counts every record: see README.md. Never skips.
#
#   PODVISOR=./target/release/podvisor tests/real/ship/ship.sh [GROUP or CASE...]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

"$here/install.sh"
PODVISOR=${PODVISOR:-$here/../../../target/release/podvisor}
export PODVISOR PYTHONDONTWRITEBYTECODE=1 GRPC_VERBOSITY=NONE
ulimit -c 0
exec "${PODVISOR_PEERS:-$HOME/.cache/podvisor-peers}/venv/bin/python" "$here/ship.py" "$@"
