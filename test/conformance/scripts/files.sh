# cp both ways, diff, export.
$D run --name f1 busybox sh -c 'mkdir -p /data/sub; echo one >/data/a; echo two >/data/sub/b; ln -s a /data/link; rm /bin/vi; echo x >>/etc/passwd'
$D diff f1 | sort
mkdir -p work; cd work
$D cp f1:/data ./copied 2>/dev/null; find copied | sort; cat copied/a; readlink copied/link
$D cp f1:/data/a - | tar t
$D cp f1:/data/. ./dot 2>/dev/null; ls dot
$D cp -L f1:/data/link ./followed 2>/dev/null; cat followed
echo new >new; $D cp new f1:/data/ 2>/dev/null; $D cp f1:/data/new - | tar xO
$D cp new f1:/no/such/dir/x 2>&1 | grep -oiE 'could not find the file|no such directory|no such file or directory'
$D cp f1:/no/such/file . 2>&1 | grep -oiE 'could not find the file /no/such/file in container'
$D cp nosuch:/x . 2>&1 | grep -oiE 'no such container: nosuch'
tar c new | $D cp - f1:/tmp; $D cp f1:/tmp/new - | tar xO
$D export f1 | tar t | grep -E '^data/' | sort
$D export -o out.tar f1 && tar tf out.tar | grep -c '^bin/busybox$'
cd ..; rm -rf work
$D start f1 >/dev/null; $D wait f1; $D rm f1
