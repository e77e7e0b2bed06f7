# The container lines of WALKTHROUGHS D and E.
$D run -d -i -p 11234:1234 --name daemon busybox nc -l -p 1234 >/dev/null
until echo 'hello, daemon' | nc -w 1 -N 127.0.0.1 11234; do sleep 0.1; done
$D wait daemon; $D logs daemon; $D rm daemon
$D run -d --name on-failure --restart=on-failure:2 busybox /bin/false >/dev/null
until [ "$($D inspect -f '{{.RestartCount}}{{.State.Status}}' on-failure)" = 2exited ]; do sleep 0.1; done
$D ps -a --filter name=on-failure --format '{{.Status}}' | sed -E 's/[0-9]+ seconds?|Less than a second/TIME/'; $D rm on-failure
for n in 1 2; do $D run -d -p 1000$n:80 --name blog$n busybox httpd -f -h /etc >/dev/null; done
$D ps | grep -c blog
$D network create my_network >/dev/null; $D network connect my_network blog1
$D run --rm --network my_network busybox wget -qO- http://blog1/hostname | awk '{print length($0)}'
$D run --rm --network my_network busybox wget -qO- http://blog2/hostname 2>&1 | grep -oE "bad address 'blog2'"
$D rm -f blog1 blog2; $D network rm my_network
$D run -d -p 80 --name e1 busybox httpd -f -h /etc >/dev/null
$D port e1 | head -1 | sed -E 's/:[0-9]{5}$/:PORT/'; $D port e1 80 | head -1 | sed -E 's/:[0-9]{5}$/:PORT/'
$D run -d -p 28480:80 --name e2 busybox httpd -f -h /etc >/dev/null
wget -qO- http://127.0.0.1:28480/hostname | awk '{print length($0)}'
$D run -d -p 28480:80 --name e3 busybox httpd -f -h /etc 2>&1 | grep -oE 'port is already allocated'; $D rm e3
$D inspect --format '{{ .NetworkSettings.IPAddress }}' e2 | grep -cE '^[0-9.]+$'
short=$($D inspect -f '{{.Id}}' e2 | cut -c1-5)
$D exec -t $short echo prefix | tr -d '\r'; $D kill $short >/dev/null; $D inspect -f '{{.State.ExitCode}}' $short
$D run -d --expose 7000 -P -p 18081:80 -p 15000:5000 --name e4 busybox httpd -f >/dev/null; $D port e4 | grep -v '\[' | sed -E 's/:3[0-9]{4}$|:4[0-9]{4}$|:5[0-9]{4}$|:6[0-9]{4}$/:PORT/' | sort
$D rm -f e1 e2 e4
