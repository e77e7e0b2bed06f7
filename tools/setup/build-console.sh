#!/usr/bin/env bash
# Bundles the web page of the registry (src/console/registry) into build/console/registry with Bun, if its sources
# have changed. Where Bun has no build for this machine, the registry runs without the page and says so at `/`.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=build/console/registry
if [ -d "$target" ] && [ -z "$(find src/console src/spec package-lock.json tools/setup/build-console.sh -newer "$target" -type f ! -name '*.test.ts' -print -quit)" ]; then
  exit 0
fi
. tools/setup/find-bun.sh
if [ -z "$bun" ]; then
  echo "build-console: no Bun runs here, the registry will have no web page" >&2
  exit 0
fi
mkdir -p build/console
work=$(mktemp -d build/console/new.XXXXXX)
trap 'rm -rf "$work"' EXIT
started=$(date +%s.%N)
# Addresses without a leading slash: the page also works where a proxy puts a prefix before it.
"$bun" build src/console/registry/index.html --production --public-path console/assets/ --outdir "$work/registry" >"$work/log" 2>&1 || {
  cat "$work/log" >&2
  exit 1
}
# The time before the build began: a source edited meanwhile counts as newer.
touch -d "@$started" "$work/registry"
rm -rf "$target"
mv "$work/registry" "$target"
