#!/usr/bin/env bash
# Builds the real helm engine that templates are compared with, from the Go module beside this script, into
# ${LOCKGATE_CACHE}/helm-oracle/<hash of what is built>. Prints the program's path on stdout, progress on stderr.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${LOCKGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lockgate}/helm-oracle"
key="$(cd "$here" && cat build.sh ./*.go go.mod go.sum | sha256sum | cut -c1-16)"
program="$cache/$key"
if [[ ! -x "$program" ]]; then
  mkdir -p "$cache"
  echo "helm-oracle: building" >&2
  exec 9>"$cache/.lock"
  flock 9
  if [[ ! -x "$program" ]]; then
    (cd "$here" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$program.new" . >&2)
    mv "$program.new" "$program"
  fi
fi
echo "$program"
