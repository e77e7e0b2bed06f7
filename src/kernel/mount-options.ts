/** Options of mounts as text: which there are, and which of two that exclude each other counts. */
import { EngineError } from '../spec/errors.ts'

/** Flags that exclude each other: the last one given counts. */
const flagGroups = [
  ['ro', 'rw'],
  ['exec', 'noexec'],
  ['suid', 'nosuid'],
  ['dev', 'nodev'],
  ['atime', 'noatime'],
  ['diratime', 'nodiratime'],
  ['relatime', 'norelatime'],
  ['strictatime', 'nostrictatime'],
  ['async', 'sync'],
  ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave', 'unbindable', 'runbindable'],
]
const tmpfsData = new Set(['mode', 'size', 'uid', 'gid', 'nr_inodes', 'nr_blocks', 'mpol'])

/** Options of `--tmpfs` (`size=64m,exec`) over the safe defaults. Throws invalid for one that tmpfs does not know. */
export function tmpfsOptions(text: string): string[] {
  const merged = new Map<string, string>()
  const asked = text === '' ? [] : text.split(',')
  for (const option of ['noexec', 'nosuid', 'nodev', 'rprivate', ...asked]) {
    if (option === '' || option === 'defaults') continue
    const name = option.split('=')[0] ?? option
    const group = flagGroups.findIndex((names) => names.includes(option))
    const known = group >= 0 || option === 'remount' || (option.includes('=') && tmpfsData.has(name))
    if (!known) throw new EngineError('invalid', `invalid tmpfs option ["${option}"]`)
    const key = group >= 0 ? `group ${group}` : name
    merged.delete(key)
    merged.set(key, option)
  }
  return [...merged.values()]
}

const flagBits: Readonly<Record<string, number>> = {
  ro: 1,
  nosuid: 2,
  nodev: 4,
  noexec: 8,
  sync: 16,
  remount: 32,
  noatime: 1024,
  nodiratime: 2048,
  bind: 4096,
  rbind: 4096 | 16_384,
  relatime: 1 << 21,
  strictatime: 1 << 24,
}
const clearedBits: Readonly<Record<string, number>> = {
  rw: 1,
  suid: 2,
  dev: 4,
  exec: 8,
  async: 16,
  atime: 1024,
}

const propagationBits: Readonly<Record<string, number>> = {
  unbindable: 1 << 17,
  runbindable: (1 << 17) | 16_384,
  private: 1 << 18,
  rprivate: (1 << 18) | 16_384,
  slave: 1 << 19,
  rslave: (1 << 19) | 16_384,
  shared: 1 << 20,
  rshared: (1 << 20) | 16_384,
}

/**
 * Splits the text of `mount -o` into what mount(2) wants: a sum of flags, data for the file system, and the flags of
 * each change of propagation, which take a call of their own. `loop` is told apart, as mount(8) acts on it itself.
 */
export function mountDataAndFlags(text: string): {
  flags: number
  data: string
  propagation: number[]
  loop: boolean
} {
  let flags = 0
  const data: string[] = []
  const propagation: number[] = []
  const options = text.split(',')
  for (const option of options) {
    const set = flagBits[option]
    const clear = clearedBits[option]
    const change = propagationBits[option]
    if (set !== undefined) flags |= set
    else if (clear !== undefined) flags &= ~clear
    else if (change !== undefined) propagation.push(change)
    else if (option !== '' && option !== 'defaults' && option !== 'loop') data.push(option)
  }
  return { flags, data: data.join(','), propagation, loop: options.includes('loop') }
}
