#!/usr/bin/env bash
# Builds what a real node needs besides Debian's packages: kubelet and kube-proxy of the control plane's version, CoreDNS, and
# what stands in for the sample platform's images, each from the Go module beside this script, into
# ${LOCKGATE_CACHE}/node/<hash of what is built>. Prints that directory on stdout, progress on stderr.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${LOCKGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lockgate}/node"
kube=k8s.io/kubernetes
version_package=k8s.io/component-base/version

say() { echo "node: $*" >&2; }

key="$(cd "$here" && cat build.sh ./*/main.go ./*/go.mod ./*/go.sum | sha256sum | cut -c1-16)"
out="$cache/$key"

# build MODULE NAME PACKAGE [LDFLAGS]: the binary appears under its name only when it is whole.
build() {
  local module=$1 name=$2 package=$3 flags="-s -w ${4:-}" started=$SECONDS
  [[ -x "$out/$name" ]] && return
  say "building $name"
  (cd "$here/$module" && CGO_ENABLED=0 go build -trimpath -ldflags "$flags" -o "$out/.$name.new" "$package" >&2)
  mv "$out/.$name.new" "$out/$name"
  say "built $name in $((SECONDS - started)) s"
}

release_of() { (cd "$1" && go list -m -f '{{.Version}}' $kube); }

if [[ ! -x "$out/kubelet" || ! -x "$out/kube-proxy" || ! -x "$out/coredns" || ! -x "$out/app-ends" ]]; then
  command -v go >/dev/null || { say "Go is needed to build the node's programs: install Go 1.26 or later"; exit 1; }
  release="$(release_of "$here/kubernetes")"
  plane="$(release_of "$here/../controlplane/kubernetes")"
  [[ "$release" == "$plane" ]] || { say "kubelet $release does not go with the control plane $plane: give both modules one version"; exit 1; }
  mkdir -p "$out"
  exec 9>"$cache/lock"
  flock 9
  minor="${release#v*.}" && minor="${minor%%.*}"
  set_version="-X $version_package.gitVersion=$release -X $version_package.gitMajor=1 -X $version_package.gitMinor=$minor"
  build kubernetes kubelet $kube/cmd/kubelet "$set_version"
  build kubernetes kube-proxy $kube/cmd/kube-proxy "$set_version"
  build coredns coredns .
  build app app .
  build app app-ends . "-X 'main.ends=no configuration found'"
  GOARCH=arm64 build app app-arm64 .
fi
echo "$out"
