#!/usr/bin/env bash
# `npm run test:v2 [FILE ...]`: runs tests on a machine whose cgroups are version 2 alone: Debian's kernel under QEMU,
# with this machine's files to read and a memory file system over them to write to. Without /dev/kvm everything is
# emulated and takes ten times as long. Not part of `npm test`.
set -euo pipefail
cd "$(dirname "$0")/../.."
bash tools/setup/setup.sh tests
packages=(qemu-system-x86 kmod busybox-static)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

work=$PWD/build/v2
mkdir -p "$work"
if [ ! -e "$work/ready" ]; then
  image=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[^ ]*\)$/\1/p' | head -1)
  rm -rf "$work"/*
  (cd "$work" && apt-get download -qq "$image" && dpkg -x "$image"_*.deb kernel && rm -f "$image"_*.deb)
  # Packages with the merged /usr put modules there.
  [ -d "$work/kernel/lib/modules" ] || ln -s usr/lib "$work/kernel/lib"
  depmod -b "$work/kernel" "$(ls "$work/kernel/lib/modules")"
  touch "$work/ready"
fi
release=$(ls "$work/kernel/lib/modules")

# The first file system: busybox, and the modules that reach the shared files.
first=$work/first
rm -rf "$first"
mkdir -p "$first/bin" "$first/modules" "$first/proc" "$first/sys" "$first/dev" "$first/host" "$first/top" "$first/root"
cp /bin/busybox "$first/bin/busybox"
ln -s busybox "$first/bin/sh"
number=100
for module in virtio_pci 9pnet_virtio 9p overlay virtio_rng; do
  modprobe -d "$work/kernel" -S "$release" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | awk '!seen[$0]++' | while read -r file; do
  cp "$file" "$first/modules/$((number++))-$(basename "$file")"
done
cp tools/setup/v2-init.sh "$first/init"
chmod +x "$first/init"
(cd "$first" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1 >"$work/first.gz")

result=$work/result
rm -rf "$result"
mkdir -p "$result"
files=("$@")
[ ${#files[@]} -gt 0 ] || files=(test/integration/cgroups/cgroups.test.ts test/integration/daemon/oom.test.ts)
printf '%s\n' "${files[@]}" >"$result/files"
printf 'project=%q\nkernel=%q\n' "$PWD" "$work/kernel" >"$result/where"

accel=tcg,thread=multi
cpu=max
if [ -w /dev/kvm ]; then accel=kvm cpu=host; fi
timeout -k 5 "${WHARF_V2_TIMEOUT:-3600}" qemu-system-x86_64 -accel "$accel" -cpu "$cpu" -smp 2 -m 3G -nodefaults -no-reboot \
  -display none -serial stdio -device virtio-rng-pci \
  -kernel "$work/kernel"/boot/vmlinuz-* -initrd "$work/first.gz" \
  -append "console=ttyS0 quiet panic=-1 cgroup_no_v1=all mitigations=off random.trust_cpu=on" \
  -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
  -virtfs local,path="$result",mount_tag=result,security_model=none </dev/null | sed -u 's,\r,,'
[ -e "$result/code" ] || { echo 'the machine ended without a result' >&2; exit 1; }
exit "$(cat "$result/code")"
