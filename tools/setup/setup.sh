#!/usr/bin/env bash
# Brings a machine that has Node, npm and apt to where Wharf runs and its tests pass. Harmless to run again.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Debian packages: what the engine runs on, then what its tests compare it with.
engine=(crun nftables libnftables1 iproute2 busybox-static musl-tools gcc libc6-dev ca-certificates)
tests=()
[ "${1:-engine}" = tests ] && tests=(runc socat curl python3-docker docker-compose docker.io netcat-openbsd)
missing=()
for package in "${engine[@]}" "${tests[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # A package must not start its own services here.
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

if [ ! -d node_modules ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
fi
