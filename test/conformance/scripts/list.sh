# ps: columns, filters, formats.
$D run -d --name l1 --label color=blue --label size=big busybox sleep 1000 >/dev/null
$D run -d --name l2 --label color=red busybox sleep 1000 >/dev/null
$D create --name l3 busybox echo one two three four five six >/dev/null
$D run --name l4 busybox sh -c 'exit 3'
$D ps --format '{{.Names}}' | sort
$D ps -a --format '{{.Names}}' | sort
$D ps -a --filter status=created --format '{{.Names}} {{.Status}} {{.Command}}'
$D ps -a --filter exited=3 --format '{{.Names}}'
$D ps --filter label=color=blue --format '{{.Names}} {{.Label "size"}}'
$D ps --filter label=color --format '{{.Names}}' | sort
$D ps -a --filter name=^l[12]$ --format '{{.Names}}' | sort
$D ps -a --filter ancestor=busybox --format '{{.Names}}' | sort
$D ps -a --filter since=l2 --format '{{.Names}}' | sort
$D ps -a --filter before=l2 --format '{{.Names}}' | sort
$D ps -n 1 --format '{{.Names}}'
$D ps -l --format '{{.Names}}'
$D ps -aq | wc -l
$D ps -aq --no-trunc | awk '{print length($0)}' | sort -u
$D ps -a --filter nonsense=1 2>&1 | grep -oE "nvalid filter '?nonsense'?"
$D ps | head -1 | tr -s ' '
$D ps -a --format 'table {{.Names}}\t{{.Image}}\t{{.Command}}' | sort
$D ps -a --format '{{.State}} {{.RunningFor}}' --filter name=l4 | sed -E 's/[0-9]+ seconds?|Less than a second/TIME/'
$D ps -a --format json --filter name=l3 | grep -oE '"(Names|State|Image)":"[^"]*"' | sort
$D ps -s --filter name=l1 --format '{{.Size}}' | grep -oE 'virtual'
$D container ls --filter status=running -q | wc -l
$D port l1; $D top l1 | head -1; $D top l1 -o pid,comm | tail -1 | awk '{print $2}'
$D rm -f l1 l2 l3 l4
