#!/usr/bin/env bash
# Types, lint, format, dead code and unit tests: what every commit must pass, in seconds.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/setup/env.sh
tsc -p tsconfig.json
tsc -p tsconfig.browser.json
tsc -p src/console
oxlint --deny-warnings
oxfmt --check .
knip
bash tools/setup/build-cli.sh
bash tools/setup/run-tests.sh unit
