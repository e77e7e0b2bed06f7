/** Commands about containers. */
import type { CommandEntry } from '../command.ts'

const many = 'CONTAINER [CONTAINER...]'

/** See the file's description. */
export const containerEntries: readonly CommandEntry[] = [
  {
    names: ['container run', 'run'],
    usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
    summary: 'Make a container from an image and run it',
    common: 1,
    load: async () => (await import('../commands/container-run.ts')).command,
  },
  {
    names: ['container exec', 'exec'],
    usage: '[OPTIONS] CONTAINER COMMAND [ARG...]',
    summary: 'Run a command in a running container',
    common: 2,
    load: async () => (await import('../commands/container-exec.ts')).command,
  },
  {
    names: ['container ls', 'container list', 'container ps', 'ps'],
    usage: '[OPTIONS]',
    summary: 'List containers',
    common: 3,
    load: async () => (await import('../commands/container-ls.ts')).command,
  },
  {
    names: ['container attach', 'attach'],
    usage: '[OPTIONS] CONTAINER',
    summary: 'Join the terminal to a running container',
    load: async () => (await import('../commands/container-attach.ts')).command,
  },
  {
    names: ['container commit', 'commit'],
    usage: '[OPTIONS] CONTAINER [REPOSITORY[:TAG]]',
    summary: "Make an image of a container's changes",
    load: async () => (await import('../commands/container-commit.ts')).command,
  },
  {
    names: ['container cp', 'cp'],
    usage: ['[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-', '[OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH'],
    summary: 'Copy files between a container and here',
    description: `Copy files between a container and here

'-' as the source reads a tar archive from standard input and unpacks it in
a directory of the container. '-' as the destination writes a tar archive of
the container's files to standard output.`,
    load: async () => (await import('../commands/container-cp.ts')).command,
  },
  {
    names: ['container create', 'create'],
    usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
    summary: 'Make a container without starting it',
    load: async () => (await import('../commands/container-create.ts')).command,
  },
  {
    names: ['container diff', 'diff'],
    usage: 'CONTAINER',
    summary: "Show what has changed in a container's file system",
    load: async () => (await import('../commands/container-diff.ts')).command,
  },
  {
    names: ['container export', 'export'],
    usage: '[OPTIONS] CONTAINER',
    summary: "Write a container's file system as a tar archive",
    load: async () => (await import('../commands/container-export.ts')).command,
  },
  {
    names: ['container inspect'],
    usage: `[OPTIONS] ${many}`,
    summary: 'Show everything about containers',
    load: async () => (await import('../commands/container-inspect.ts')).command,
  },
  {
    names: ['container kill', 'kill'],
    usage: `[OPTIONS] ${many}`,
    summary: 'Send a signal to running containers',
    load: async () => (await import('../commands/container-kill.ts')).command,
  },
  {
    names: ['container logs', 'logs'],
    usage: '[OPTIONS] CONTAINER',
    summary: 'Show what a container has written',
    load: async () => (await import('../commands/container-logs.ts')).command,
  },
  {
    names: ['container pause', 'pause'],
    usage: many,
    summary: 'Freeze all processes of containers',
    load: async () => (await import('../commands/container-pause.ts')).pauseCommand,
  },
  {
    names: ['container port', 'port'],
    usage: 'CONTAINER [PRIVATE_PORT[/PROTO]]',
    summary: "Show where a container's ports are published",
    load: async () => (await import('../commands/container-port.ts')).command,
  },
  {
    names: ['container prune'],
    usage: '[OPTIONS]',
    summary: 'Remove all stopped containers',
    load: async () => (await import('../commands/container-prune.ts')).command,
  },
  {
    names: ['container rename', 'rename'],
    usage: 'CONTAINER NEW_NAME',
    summary: 'Give a container another name',
    load: async () => (await import('../commands/container-rename.ts')).command,
  },
  {
    names: ['container restart', 'restart'],
    usage: `[OPTIONS] ${many}`,
    summary: 'Stop containers and start them again',
    load: async () => (await import('../commands/container-stop.ts')).restartCommand,
  },
  {
    names: ['container rm', 'container remove', 'rm'],
    usage: `[OPTIONS] ${many}`,
    summary: 'Remove containers',
    load: async () => (await import('../commands/container-rm.ts')).command,
  },
  {
    names: ['container start', 'start'],
    usage: `[OPTIONS] ${many}`,
    summary: 'Start stopped containers',
    load: async () => (await import('../commands/container-start.ts')).command,
  },
  {
    names: ['container stats', 'stats'],
    usage: '[OPTIONS] [CONTAINER...]',
    summary: 'Show what containers use, again and again',
    load: async () => (await import('../commands/container-stats.ts')).command,
  },
  {
    names: ['container stop', 'stop'],
    usage: `[OPTIONS] ${many}`,
    summary: 'Stop running containers',
    load: async () => (await import('../commands/container-stop.ts')).stopCommand,
  },
  {
    names: ['container top', 'top'],
    usage: 'CONTAINER [ps OPTIONS]',
    summary: 'Show the processes of a container',
    load: async () => (await import('../commands/container-top.ts')).command,
  },
  {
    names: ['container unpause', 'unpause'],
    usage: many,
    summary: 'Let the processes of frozen containers go on',
    load: async () => (await import('../commands/container-pause.ts')).unpauseCommand,
  },
  {
    names: ['container update', 'update'],
    usage: `[OPTIONS] ${many}`,
    summary: 'Change limits and restart policy of containers',
    load: async () => (await import('../commands/container-update.ts')).command,
  },
  {
    names: ['container wait', 'wait'],
    usage: many,
    summary: 'Wait for containers to end and show their exit codes',
    load: async () => (await import('../commands/container-wait.ts')).command,
  },
  {
    names: ['inspect'],
    usage: '[OPTIONS] NAME|ID [NAME|ID...]',
    summary: 'Show everything about objects of any kind',
    load: async () => (await import('../commands/inspect.ts')).command,
  },
  {
    names: ['system events', 'events'],
    usage: '[OPTIONS]',
    summary: 'Show what happens in the engine, as it happens',
    load: async () => (await import('../commands/events.ts')).command,
  },
]
