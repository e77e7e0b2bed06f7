#!/usr/bin/env bash
# Builds build/wharf-shim, the containers' keeper, and build/wharf-init, their --init, when sources are newer.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=build/wharf-shim
sources=(native/main.c native/process.c native/clients.c native/log.c native/log-file.c)
if [ -x "$target" ] && [ -x build/wharf-init ] && [ -z "$(find native tools/setup/build-native.sh -newer "$target" -print -quit)" ]; then
  exit 0
fi
mkdir -p build
temporary=$(mktemp build/.wharf-shim.XXXXXX)
trap 'rm -f "$temporary"' EXIT
# Two builds side by side both end well: the last rename wins, and never in the middle of a file.
musl-gcc -static -Os -std=gnu11 -Wall -Wextra -Werror -ffunction-sections -Wl,--gc-sections -s -o "$temporary" "${sources[@]}"
chmod 755 "$temporary"
mv "$temporary" "$target"
temporary=$(mktemp build/.wharf-init.XXXXXX)
musl-gcc -static -Os -std=gnu11 -Wall -Wextra -Werror -s -o "$temporary" native/init.c
chmod 755 "$temporary"
mv "$temporary" build/wharf-init
