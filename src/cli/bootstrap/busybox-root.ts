/** A root file system of one busybox: what `busybox:latest` consists of. The same program makes the same tree. */
import { tarHeader } from '../../lib/tar-format.ts'
import type { TarSource } from '../../lib/tar-stream.ts'

const passwd = `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
sync:x:4:100:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
`
const group = `root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
lp:x:7:
mail:x:8:
kmem:x:9:
wheel:x:10:root
cdrom:x:11:
dialout:x:18:
floppy:x:19:
video:x:28:
audio:x:29:
tape:x:32:
www-data:x:33:
operator:x:37:
utmp:x:43:
plugdev:x:46:
staff:x:50:
lock:x:54:
netdev:x:82:
users:x:100:
nobody:x:65534:
`
const shadow = `root:*:10933:0:99999:7:::
daemon:*:10933:0:99999:7:::
bin:*:10933:0:99999:7:::
sys:*:10933:0:99999:7:::
nobody:*:10933:0:99999:7:::
`

/** All files of the tree, in order. `applets` are names beside `busybox`. */
export function* busyboxRoot(busybox: Buffer, applets: readonly string[]): Generator<TarSource> {
  const directory = (name: string, mode = 0o755, uid = 0, gid = 0): TarSource => ({
    header: tarHeader({ name: `${name}/`, type: 'directory', mode, uid, gid }),
  })
  const file = (name: string, content: string | Buffer, mode = 0o644): TarSource => {
    const data = typeof content === 'string' ? Buffer.from(content) : content
    return { header: tarHeader({ name, type: 'file', mode, size: data.length }), content: [data] }
  }
  const link = (name: string, linkName: string): TarSource => ({
    header: tarHeader({ name, type: 'hardlink', linkName, mode: 0o755 }),
  })
  yield directory('bin')
  yield file('bin/busybox', busybox, 0o755)
  for (const applet of applets) yield link(`bin/${applet}`, 'bin/busybox')
  yield directory('dev')
  yield directory('etc')
  yield file('etc/group', group)
  yield file('etc/hostname', '')
  yield file('etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n')
  yield file('etc/passwd', passwd)
  yield file('etc/shadow', shadow, 0o600)
  yield directory('home', 0o755, 65534, 65534)
  yield directory('root', 0o700)
  yield directory('tmp', 0o1777)
  yield directory('usr')
  yield directory('usr/sbin', 0o755, 1, 1)
  yield directory('var')
  yield directory('var/spool')
  yield directory('var/spool/mail', 0o755, 8, 8)
  yield directory('var/www', 0o755, 33, 33)
}
