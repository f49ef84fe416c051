#!/usr/bin/env bash
# Installs the real receivers of logs that ship.sh tests against: the OpenTelemetry Collector, VictoriaLogs, and a
# Python with Google's protobuf and gRPC. Pinned, into ${PODVISOR_PEERS:-~/.cache/podvisor-peers}. Quiet when all is
# there. Needs go, python3 with venv, and their package registries.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

otelcol=0.165.0

peers=${PODVISOR_PEERS:-$HOME/.cache/podvisor-peers}
mkdir -p "$peers/bin"
peers=$(cd "$peers" && pwd)
log=$peers/install.log
trap 'rm -rf "$peers"/build.$$.*' EXIT

# Others may be compiling on the same machine.
export GOFLAGS="${GOFLAGS:-} -p=2"
gently() { nice -n 10 "$@" >> "$log" 2>&1 || { echo "FAIL: $*" >&2; tail -n 40 "$log" >&2; exit 1; }; }
sum() { sha256sum < "$1" | cut -c 1-8; } # a pinned file's, so that another version is another name
link() { ln -sfn "$2" "$peers/bin/$1"; } # what the tests call: always this file's version

builder=$peers/bin/builder-$otelcol
collector=$peers/bin/otelcol-$(sum "$here/otelcol.yaml")
if [ ! -x "$collector" ]; then
  work=$(mktemp -d "$peers/build.$$.XXXXXX")
  if [ ! -x "$builder" ]; then
    GOBIN=$work gently go install "go.opentelemetry.io/collector/cmd/builder@v$otelcol"
    mv "$work/builder" "$builder"
  fi
  sed "s|^dist:|&\n  output_path: $work/out|" "$here/otelcol.yaml" > "$work/manifest.yaml"
  gently "$builder" --config "$work/manifest.yaml"
  mv "$work/out/otelcol-podvisor" "$collector"
  rm -rf "$work"
fi
link otelcol "$collector"

logs=$peers/bin/victoria-logs-$(sum "$here/victoria-logs/go.mod")
if [ ! -x "$logs" ]; then
  gently go -C "$here/victoria-logs" build -o "$logs.new" github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs
  mv "$logs.new" "$logs"
fi
link victoria-logs "$logs"

venv=$peers/venv-$(sum "$here/requirements.txt")
if [ ! -e "$venv/complete" ]; then
  rm -rf "$venv"
  gently python3 -m venv "$venv"
  gently "$venv/bin/pip" install --disable-pip-version-check --only-binary :all: -r "$here/requirements.txt"
  touch "$venv/complete"
fi
ln -sfn "$venv" "$peers/venv" # a venv works by where it is called, so the folder is what has the one name
