#!/usr/bin/env bash
# `npm test`: sets up, then checks and tests everything.
set -euo pipefail
cd "$(dirname "$0")/../.."
bash tools/setup/setup.sh tests
bash tools/check.sh
failed=0
for part in integration conformance; do
  echo "== $part"
  # Whatever hangs, the rest is not held up for ever.
  timeout -k 10 1800 bash tools/setup/run-tests.sh "$part" || failed=1
done
exit $failed
