#!/usr/bin/env bash
# Builds the real helm that charts are compared with, from the Go module beside this script, into
# ${LOCKGATE_CACHE}/helm/<hash of what is built>. Prints the program's path on stdout, progress on stderr.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${LOCKGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lockgate}/helm"
key="$(cd "$here" && cat build.sh tools.go go.mod go.sum | sha256sum | cut -c1-16)"
program="$cache/$key"
if [[ ! -x "$program" ]]; then
  mkdir -p "$cache"
  echo "helm: building" >&2
  exec 9>"$cache/.lock"
  flock 9
  if [[ ! -x "$program" ]]; then
    (cd "$here" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$program.new" helm.sh/helm/v4/cmd/helm >&2)
    mv "$program.new" "$program"
  fi
fi
echo "$program"
