#!/usr/bin/env bash
# Runs one part of the tests: unit, integration or conformance. Further arguments name single files.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/setup/env.sh
part=$1
shift
files=("$@")
case "$part" in
  unit)
    [ ${#files[@]} -gt 0 ] || mapfile -t files < <(find src tools -name '*.test.ts' | sort)
    exec node --test --test-isolation=none "${files[@]}"
    ;;
  integration | conformance)
    bash tools/setup/build-native.sh
    bash tools/setup/build-cli.sh
    [ ${#files[@]} -gt 0 ] || mapfile -t files < <(find "test/$part" -name '*.test.ts' | sort)
    exec node tools/run-tests.ts "${files[@]}"
    ;;
  *)
    echo "run-tests.sh: unit, integration or conformance, not $part" >&2
    exit 2
    ;;
esac
