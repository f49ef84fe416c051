#!/usr/bin/env bash
# Installs the real peers that the tests in this folder need, on Debian 12 as root. Quiet when all is there.
set -euo pipefail

packages=(nginx-light php-fpm redis-server postgresql python3 podman buildah runc netavark iptables iproute2
  prometheus python3-prometheus-client chromium curl)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if ((${#missing[@]})); then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # No service is started by an installation here: the tests run the programs themselves.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod +x "$policy"
  fi
  log=$(mktemp)
  apt-get install -y -qq --no-install-recommends "${missing[@]}" > "$log" 2>&1 || { cat "$log" >&2; exit 1; }
  rm -f "$log"
fi

target=x86_64-unknown-linux-musl
rustup target list --installed | grep -qx "$target" || rustup -q target add "$target"

"$(dirname "$0")/ship/install.sh"
"$(dirname "$0")/charts/install.sh"
