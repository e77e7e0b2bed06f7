# Sourced: sets $bun to a Bun that runs here, or to nothing.
bun=
# npm leaves the program in the platform's package, or moves it where the bun package wants it.
for candidate in node_modules/@oven/bun-linux-*/bin/bun node_modules/bun/bin/bun.exe; do
  # A variant may need instructions that this processor lacks: the first that runs is taken.
  if [ -x "$candidate" ] && "$candidate" --version >/dev/null 2>&1; then
    bun=$candidate
    break
  fi
done
