#!/usr/bin/env bash
# Builds the flux CLI, which tests run against the agent, from its Go module in the version of go.mod, into
# ${LOCKGATE_CACHE}/flux/<hash of what is built>. Prints that directory on stdout, progress on stderr.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${LOCKGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lockgate}/flux"
module=github.com/fluxcd/flux2/v2
key="$(cd "$here" && cat build.sh go.mod go.sum | sha256sum | cut -c1-16)"
out="$cache/$key"

if [[ ! -x "$out/flux" ]]; then
  command -v go >/dev/null || { echo "flux: Go is needed to build it: install Go 1.26 or later" >&2; exit 1; }
  mkdir -p "$out"
  exec 9>"$cache/lock"
  flock 9
fi
if [[ ! -x "$out/flux" ]]; then
  echo "flux: building the CLI" >&2
  version="$(cd "$here" && go mod download $module && go list -m -f '{{.Version}}' $module)"
  source="$(cd "$here" && go list -m -f '{{.Dir}}' $module)"
  copy="$(mktemp -d)"
  trap 'rm -rf "$copy"' EXIT
  cp -r "$source/." "$copy" && chmod -R u+w "$copy"
  # The manifests that `flux install` applies are made by the release and not part of the module, which does not build
  # without one.
  mkdir -p "$copy/cmd/flux/manifests" && echo "# none" > "$copy/cmd/flux/manifests/none.yaml"
  (cd "$copy" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.VERSION=${version#v}" -o "$out/.flux.new" ./cmd/flux >&2)
  mv "$out/.flux.new" "$out/flux"
fi
echo "$out"
