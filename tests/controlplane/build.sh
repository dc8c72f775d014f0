#!/usr/bin/env bash
# Builds the control plane that the tests run against (etcd, kube-apiserver, kube-controller-manager, kube-scheduler,
# kwok) and the kustomize CLI that rendering is compared with, each from the Go module beside this script, into
# ${LOCKGATE_CACHE}/controlplane/<hash of what is built>. Prints that directory on stdout, progress on stderr.
# With KUBEBUILDER_ASSETS holding kube-apiserver and etcd, those two are taken from there and not built.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${LOCKGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lockgate}/controlplane"
kube=k8s.io/kubernetes
version_package=k8s.io/component-base/version

say() { echo "controlplane: $*" >&2; }

key="$(cd "$here" && cat build.sh ./*/go.mod ./*/go.sum | sha256sum | cut -c1-16)"
out="$cache/$key"
wanted=(kube-controller-manager kube-scheduler kwok kustomize stages)
assets="${KUBEBUILDER_ASSETS:-}"
if [[ -z "$assets" || ! -x "$assets/kube-apiserver" || ! -x "$assets/etcd" ]]; then
  wanted=(etcd kube-apiserver "${wanted[@]}")
fi

missing() {
  local name
  for name in "${wanted[@]}"; do [[ -e "$out/$name" ]] || echo "$name"; done
}

# build MODULE NAME PACKAGE [LDFLAGS]: the binary appears under its name only when it is whole.
build() {
  local module=$1 name=$2 package=$3 flags="-s -w ${4:-}" started=$SECONDS
  [[ -x "$out/$name" ]] && return
  say "building $name"
  (cd "$here/$module" && CGO_ENABLED=0 go build -trimpath -ldflags "$flags" -o "$out/.$name.new" "$package" >&2)
  mv "$out/.$name.new" "$out/$name"
  say "built $name in $((SECONDS - started)) s"
}

# The stages that make kwok's nodes and pods ready, as its module ships them.
copy_stages() {
  [[ -e "$out/stages" ]] && return
  local module stage
  module="$(cd "$here/kwok" && go mod download sigs.k8s.io/kwok && go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)"
  rm -rf "$out/.stages.new" && mkdir "$out/.stages.new"
  for stage in node/fast/node-initialize node/heartbeat/node-heartbeat pod/fast/pod-ready pod/fast/pod-complete pod/fast/pod-delete; do
    install -m 0644 "$module/kustomize/stage/$stage.yaml" "$out/.stages.new/"
  done
  mv "$out/.stages.new" "$out/stages"
}

wants() { [[ " ${wanted[*]} " == *" $1 "* ]]; }

build_all() {
  local release major minor set_version
  release="$(cd "$here/kubernetes" && go list -m -f '{{.Version}}' $kube)"
  major="${release#v}" && major="${major%%.*}"
  minor="${release#v*.}" && minor="${minor%%.*}"
  set_version="-X $version_package.gitVersion=$release -X $version_package.gitMajor=$major -X $version_package.gitMinor=$minor"
  if wants etcd; then build etcd etcd go.etcd.io/etcd/server/v3; fi
  if wants kube-apiserver; then build kubernetes kube-apiserver $kube/cmd/kube-apiserver "$set_version"; fi
  build kubernetes kube-controller-manager $kube/cmd/kube-controller-manager "$set_version"
  build kubernetes kube-scheduler $kube/cmd/kube-scheduler "$set_version"
  build kwok kwok sigs.k8s.io/kwok/cmd/kwok
  build kustomize kustomize sigs.k8s.io/kustomize/kustomize/v5
  copy_stages
}

if [[ -n "$(missing)" ]]; then
  command -v go >/dev/null || { say "Go is needed to build the control plane: install Go 1.26 or later"; exit 1; }
  mkdir -p "$out"
  exec 9>"$cache/lock"
  flock -n 9 || { say "another build is running, waiting for it"; flock 9; }
  if [[ -n "$(missing)" ]]; then
    say "the first build takes about 6 minutes on 2 cores"
    build_all
  fi
fi
echo "$out"
