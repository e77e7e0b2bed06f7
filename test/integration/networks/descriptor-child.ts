/** Changes the firewall of its network namespace with more descriptors open than select() can take. */
import { openSync } from 'node:fs'
import { Nftables } from '../../../src/kernel/nftables.ts'

const change = (name: string) => {
  using nftables = new Nftables()
  nftables.run(`add table inet ${name}`)
}
change('before')
while (openSync('/dev/null', 'r') < 1100);
change('after')
using nftables = new Nftables()
process.stdout.write(nftables.run('list tables'))
