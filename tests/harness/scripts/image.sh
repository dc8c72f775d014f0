#!/usr/bin/env bash
# image.sh NAME OUTPUT ARCH...: builds the static binary of each architecture (amd64, arm64) and assembles the image as an OCI
# archive. What it needs is looked for, and put into the cache folder, before anything is built; no container tool is needed.
# BINARY_amd64 and BINARY_arm64 name binaries that are built already.
set -euo pipefail
name=$1 output=$2
shift 2
[ $# -gt 0 ] || { echo "image: name at least one architecture: amd64, arm64" >&2; exit 2; }
root=$(cd "$(dirname "$0")/../../.." && pwd)
cd "$root"
zigbuild=0.24.1 zig=0.17.1
tools="${LOCKGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lockgate}/tools/zigbuild-$zigbuild-$zig"

fail() { echo "image: $*" >&2; exit 1; }

target_of() {
  case $1 in
    amd64) echo x86_64-unknown-linux-musl ;;
    arm64) echo aarch64-unknown-linux-musl ;;
    *) fail "$1 is none of amd64 and arm64" ;;
  esac
}

built() { local variable="BINARY_$1"; echo "${!variable:-}"; }

command -v python3 >/dev/null || fail "python3 assembles the image: install it"
targets=() wanted=()
for arch in "$@"; do
  target=$(target_of "$arch")
  targets+=("$target")
  [ -n "$(built "$arch")" ] || wanted+=("$target")
done
if [ ${#wanted[@]} -gt 0 ]; then
  for target in "${wanted[@]}"; do
    [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ] || rustup target add "$target" >&2 ||
      fail "Rust's library for $target is needed: rustup target add $target"
  done
  if [ ! -x "$tools/bin/cargo-zigbuild" ]; then
    echo "image: installing zig and cargo-zigbuild, the compiler and linker for musl" >&2
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check "cargo-zigbuild==$zigbuild" "ziglang==$zig" ||
      { rm -rf "$tools"; fail "zig is needed: pip install cargo-zigbuild==$zigbuild ziglang==$zig"; }
  fi
fi

# musl's resolver is in the binary, whatever the builder's libc is. Of the builder's folders one stands in it: the one in which
# OpenSSL was built, where it would look for modules; the image has none.
home="${CARGO_HOME:-$HOME/.cargo}"
std="$(rustc --print sysroot)/lib/rustlib/src/rust"
flags="-C target-feature=+crt-static -C strip=symbols"
flags+=" --remap-path-prefix=$root=/src --remap-path-prefix=$home=/cargo --remap-path-prefix=$std=/rust"
binaries=()
for arch in "$@"; do
  binary=$(built "$arch")
  if [ -z "$binary" ]; then
    target=$(target_of "$arch")
    echo "image: building for $target" >&2
    PATH="$tools/bin:$PATH" RUSTFLAGS="$flags" CFLAGS="-ffile-prefix-map=$root=/src -ffile-prefix-map=$home=/cargo" \
      "${CARGO:-cargo}" zigbuild --locked --release --target "$target" --bin lockgate >&2
    binary="${CARGO_TARGET_DIR:-target}/$target/release/lockgate"
  fi
  binaries+=("$arch=$binary")
done

licences=$(mktemp)
trap 'rm -f "$licences"' EXIT
tests/harness/scripts/licences.py "${targets[@]}" >"$licences"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
created=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
mkdir -p "$(dirname "$output")"
digest=$(tests/harness/scripts/image.py build --output "$output" --name "$name" --version "$version" --revision "$revision" \
  --created "$created" --licences "$licences" "${binaries[@]}")
echo "built $name@$digest: $(stat -c %s "$output") bytes in $output"
echo "push it with: make push IMAGE=REGISTRY/NAME:TAG"
