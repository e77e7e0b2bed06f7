# Limits that hold.
$D run --name hog --memory 32m --memory-swap 32m busybox sh -c 'tail /dev/zero' >/dev/null 2>&1; echo "exit $?"
$D inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}} {{.HostConfig.Memory}}' hog; $D rm hog
$D run --rm --pids-limit 8 busybox sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1 & done 2>&1; wait' 2>&1 | grep -cE "can't fork|Resource" | sed 's/[1-9].*/refused/'
$D run -d --name up --memory 64m busybox sleep 100 >/dev/null
$D update --memory 96m --memory-swap 96m up; $D inspect -f '{{.HostConfig.Memory}}' up
$D update --restart on-failure:3 up; $D inspect -f '{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}' up
$D update --memory 1m up 2>&1 | grep -oE 'Minimum memory limit allowed is 6MB'
$D stats --no-stream --format '{{.Name}} {{.PIDs}}' up
$D stats --no-stream up | head -1 | grep -oE 'MEM USAGE / LIMIT'
$D rm -f up
$D run -d --name rs --restart on-failure:2 busybox false >/dev/null
until [ "$($D inspect -f '{{.State.Status}}{{.RestartCount}}' rs)" = exited2 ]; do sleep 0.1; done
$D inspect -f '{{.State.ExitCode}} {{.RestartCount}}' rs; $D rm rs
# No limit, and what neither the kernel nor a filter knows.
$D run --rm --cpu-quota -1 busybox echo unlimited
$D run --rm --sysctl net.ipv4.nosuch=1 busybox true 2>/dev/null; echo "exit $?"
echo '{}' >profile; $D run --rm --security-opt seccomp=profile busybox grep Seccomp: /proc/self/status; rm profile
$D create --name mounts --mount type=tmpfs,dst=/t,tmpfs-size=1m busybox >/dev/null
$D inspect -f '{{json .HostConfig.Mounts}}' mounts; $D rm mounts
$D kill nosuch 2>&1 | grep -oE 'annot kill container: nosuch: No such container: nosuch'
