# What flags of `run` do inside the container.
$D run --rm -e A=1 -e B='two words' busybox sh -c 'echo "$A $B"'
export FROMHOST=yes; $D run --rm -e FROMHOST busybox sh -c 'echo $FROMHOST'
printf 'X=1\n# comment\nY=a b\n' >env.list; $D run --rm --env-file env.list busybox sh -c 'echo "$X|$Y"'
$D run --rm -w /some/new/dir busybox pwd
$D run --rm -u 1234:5678 busybox id
$D run --rm -u nosuchuser busybox id 2>&1 | grep -oE 'unable to find user nosuchuser: no matching entries in passwd file'
$D run --rm -h myhost busybox hostname
$D run --rm -h myhost --domainname example.test busybox sh -c 'hostname -f; cat /proc/sys/kernel/domainname'
$D run --rm --entrypoint /bin/echo busybox from entrypoint
$D run --rm --read-only busybox touch /x 2>&1
$D run --rm --read-only --tmpfs /tmp:size=1m busybox sh -c 'touch /tmp/x && df -k /tmp | tail -1 | awk "{print \$2}"'
$D run --rm --shm-size 32m busybox df -k /dev/shm | tail -1 | awk '{print $2}'
$D run --rm --init busybox sh -c 'ps -o pid,args | head -2 | tail -1 | grep -cE "init|tini"'
$D run --rm --ulimit nofile=123:456 busybox sh -c 'ulimit -n; ulimit -Hn'
$D run --rm --sysctl net.ipv4.ip_forward=1 busybox cat /proc/sys/net/ipv4/ip_forward
$D run --rm --cap-drop ALL busybox grep CapEff /proc/self/status
$D run --rm --cap-drop ALL --cap-add NET_ADMIN busybox grep CapEff /proc/self/status
$D run --rm busybox grep CapEff /proc/self/status
$D run --rm --security-opt no-new-privileges busybox grep NoNewPrivs /proc/self/status
$D run --rm busybox grep -E '^Seccomp:' /proc/self/status
$D run --rm --security-opt seccomp=unconfined busybox grep -E '^Seccomp:' /proc/self/status
$D run --rm --device /dev/null:/dev/mynull:r busybox stat -c '%t %T' /dev/mynull
$D run --rm --oom-score-adj 500 busybox cat /proc/self/oom_score_adj
$D run --rm --add-host some.host:10.1.2.3 busybox grep some.host /etc/hosts
$D run --rm --dns 10.9.8.7 --dns-search example.test --dns-option ndots:3 busybox cat /etc/resolv.conf | grep -vE '^#|^$' | sort
$D run --rm --pid host busybox sh -c 'test $$ -gt 100 && echo host pids'
$D run --rm --network none busybox ls /sys/class/net | grep -vE 'ifb|tunl|sit|gre|ip6|erspan|ip_vti'
$D run --rm --network host busybox sh -c 'ls /sys/class/net | grep -cx lo'
$D run --rm --uts host busybox hostname | sed "s/^$(hostname)\$/the host's/"
$D run --rm --group-add 4321 busybox sh -c 'id -G' | grep -ow 4321
$D run --rm --privileged busybox sh -c 'grep CapEff /proc/self/status | grep -c 0000000000000000; mount -t tmpfs t /mnt 2>/dev/null || mkdir -p /mnt && mount -t tmpfs t /mnt && echo mounted'
$D run --rm --cpus 100000 busybox true 2>&1 | grep -oE 'Range of CPUs is from 0.01 to [0-9.]+, as there are only [0-9]+ CPUs available'
$D run --rm --cidfile ./cid busybox true && wc -c <cid
$D run --rm --cidfile ./cid busybox true 2>&1 | grep -oE 'ontainer ID file found, make sure the other container isn.t running or delete ./cid|ontainer ID file found'
rm -f cid env.list
