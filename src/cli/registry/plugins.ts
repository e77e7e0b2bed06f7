/** Commands about plugins, and of Docker's parts that this engine has nothing behind: checkpoints and trust. */
import type { CommandEntry } from '../command.ts'

/** See the file's description. */
export const pluginEntries: readonly CommandEntry[] = [
  {
    names: ['plugin create'],
    usage: '[OPTIONS] PLUGIN PLUGIN-DATA-DIR',
    summary: 'Make a plugin of a root file system and its configuration',
    load: async () => (await import('../plugin/commands.ts')).pluginCommands.create,
  },
  {
    names: ['plugin disable'],
    usage: '[OPTIONS] PLUGIN',
    summary: 'Switch a plugin off',
    load: async () => (await import('../plugin/commands.ts')).pluginCommands.disable,
  },
  {
    names: ['plugin enable'],
    usage: '[OPTIONS] PLUGIN',
    summary: 'Switch a plugin on',
    load: async () => (await import('../plugin/commands.ts')).pluginCommands.enable,
  },
  {
    names: ['plugin inspect'],
    usage: '[OPTIONS] PLUGIN [PLUGIN...]',
    summary: 'Show all that is known about plugins',
    load: async () => (await import('../plugin/commands.ts')).pluginCommands.inspect,
  },
  {
    names: ['plugin install'],
    usage: '[OPTIONS] PLUGIN [KEY=VALUE...]',
    summary: 'Install a plugin',
    load: async () => (await import('../plugin/commands.ts')).pluginCommands.install,
  },
  {
    names: ['plugin ls', 'plugin list'],
    usage: '[OPTIONS]',
    summary: 'List plugins',
    load: async () => (await import('../plugin/commands.ts')).pluginCommands.ls,
  },
  {
    names: ['plugin push'],
    usage: '[OPTIONS] PLUGIN[:TAG]',
    summary: 'Push a plugin to a registry',
    load: async () => (await import('../plugin/commands.ts')).pluginCommands.push,
  },
  {
    names: ['plugin rm', 'plugin remove'],
    usage: '[OPTIONS] PLUGIN [PLUGIN...]',
    summary: 'Remove plugins',
    load: async () => (await import('../plugin/commands.ts')).pluginCommands.rm,
  },
  {
    names: ['plugin set'],
    usage: 'PLUGIN KEY=VALUE [KEY=VALUE...]',
    summary: 'Change settings of a plugin',
    load: async () => (await import('../plugin/commands.ts')).pluginCommands.set,
  },
  {
    names: ['plugin upgrade'],
    usage: '[OPTIONS] PLUGIN [REMOTE]',
    summary: 'Replace a plugin by a newer one',
    load: async () => (await import('../plugin/commands.ts')).pluginCommands.upgrade,
  },
  {
    names: ['trust key generate'],
    usage: 'NAME',
    summary: 'Make a pair of keys for signing',
    load: async () => (await import('../plugin/trust.ts')).trustCommands['key generate'],
  },
  {
    names: ['trust key load'],
    usage: '[OPTIONS] KEYFILE',
    summary: 'Load a key for signing',
    load: async () => (await import('../plugin/trust.ts')).trustCommands['key load'],
  },
  {
    names: ['trust signer add'],
    usage: 'OPTIONS NAME REPOSITORY [REPOSITORY...]',
    summary: 'Let somebody sign',
    load: async () => (await import('../plugin/trust.ts')).trustCommands['signer add'],
  },
  {
    names: ['trust signer remove'],
    usage: '[OPTIONS] NAME REPOSITORY [REPOSITORY...]',
    summary: 'Let somebody sign no more',
    load: async () => (await import('../plugin/trust.ts')).trustCommands['signer remove'],
  },
  {
    names: ['trust inspect'],
    usage: 'IMAGE[:TAG] [IMAGE[:TAG]...]',
    summary: 'Show keys and signatures',
    load: async () => (await import('../plugin/trust.ts')).trustCommands.inspect,
  },
  {
    names: ['trust revoke'],
    usage: '[OPTIONS] IMAGE[:TAG]',
    summary: 'Take trust in an image back',
    load: async () => (await import('../plugin/trust.ts')).trustCommands.revoke,
  },
  {
    names: ['trust sign'],
    usage: 'IMAGE:TAG',
    summary: 'Sign an image',
    load: async () => (await import('../plugin/trust.ts')).trustCommands.sign,
  },
  {
    names: ['checkpoint create'],
    usage: '[OPTIONS] CONTAINER CHECKPOINT',
    summary: 'Keep the state of a running container',
    load: async () => (await import('../plugin/checkpoint.ts')).checkpointCommands.create,
  },
  {
    names: ['checkpoint ls', 'checkpoint list'],
    usage: '[OPTIONS] CONTAINER',
    summary: "List a container's checkpoints",
    load: async () => (await import('../plugin/checkpoint.ts')).checkpointCommands.ls,
  },
  {
    names: ['checkpoint rm', 'checkpoint remove'],
    usage: '[OPTIONS] CONTAINER CHECKPOINT',
    summary: 'Remove a checkpoint',
    load: async () => (await import('../plugin/checkpoint.ts')).checkpointCommands.rm,
  },
]
