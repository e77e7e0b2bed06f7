# logs: order, tail, timestamps, follow, since.
$D run --name lg busybox sh -c 'for i in 1 2 3 4 5; do echo line $i; done; sleep 0.1; echo err >&2; sleep 0.1; printf "no newline"' >/dev/null 2>&1
$D logs lg 2>&1 | sort; echo
$D logs lg 2>/dev/null; echo
$D logs --tail 2 lg 2>/dev/null; echo
$D logs --tail 0 lg
$D logs -n 1 lg; echo
$D logs -t --tail 1 lg | grep -oE '^[0-9-]{10}T[0-9:]{8}\.[0-9]{9}Z no newline' | sed 's/.*Z/TIME/'
$D logs --since 2099-01-01T00:00:00Z lg
$D logs --until 2000-01-01T00:00:00Z lg
$D logs --tail nonsense lg 2>/dev/null | head -1
$D logs nosuch 2>&1 | grep -oiE 'no such container: nosuch'
$D run -d --name lf --log-driver json-file busybox sh -c 'for i in 1 2 3; do echo tick $i; sleep 0.2; done' >/dev/null
$D logs -f lf
$D run --name ln --log-driver none busybox echo gone
$D logs ln 2>&1 | grep -oE 'configured logging driver does not support reading'
$D run -d --log-driver nosuch busybox true 2>&1 | grep -oE 'error looking up logging plugin nosuch: plugin "nosuch" not found'
$D run -d --log-driver json-file --log-opt nosuch=1 busybox true 2>&1 | grep -oE "unknown log opt 'nosuch' for json-file log driver"
$D run -d --name ll --log-driver local busybox sh -c 'echo local log' >/dev/null; $D wait ll; $D logs ll
$D ps -aq --filter status=created | xargs -r $D rm >/dev/null
$D rm lg lf ln ll
