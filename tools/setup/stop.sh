#!/usr/bin/env bash
# `npm run stop`: ends the daemon that `npm start` started. Containers run on; the next start takes them over.
set -euo pipefail
pidfile=/run/wharf.pid
if [ ! -s "$pidfile" ] || ! kill -0 "$(cat "$pidfile")" 2>/dev/null; then
  echo 'wharfd is not running'
  exit 0
fi
pid=$(cat "$pidfile")
kill -TERM "$pid"
for _ in $(seq 150); do
  kill -0 "$pid" 2>/dev/null || { echo 'wharfd has ended'; exit 0; }
  sleep 0.1
done
echo "wharfd ($pid) has not ended within 15 seconds" >&2
exit 1
