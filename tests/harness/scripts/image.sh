#!/usr/bin/env bash
# image.sh NAME BINARY: builds the container image with buildah or docker, whichever is there.
set -euo pipefail
name=$1 binary=$2
root=$(cd "$(dirname "$0")/../../.." && pwd)
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT

bundle=""
for candidate in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
  if [ -s "$candidate" ]; then bundle=$candidate; break; fi
done
if [ -z "$bundle" ]; then
  echo "no bundle of certificate authorities found: install ca-certificates" >&2
  exit 1
fi
cp "$binary" "$context/lockgate"
cp "$bundle" "$context/ca-certificates.crt"

if command -v buildah >/dev/null; then
  # The storage that works everywhere, also in a container, unless another is asked for.
  export STORAGE_DRIVER=${STORAGE_DRIVER:-vfs}
  push="STORAGE_DRIVER=$STORAGE_DRIVER buildah push $name"
  buildah bud --isolation chroot --tag "$name" --file "$root/Containerfile" "$context"
elif command -v docker >/dev/null && docker info >/dev/null 2>&1; then
  push="docker push $name"
  docker build --tag "$name" --file "$root/Containerfile" "$context"
else
  echo "neither buildah nor a running docker was found: install one, for example with 'apt-get install buildah'" >&2
  exit 1
fi
echo "built $name: $(stat -c %s "$context/lockgate") bytes of binary, $(gzip -9 -c "$context/lockgate" | wc -c) compressed"
echo "push it with: $push"
