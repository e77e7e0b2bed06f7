#!/usr/bin/env bash
# Compiles the CLI into build/wharf with Bun, if its sources have changed. Where Bun has no build for this machine,
# bin/wharf goes on with Node.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=build/wharf
if [ -x "$target" ] && [ -z "$(find src/cli src/client src/lib src/spec package-lock.json tools/setup/build-cli.sh -newer "$target" -type f -print -quit)" ]; then
  exit 0
fi
. tools/setup/find-bun.sh
if [ -z "$bun" ]; then
  echo "build-cli: no Bun runs here, bin/wharf will use Node" >&2
  exit 0
fi
mkdir -p build
work=$(mktemp -d build/cli.XXXXXX)
trap 'rm -rf "$work"' EXIT
started=$(date +%s.%N)
# A .env or bunfig.toml where the user happens to stand is not for the CLI: it would change DOCKER_HOST, or run code.
"$bun" build --compile --bytecode --minify --splitting --format=esm --no-compile-autoload-dotenv --no-compile-autoload-bunfig \
  src/cli/main.ts --outfile "$work/wharf" >"$work/log" 2>&1 || {
  cat "$work/log" >&2
  exit 1
}
# The time before the build began: a source edited meanwhile counts as newer.
touch -d "@$started" "$work/wharf"
mv "$work/wharf" "$target"
