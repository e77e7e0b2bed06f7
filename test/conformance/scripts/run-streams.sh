# Standard streams of `run`: what comes in goes out, byte for byte, on the right descriptor.
printf 'no newline' | $D run --rm -i busybox cat; echo
printf 'a\0b\377c\n' | $D run --rm -i busybox cat | od -An -c
$D run --rm busybox sh -c 'echo out; echo err >&2' 2>/dev/null
$D run --rm busybox sh -c 'echo out; echo err >&2' 2>&1 >/dev/null
head -c 3000000 /dev/zero | $D run --rm -i busybox wc -c
$D run --rm busybox sh -c 'head -c 5000000 /dev/zero' | wc -c
$D run --rm -a stderr busybox sh -c 'echo out; echo err >&2' 2>&1
$D run --rm -i busybox sh -c 'read a; echo "got $a"; cat >/dev/null; echo eof' <<TEXT
first
second
TEXT
$D run --rm -t busybox sh -c 'test -t 0 && test -t 1 && echo terminal' </dev/null | tr -d '\r'
