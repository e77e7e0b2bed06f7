#!/usr/bin/env bash
# Brings a machine that has Node, npm and apt to where Wharf runs and its tests pass. Harmless to run again.
# Usage: setup.sh [engine|tests|bench]: what the engine needs; and its tests; and the engines it is measured against.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ "$(id -u)" != 0 ]; then
  echo 'Wharf runs containers, which takes root: try "sudo npm start".' >&2
  exit 1
fi

what=${1:-engine}
packages=(crun nftables libnftables1 iproute2 procps busybox-static musl-tools gcc libc6-dev ca-certificates xz-utils bzip2)
case "$what" in
  tests | bench)
    packages+=(runc socat curl python3 python3-docker docker-compose docker.io netcat-openbsd libseccomp2 bsdutils zstd attr)
    packages+=(docker-registry openssl skopeo podman buildah mmdebstrap btrfs-progs fuse-overlayfs chromium fonts-dejavu-core python3-swift)
    ;;&
  bench) packages+=(wrk) ;;
esac

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # Packages that bring a daemon of their own must not start it here; an answer that stands already is kept.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# Node 24 comes from npm too (node-linux-*): a package that holds the binary and runs no script. Not "npm ci", which
# refuses a lock file without the builds for other systems; the lock is obeyed all the same.
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error
fi

bash tools/setup/build-native.sh
bash tools/setup/build-cli.sh
bash tools/setup/build-console.sh
