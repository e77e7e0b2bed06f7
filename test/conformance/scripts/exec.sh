# exec: streams, user, environment, codes.
$D run -d --name ex -e BASE=1 -w /etc busybox sleep 1000 >/dev/null
t() { "$@"; echo "exit $?"; }
t $D exec ex echo hello
t $D exec ex sh -c 'exit 33'
t $D exec -e MORE=2 ex sh -c 'echo $BASE$MORE'
t $D exec -w /tmp ex pwd
t $D exec ex pwd
t $D exec -u 55:66 ex id
echo input | $D exec -i ex cat
t $D exec -d ex touch /tmp/detached
until $D exec ex test -e /tmp/detached; do :; done
t $D exec ex nosuchcommand 2>&1 | grep -oE 'exec: "nosuchcommand": executable file not found in \$PATH|exit [0-9]+'
t $D exec -w /no/such/dir ex true 2>&1 | grep -oE 'no such file or directory|exit [0-9]+' | sort -u
t $D exec nosuch true 2>&1 | grep -oiE 'no such container: nosuch|exit [0-9]+'
t $D exec --privileged ex sh -c 'test $(grep CapEff /proc/self/status | cut -f2) != 00000000a80425fb && echo more'
t $D exec -t ex sh -c 'test -t 1 && echo terminal' | tr -d '\r'
$D inspect -f '{{.ExecIDs}}' ex
$D rm -f ex
t $D exec ex true 2>&1 | grep -oiE 'no such container: ex|exit [0-9]+'
