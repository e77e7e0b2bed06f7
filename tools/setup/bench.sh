#!/usr/bin/env bash
# `npm run bench`: installs the engines that Wharf is measured against, then runs bench/ (names of parts as arguments).
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/setup/env.sh
bash tools/setup/setup.sh bench
exec node bench/main.ts "$@"
