#!/bin/sh
# First process of the machine that `npm run test:v2` starts.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
for file in /modules/*; do $b insmod "$file" || echo "not loaded: $file"; done
options=trans=virtio,version=9p2000.L,msize=512000
$b mount -t 9p -o ro,cache=loose,$options host /host || $b poweroff -f
$b mount -t tmpfs -o size=2g top /top
$b mkdir -p /top/upper /top/work
$b mount -t overlay -o lowerdir=/host,upperdir=/top/upper,workdir=/top/work overlay /root || $b poweroff -f
for name in proc sys dev tmp run var/lib/wharf; do $b mkdir -p "/root/$name"; done
$b mount -t tmpfs tmp /root/tmp
$b mount -t tmpfs run /root/run
$b mkdir -p /root/run/result
$b mount -t 9p -o $options result /root/run/result
$b mount -t proc proc /root/proc
$b mount -t sysfs sysfs /root/sys
$b mount -t cgroup2 cgroup2 /root/sys/fs/cgroup
$b mount -t devtmpfs dev /root/dev
$b mkdir -p /root/dev/shm /root/dev/pts
$b mount -t devpts -o ptmxmode=666 devpts /root/dev/pts
$b mount -t tmpfs shm /root/dev/shm
$b mount -t mqueue mqueue /root/dev/mqueue 2>/dev/null
# Where hosts look for the modules that they load by themselves.
. /root/run/result/where
$b mkdir -p /root/lib/modules
$b mount --bind "/root$kernel/lib/modules" /root/lib/modules
echo /sbin/modprobe >/proc/sys/kernel/modprobe
$b ip link set lo up 2>/dev/null || $b ifconfig lo 127.0.0.1 up
cat >/root/run/inside.sh <<'INSIDE'
. /run/result/where
cd "$project"
. tools/setup/env.sh
modprobe loop 2>/dev/null
export HOME=/root TMPDIR=/tmp WHARF_TEST_SLOWNESS=40
ip link set lo up
echo "kernel $(uname -r), cgroups: $(stat -fc %T /sys/fs/cgroup), controllers: $(cat /sys/fs/cgroup/cgroup.controllers)"
mapfile -t files </run/result/files
if [ "${files[0]}" = --shell ]; then bash -c "${files[1]}"; else
node --test --test-concurrency=1 --test-timeout=1800000 --test-reporter=spec "${files[@]}"; fi
echo $? >/run/result/code
INSIDE
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# A container's root is made by pivot_root, which wants the file systems' first root to be left behind.
cd /root
$b mount --move . /
exec $b chroot . /bin/sh -c 'bash /run/inside.sh; /bin/busybox sync; /bin/busybox poweroff -f'
