# create, start, stop, restart, kill, rm and what they say.
$D create --name lc busybox sh -c 'trap "echo term; exit 7" TERM; echo up; while :; do sleep 0.1; done' | wc -c
$D inspect -f '{{.State.Status}} {{.State.Running}} {{.State.ExitCode}} {{.State.StartedAt}}' lc
$D start lc
until [ "$($D logs lc)" = up ]; do :; done
$D inspect -f '{{.State.Status}} {{.State.Running}}' lc
$D start lc; echo "exit $?"
$D pause lc; $D inspect -f '{{.State.Status}} {{.State.Paused}}' lc
$D exec lc true 2>&1 | grep -oE 'is paused, unpause the container before exec'
$D pause lc 2>&1 | grep -oE 'is already paused'
$D unpause lc; $D unpause lc 2>&1 | grep -oE 'is not paused'
$D rename lc lc2; $D inspect -f '{{.Name}}' lc2
$D rm lc2 2>&1 | grep -oiE 'running container|container is running' | sed 's/running container/container is running/'
$D stop lc2; $D inspect -f '{{.State.Status}} {{.State.ExitCode}}' lc2
$D logs lc2
$D stop lc2; echo "exit $?"
$D kill lc2 2>&1 | grep -oE 'is not running'
$D restart lc2; $D inspect -f '{{.State.Status}}' lc2
$D kill -s KILL lc2; $D wait lc2; $D inspect -f '{{.State.ExitCode}} {{.State.OOMKilled}}' lc2
$D kill -s NOSUCH lc2 2>&1 | grep -oE 'nvalid signal: NOSUCH'
$D create --name lc2 busybox true 2>&1 | grep -oE 'Conflict. The container name "/lc2" is already in use by container'
$D rm lc2; $D rm lc2 2>&1 | grep -oiE 'no such container: lc2'
$D start nosuch 2>&1 | grep -oiE 'no such container: nosuch'
$D run -d --name stopper --stop-signal USR1 --stop-timeout 1 busybox sh -c 'trap "exit 9" USR1; while :; do sleep 0.1; done' >/dev/null
sleep 0.3; $D stop stopper; $D inspect -f '{{.State.ExitCode}}' stopper; $D rm stopper
$D run -d --name deaf busybox sh -c 'trap "" TERM; while :; do sleep 0.1; done' >/dev/null
$D stop -t 0 deaf; $D inspect -f '{{.State.ExitCode}}' deaf; $D rm deaf
$D run -d --rm --name passing busybox sh -c 'echo one >>/log; sleep 1000' >/dev/null; $D restart -t 0 passing; $D exec passing wc -l /log; $D rm -f passing
