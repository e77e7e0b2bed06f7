#!/usr/bin/env bash
# `npm test`: sets up, then checks and tests everything.
set -euo pipefail
cd "$(dirname "$0")/../.."
bash tools/setup/setup.sh tests
WHARF_NO_KNIP=1 bash tools/check.sh
