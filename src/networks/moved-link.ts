/**
 * Links that somebody else made on the host: moved into a sandbox, and back under their old name. They change
 * namespaces under a name that is nobody's, because the other side may have one of theirs.
 */
import { closeSync, openSync } from 'node:fs'
import { EngineError } from '../spec/errors.ts'
import { KernelError } from '../kernel/ffi.ts'
import type { NetlinkSocket } from '../kernel/netlink.ts'
import { findLink } from '../kernel/rtnetlink-read.ts'
import { setLink } from '../kernel/rtnetlink.ts'
import { randomLinkName, type Sandbox } from './sandbox.ts'

const what = 'container link'

/** Moves the link `source` of the host into a sandbox, down, as `name`; answers its index there. */
export function moveIn(
  host: NetlinkSocket,
  sandbox: Sandbox,
  { source, name }: { source: string; name: string },
): number {
  const link = findLink(host, source)
  if (link === undefined) {
    throw new EngineError('internal', `could not find the link ${source} that the plugin is to have made`)
  }
  if (sandbox.findLink(name) !== undefined) {
    throw new EngineError('internal', `failed to set up link ${name}: file exists`)
  }
  const passing = randomLinkName('wm')
  host.request([setLink(link.index, { up: false })], what)
  host.request([setLink(link.index, { rename: passing })], what)
  try {
    host.request([setLink(link.index, { namespaceFd: sandbox.namespace.fd })], what)
  } catch (error) {
    host.request([setLink(link.index, { rename: source })], what)
    throw error
  }
  const index = sandbox.findLink(passing)?.index
  if (index === undefined) throw new EngineError('internal', `${what} ${source} is gone`)
  try {
    sandbox.request([setLink(index, { rename: name })], what)
  } catch (error) {
    moveOut(host, sandbox, { index, source })
    throw error
  }
  return index
}

/** Moves it back to the host, down. Idempotent: one that is gone, with its maker perhaps, is no failure. */
export function moveOut(
  host: NetlinkSocket,
  sandbox: Sandbox,
  { index, source }: { index: number; source: string },
): void {
  const passing = randomLinkName('wm')
  const home = openSync('/proc/thread-self/ns/net', 'r')
  try {
    sandbox.request([setLink(index, { up: false })], what)
    sandbox.request([setLink(index, { rename: passing })], what)
    sandbox.request([setLink(index, { namespaceFd: home })], what)
  } catch (error) {
    if (error instanceof KernelError && error.code === 'ENODEV') return
    throw error
  } finally {
    closeSync(home)
  }
  const link = findLink(host, passing)
  // Somebody has made one of that name meanwhile: the plugin will miss its own, and who looks finds it.
  if (link !== undefined) host.request([setLink(link.index, { rename: source })], what, ['EEXIST'])
}
