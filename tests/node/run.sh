#!/usr/bin/env bash
# run.sh [LOCKGATE [STEP,STEP...]]: runs tests/node/scenario.py on a real node: containerd, runc and the CNI plugins of Debian,
# kubelet, kube-proxy and CoreDNS from Go modules. All of it runs in network, mount and process namespaces of its own, so that
# the machine's addresses, rules and mounts stay as they are, and ends with these. LOCKGATE is the binary in the agent's image;
# where it is absent or empty, that of `make image` is built.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$here/../.."

skip() { echo "node: not run here: $*"; exit 0; }

[[ "$(uname -s)-$(uname -m)" == Linux-x86_64 ]] || skip "it is for Linux on x86_64"
[[ "$(id -u)" == 0 ]] || skip "a kubelet needs root"
unshare --net --mount --pid --fork true 2>/dev/null || skip "this machine lets nobody make namespaces"
missing=()
command -v containerd >/dev/null || missing+=(containerd)
command -v runc >/dev/null || missing+=(runc)
command -v iptables >/dev/null || missing+=(iptables)
command -v ip >/dev/null || missing+=(iproute2)
command -v openssl >/dev/null || missing+=(openssl)
[[ -x /usr/lib/cni/bridge ]] || missing+=(containernetworking-plugins)
if [[ ${#missing[@]} -gt 0 ]]; then
  command -v apt-get >/dev/null || skip "it needs ${missing[*]}"
  echo "node: installing ${missing[*]}" >&2
  policy=/usr/sbin/policy-rc.d made=
  # A package's own start of its service would be a second containerd on this machine: it is told not to.
  if [[ ! -e $policy ]]; then
    made=$policy
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
  fi
  installed=1
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >&2 ||
    installed=
  rm -f "$made"
  [[ -n $installed ]] || skip "${missing[*]} cannot be installed"
fi

"$root/tests/harness/scripts/install-tools.sh"
controlplane="$("$root/tests/controlplane/build.sh")"
registry="$("$root/tests/registry/build.sh")"
node="$("$here/build.sh")"
lockgate="${1:-}"
target="${CARGO_TARGET_DIR:-$root/target}"
if [[ -z "$lockgate" ]]; then
  "$root/tests/harness/scripts/image.sh" lockgate "$target/image/node.tar" amd64 >&2
  lockgate="$target/x86_64-unknown-linux-musl/release/lockgate"
fi
lockgate="$(realpath "$lockgate")"
(cd "$root" && "${CARGO:-cargo}" build --locked --quiet --workspace --bin standin)

folder="$(mktemp -d /tmp/lockgate-node.XXXXXX)"
chmod 755 "$folder"
clear_away() {
  # What pods left mounted has gone with the mount namespace; their control groups stay.
  find /sys/fs/cgroup -depth -type d -path '*kubepods*' -exec rmdir {} \; 2>/dev/null || true
  rm -rf "$folder"
}
trap clear_away EXIT
unshare --net --mount --pid --fork --kill-child --mount-proc python3 "$here/scenario.py" \
  --folder "$folder" --controlplane "$controlplane" --node "$node" --registry "$registry" \
  --standin "$target/debug/standin" --lockgate "$lockgate" ${2:+--only "$2"}
