# What an engine says that is in no swarm and has no plugins.
echo text >file
$D node ls; $D node inspect self; $D node ps; $D node rm x y; $D node promote x; $D node update --role manager x
$D service ls; $D service create busybox true; $D service inspect x; $D service logs x; $D service ps x; $D service rm x y
$D service rollback x; $D service scale x=2 y=a; $D service update --replicas 2 x
$D config ls; $D config create c file; $D config create c none; $D config inspect --pretty x; $D config rm x
$D secret ls; $D secret create c file; $D secret create c; $D secret create c none; $D secret inspect x; $D secret rm x
$D stack ls; $D stack ps x; $D stack rm x; $D stack services x; $D stack deploy x; $D stack deploy -c none x; $D stack config
$D swarm ca; $D swarm join-token worker; $D swarm join-token x; $D swarm leave; $D swarm unlock; $D swarm unlock-key
$D swarm update --autolock
$D plugin ls; $D plugin ls -q; $D plugin ls --filter enabled=true --format '{{.Name}}'; $D plugin inspect x; $D plugin rm x y
$D plugin enable x; $D plugin disable x; $D plugin set x a=b; $D plugin push x; $D plugin upgrade x; echo "exit $?"
(cd / && $D plugin create x .; $D plugin create x none); $D plugin create x file
$D checkpoint ls x 2>&1 | sed 's/^[a-z]*/CLI/'
