#!/usr/bin/env bash
# Installs what the tests run besides Rust and Go: git, the OpenSSH server and client, and, for root, a user `git` to log in as.
set -euo pipefail

missing=()
command -v git >/dev/null || missing+=(git)
command -v ssh >/dev/null && command -v ssh-keygen >/dev/null || missing+=(openssh-client)
[ -x /usr/sbin/sshd ] || command -v sshd >/dev/null || missing+=(openssh-server)

as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi

if [ ${#missing[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
    echo "the tests need ${missing[*]}: install them (on Debian: apt-get install ${missing[*]}) and run this again" >&2
    exit 1
  fi
  echo "installing ${missing[*]}" >&2
  "${as_root[@]}" apt-get update -qq
  # A package's own start of its service would be a second sshd on this machine: it is told not to.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
    "${as_root[@]}" chmod 755 $policy
    trap '"${as_root[@]}" rm -f $policy' EXIT
  fi
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
fi

# sshd run by root logs users in as GitHub does, as `git`; run by another user it can only log in that user.
if [ "$(id -u)" = 0 ] && ! id git >/dev/null 2>&1 && command -v useradd >/dev/null; then
  useradd --system --no-create-home --home-dir /nonexistent --shell /bin/sh --password '*' git
fi
