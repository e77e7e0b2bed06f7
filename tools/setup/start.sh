#!/usr/bin/env bash
# `npm start`: sets the machine up, starts the daemon and runs a first container. Harmless to run again.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/setup/env.sh

socket=/run/wharf.sock
log=/var/log/wharfd.log

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
answers() { bin/wharf -H "unix://$socket" version --format '{{.Server.Version}}' >/dev/null 2>&1; }

say 'Setting up'
bash tools/setup/setup.sh engine

if answers; then
  say "wharfd is running already ($socket)"
else
  say "Starting wharfd (socket $socket, state in /var/lib/wharf, log in $log)"
  setsid bin/wharfd >>"$log" 2>&1 </dev/null &
  daemon=$!
  for _ in $(seq 100); do
    answers && break
    if ! kill -0 "$daemon" 2>/dev/null; then
      echo "wharfd ended; the last lines of $log:" >&2
      tail -n 20 "$log" >&2
      exit 1
    fi
    sleep 0.1
  done
  answers || { echo "wharfd did not answer within 10 seconds; see $log" >&2; exit 1; }
fi

if ! bin/wharf image inspect busybox:latest >/dev/null 2>&1; then
  say "Making busybox:latest from Debian's busybox-static"
  archive=$(mktemp --suffix=.tar)
  trap 'rm -f "$archive"' EXIT
  node tools/images/busybox.ts "$archive"
  bin/wharf load --quiet --input "$archive"
fi

say 'Running a first container: wharf run --rm busybox'
bin/wharf run --rm busybox:latest sh -c '
  echo
  echo "Hello from a container of your own."
  echo "It has its own processes ($(ps -o pid= | wc -l) of them), its own network ($(hostname -i 2>/dev/null || echo none)) and its own files,"
  echo "and it is gone again as soon as this line is read."
  echo'

cat <<TEXT
What to type next (put $PWD/bin on your PATH first):

  wharf run -it --rm busybox            a shell in a container
  wharf run -d -p 8080:80 --name web busybox httpd -f -h /etc
  wharf ps                              what runs; wharf logs web, wharf exec web ps, wharf rm -f web
  docker -H unix://$socket ps      the stock docker CLI speaks to Wharf too
  npm run stop                          ends the daemon; containers run on
TEXT
