# What the other walkthroughs do not type of A.3-A.6, C.1-C.3, D.7-D.9 and E: networks, links and ports.
$D network ls | head -1 | tr -s ' '
$D run -itd --name=container1 busybox | awk '{print length($0)}'
$D network inspect bridge >bridge.json
for key in Name Id Created Scope Driver EnableIPv6 IPAM Config Subnet Gateway Internal Attachable Ingress ConfigFrom \
  Containers EndpointID MacAddress IPv4Address IPv6Address Options Labels com.docker.network.bridge.default_bridge \
  com.docker.network.bridge.enable_icc com.docker.network.bridge.enable_ip_masquerade \
  com.docker.network.bridge.host_binding_ipv4 com.docker.network.bridge.name com.docker.network.driver.mtu; do
  grep -q "^ *\"$key\": " bridge.json && echo "$key"
done
grep -oE '"IPv4Address": "[0-9.]+/[0-9]+"' bridge.json | sed -E 's/[0-9.]+\//ADDRESS\//; s/[0-9]+"$/N"/'
rm bridge.json
$D info -f '{{range .Plugins.Network}}{{println .}}{{end}}' | grep -xE 'bridge|host|ipvlan|macvlan|null'
own=$($D exec container1 ip -4 addr show eth0 | grep -w inet)
test "$($D run --rm --net=container:container1 busybox ip -4 addr show eth0 | grep -w inet)" = "$own" && echo shared
$D run --rm --net=none busybox ip -o link | wc -l
test "$($D run --rm --net=host busybox ip -o link | wc -l)" -gt 2 && echo "the host's"
$D network create 2>&1 | grep -oE 'requires 1 argument'
$D network connect one 2>&1 | grep -oE 'requires 2 arguments'
$D network rm nope 2>&1 | grep -oiE 'network nope not found'; $D network disconnect bridge nope 2>&1 | grep -oE 'No such container: nope'
$D network create -d bridge new_bridge | awk '{print length($0)}'
$D network create new_bridge 2>&1 | grep -oE 'network with name new_bridge already exists'
$D run -d --net=new_bridge --name=db busybox sleep 1000 >/dev/null
$D network disconnect bridge container1; $D network connect --alias one new_bridge container1
$D exec db ping -c 1 -W 1 one >/dev/null && echo reached
$D network connect bridge container1; $D inspect -f '{{range $name, $n := .NetworkSettings.Networks}}{{$name}} {{end}}' container1
$D run --name pinger busybox ping 127.0.0.1 >ping.out & pinger=$!
until grep -q seq=0 ping.out; do sleep 0.1; done; kill -INT $pinger; wait $pinger
grep -c 'ping statistics' ping.out; rm ping.out; $D wait pinger
$D rm -f container1 db pinger; $D network rm new_bridge
$D run --name wp-mysql -e MYSQL_ROOT_PASSWORD=x --expose 3306 -d busybox sleep 1000 >/dev/null
$D run --name wordpress --link wp-mysql:mysql -p 10003:80 -d busybox httpd -f -h /etc >/dev/null
$D exec wordpress env | grep ^MYSQL_ | sed -E 's/[0-9]+(\.[0-9]+){3}/ADDRESS/' | sort
$D exec wordpress grep -c mysql /etc/hosts; $D exec wordpress ping -c 1 -W 1 mysql >/dev/null && echo reached
until wget -qO- http://127.0.0.1:10003/hostname | awk '{print length($0)}' | grep .; do sleep 0.1; done
$D restart -t 0 wp-mysql; $D exec wordpress ping -c 1 -W 1 mysql >/dev/null && echo 'reached again'
$D rm -f wordpress wp-mysql
$D run -d --expose 5000 -p 80 --name random busybox sleep 1000 >/dev/null
$D ps -f name=random --format '{{.Ports}}' | sed -E 's/, (\[::\]|::):[0-9]+->80\/tcp//; s/:[0-9]{5}-/:PORT-/'
$D run -d -p 28080:80 -p 25000:5000 --name both busybox sleep 1000 >/dev/null
$D port both | grep -v '\[\|:::' | sort; $D port both 5000 | head -1; $D port both 7 2>&1 | grep -oiE "no public port '7[/tcp]*' published"
id=$($D inspect -f '{{.Id}}' both | cut -c1-6); test "$($D stop -t 0 $id)" = "$id" && echo stopped
$D ps -a -f name=both --format '{{.Status}}' | cut -c1-12; test "$($D rm $id)" = "$id" && echo removed
$D rm -f random
