# Exit codes and messages of `run`, as scripts rely on them.
t() { "$@"; echo "exit $?"; }
t $D run --rm busybox true
t $D run --rm busybox false
t $D run --rm busybox sh -c 'exit 42'
t $D run --rm busybox sh -c 'kill -9 $$'
t $D run --rm busybox sh -c 'kill -TERM $$'
t $D run --rm busybox /no/such/file 2>&1 | grep -oE 'exec: .*|exit [0-9]+' | sed 's/: unknown.*//'
t $D run --rm busybox /etc 2>&1 | grep -oE 'exit [0-9]+'
t $D run --rm busybox nosuchcommand 2>&1 | grep -oE 'exec: .*not found in \$PATH|exit [0-9]+'
t $D run --rm --no-such-flag busybox true 2>&1 | grep -E 'unknown flag|exit'
t $D run --rm --memory nonsense busybox true 2>&1 | grep -E 'invalid argument|exit'
t $D run --rm --memory 1m busybox true 2>&1 | grep -oE 'Minimum memory limit allowed is 6MB|exit [0-9]+'
t $D run --rm -p 99999:80 busybox true 2>&1 | grep -oE 'invalid hostPort: 99999|exit [0-9]+'
t $D run --rm --name '-bad' busybox true 2>&1 | grep -oE 'Invalid container name \(-bad\), only \[a-zA-Z0-9\]\[a-zA-Z0-9_.-\] are allowed|exit [0-9]+'
t $D run --rm --cap-add NOSUCHCAP busybox true 2>&1 | grep -oE 'unknown capability: "CAP_NOSUCHCAP"|exit [0-9]+'
t $D run --rm --restart=always busybox true 2>&1 | grep -oE 'onflicting options: (cannot specify both )?--restart and --rm|exit [0-9]+'
