#!/usr/bin/env bash
# Builds what the tests of OCI artifacts run: the registry of CNCF distribution, `oras`, `cosign`, and `push`, which
# pushes as `flux push artifact` does, each from the Go module beside this script, into ${LOCKGATE_CACHE}/registry/<hash of what is
# built>. Prints that directory on stdout, progress on stderr.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${LOCKGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lockgate}/registry"
key="$(cd "$here" && cat build.sh ./*/*.go ./*/go.mod ./*/go.sum | sha256sum | cut -c1-16)"
out="$cache/$key"

# build MODULE NAME PACKAGE: the binary appears under its name only when it is whole.
build() {
  [[ -x "$out/$2" ]] && return
  echo "registry: building $2" >&2
  (cd "$here/$1" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$out/.$2.new" "$3" >&2)
  mv "$out/.$2.new" "$out/$2"
}

if [[ ! -x "$out/registry" || ! -x "$out/oras" || ! -x "$out/cosign" || ! -x "$out/push" ]]; then
  command -v go >/dev/null || { echo "registry: Go is needed to build it: install Go 1.26 or later" >&2; exit 1; }
  mkdir -p "$out"
  exec 9>"$cache/lock"
  flock 9
  build distribution registry github.com/distribution/distribution/v3/cmd/registry
  build oras oras oras.land/oras/cmd/oras
  build cosign cosign github.com/sigstore/cosign/v3/cmd/cosign
  build push push .
fi
echo "$out"
