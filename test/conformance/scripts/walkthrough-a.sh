# Two linked services: WALKTHROUGHS A.1, A.3-A.8. registry:2 and the web page are stand-ins made of busybox.
$D export "$($D create --name base busybox)" >base.tar; $D rm base
$D import -c 'EXPOSE 5000' -c 'CMD ["httpd","-f","-p","5000","-h","/var/lib/registry"]' base.tar registry:2 | cut -c1-7
$D import -c 'EXPOSE 8080' -c 'CMD ["httpd","-f","-p","8080","-h","/etc"]' base.tar webui | cut -c1-7
rm base.tar; mkdir -p store; echo '{"repositories":[]}' >store/catalog
$D container run -p 5000:5000 --name reg_svr -d -v "$PWD/store:/var/lib/registry" registry:2 | awk '{print length($0)}'
$D container ls | head -1 | tr -s ' '
$D container ls --format '{{.Names}} {{.Ports}}' | sed 's/, :::.*//; s/, \[::\].*//'
$D container ls --format '{{.Command}}'
$D container run -d -p 8080:8080 --link reg_svr:rs -e REGISTRY_HOST=rs -e REGISTRY_PORT=5000 webui >web.id; web=$(cat web.id)
$D inspect -f '{{.Name}}' $web | grep -cE '^/[a-z]+_[a-z]+[0-9]?$'
$D container exec $web grep -w rs /etc/hosts | awk '{$1="ADDRESS"; $3=length($3)==12?"SHORTID":$3; print}'
$D container exec $web sh -c 'env | grep -E "^RS_PORT=|^RS_PORT_5000_TCP_PORT=|^RS_NAME=|^REGISTRY" | sort' | sed -E 's/[0-9.]+:5000/ADDRESS:5000/; s#=/[a-z]+_[a-z]+/#=/NAME/#'
$D container exec $web wget -qO- http://rs:5000/catalog
$D container exec $web ping -c 1 rs | grep -oE '1 packets transmitted, 1 packets received'
$D container ls -q -f ancestor=webui | wc -l
$D container inspect -f '{{.NetworkSettings.IPAddress}}' reg_svr | grep -cE '^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$'
$D container logs --tail 5 reg_svr
$D network ls --format '{{.Name}} {{.Driver}} {{.Scope}}' | grep -E '^(bridge|host|none) ' | sort
$D network inspect bridge --format '{{.Name}} {{.Scope}} {{.Driver}} {{.Internal}} {{.Attachable}} {{len .Containers}} {{.IPAM.Driver}} {{len .IPAM.Config}}'
$D network create regnet | awk '{print length($0)}'
$D network connect regnet reg_svr
$D run --rm --network regnet busybox wget -qO- http://reg_svr:5000/catalog
$D run --rm --network regnet busybox cat /etc/resolv.conf | grep -E '^(nameserver|options)'
$D network inspect regnet --format '{{range .Containers}}{{.Name}} {{end}}'
$D network rm regnet 2>&1 | grep -oE 'has active endpoints'
$D exec reg_svr sh -c 'ls -d /var/lib/registry'
$D container diff reg_svr | grep registry
$D container stats --no-stream --format '{{.Name}}' reg_svr
$D container top reg_svr | head -1 | tr -s ' '
$D container exec reg_svr ps -o pid,args | grep -E '^ *1 '
$D rm -f reg_svr $web >/dev/null; $D network rm regnet
$D rmi registry:2 webui | grep -c Untagged
rm -r store web.id
