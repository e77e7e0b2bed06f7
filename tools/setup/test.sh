#!/usr/bin/env bash
# `npm test`: sets up, then checks and tests everything.
set -euo pipefail
cd "$(dirname "$0")/../.."
bash tools/setup/setup.sh tests
bash tools/check.sh
failed=0
for part in integration conformance; do
  echo "== $part"
  bash tools/setup/run-tests.sh "$part" || failed=1
done
exit $failed
