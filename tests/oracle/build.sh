#!/usr/bin/env bash
# Builds a program that charts and templates are compared with, from one of the Go modules beside this script, into
# ${LOCKGATE_CACHE}/oracle/<module>-<hash of what is built>. Prints the program's path on stdout, progress on stderr.
#   build.sh helm      the real helm engine, answering requests
#   build.sh helm-cli  the real helm
#   build.sh index     a reader of indexes, by Helm's library
set -euo pipefail
module=$1
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
case "$module" in
  helm) folder=helm package=. ;;
  helm-cli) folder=helm-cli package=helm.sh/helm/v4/cmd/helm ;;
  index) folder=helm-cli package=./index ;;
  *) echo "build.sh: no module $module" >&2; exit 2 ;;
esac
cache="${LOCKGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lockgate}/oracle"
key="$(cd "$here/$folder" && cat ../build.sh $(find . -name '*.go' | sort) go.mod go.sum | sha256sum | cut -c1-16)"
program="$cache/$module-$key"
if [[ ! -x "$program" ]]; then
  mkdir -p "$cache"
  exec 9>"$cache/.lock-$module"
  flock 9
  if [[ ! -x "$program" ]]; then
    echo "$module: building" >&2
    (cd "$here/$folder" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$program.new" "$package" >&2)
    mv "$program.new" "$program"
  fi
fi
echo "$program"
