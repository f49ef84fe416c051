#!/usr/bin/env bash
# What somebody who comes from tini or dumb-init relies on, asked of `podvisor run -- CMD`, as PID 1 and not.
set -euo pipefail
exec python3 "$(dirname "$0")/compat.py" "$(realpath "${1:?usage: compat.sh PODVISOR_BINARY}")" "${@:2}"
