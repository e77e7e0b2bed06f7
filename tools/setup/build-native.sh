#!/usr/bin/env bash
# Builds build/wharf-shim, the containers' keeper, build/wharf-init, their --init, build/wharf-net, the networks' keeper,
# and build/no-systemd.so, which spares crun some libraries, when sources are newer.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=build/wharf-shim
sources=(native/main.c native/process.c native/clients.c native/log.c native/log-file.c native/sweep.c native/namespaces.c)
if [ -x "$target" ] && [ -x build/wharf-init ] && [ -x build/wharf-net ] && [ -e build/no-systemd.so ] && [ -z "$(find native tools/setup/build-native.sh -newer "$target" -print -quit)" ]; then
  exit 0
fi
mkdir -p build
# Two builds side by side both end well: the last rename wins, and never in the middle of a file. The shim comes last,
# because its time says that all is built.
build() {
  local name=$1
  shift
  temporary=$(mktemp "build/.$name.XXXXXX")
  trap 'rm -f "$temporary"' EXIT
  musl-gcc -static -Os -std=gnu11 -Wall -Wextra -Werror -ffunction-sections -Wl,--gc-sections -s -o "$temporary" "$@"
  chmod 755 "$temporary"
  mv "$temporary" "build/$name"
}
build wharf-init native/init.c
build wharf-net native/net/{main,sandbox,names,answer,message,forward,cache,ports,table}.c
# Without it everything works as well, a little later.
temporary=$(mktemp build/.no-systemd.XXXXXX)
if gcc -shared -nostdlib -fPIC -Os -Wall -Wextra -Werror -Wl,-soname,libsystemd.so.0 -Wl,--version-script=native/no-systemd.map \
  -s -o "$temporary" native/no-systemd.c; then
  chmod 644 "$temporary"
  mv "$temporary" build/no-systemd.so
fi
build wharf-shim "${sources[@]}"
