# Networks and volumes: the container lines of WALKTHROUGHS C.2, C.3, C.6.
$D run -itd --name=container1 busybox >/dev/null; $D run -itd --name=container2 busybox >/dev/null
$D network inspect bridge --format '{{range .Containers}}{{.Name}}{{"\n"}}{{end}}' | grep container | sort
$D network disconnect bridge container1
$D network inspect bridge --format '{{range .Containers}}{{.Name}}{{"\n"}}{{end}}' | grep container
$D network create myNetwork >/dev/null; $D network create -d bridge new_bridge >/dev/null
$D run -d --net=new_bridge --name=db busybox sleep 1000 >/dev/null
$D inspect --format='{{json .NetworkSettings.Networks}}' db | grep -oE '"new_bridge":'
$D inspect --format='{{range .NetworkSettings.Networks}}{{.NetworkID}}{{end}}' db | awk '{print length($0)}'
$D inspect 2>&1 | sed "s/^docker inspect/CLI inspect/" | head -2 | grep -oE 'requires at least 1 argument'
$D inspect --format='{{.Nope' db 2>&1 | grep -oiE 'template parsing error: template: :1: unclosed action'
$D run -d --name web busybox sleep 1000 >/dev/null
addr=$($D inspect --format='{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' db)
$D exec web ping -c 1 -W 1 $addr >/dev/null && echo reached || echo 'not reached'
$D network connect new_bridge web
$D exec web ping -c 1 -W 1 db >/dev/null && echo reached || echo 'not reached'
$D inspect --format='{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' web | wc -w
$D network rm new_bridge 2>&1 | grep -oE 'has active endpoints'
$D exec -t db sh -c 'echo in db' | tr -d '\r'
$D rm -f container1 container2 db web >/dev/null; $D network rm myNetwork new_bridge
$D run -d -P --name vweb -v /webapp busybox sleep 1000 >/dev/null
$D inspect -f '{{range .Mounts}}{{.Type}} {{.Destination}} {{.RW}} {{len .Name}}{{end}}' vweb
$D rm -fv vweb >/dev/null
$D volume create --name vol; $D volume ls -q | grep -x vol; $D volume inspect -f '{{.Name}} {{.Driver}} {{.Scope}}' vol
$D run --rm -v vol:/etc busybox sh -c 'grep -c root /etc/passwd'
$D run --rm -v vol:/data busybox sh -c 'grep -c root /data/passwd; echo kept >/data/x'
$D run --rm -v vol:/data:ro busybox sh -c 'cat /data/x; touch /data/y' 2>&1
$D create -v /dbdata --name dbstore busybox /bin/true >/dev/null
$D run --rm --volumes-from dbstore busybox sh -c 'echo row >/dbdata/table'
$D run --rm --volumes-from dbstore -v "$PWD:/backup" busybox tar cf /backup/backup.tar /dbdata 2>/dev/null; tar tf backup.tar; rm -f backup.tar
$D create --name dbstore busybox 2>&1 | grep -oE 'Conflict. The container name "/dbstore" is already in use by container "[0-9a-f]{64}"' | sed -E 's/[0-9a-f]{64}/ID/'
$D volume rm vol; $D volume rm vol 2>&1 | grep -oiE 'no such volume'
$D rm -v dbstore; $D volume prune -f | head -1 | grep -oE 'Total reclaimed space|Deleted Volumes'
