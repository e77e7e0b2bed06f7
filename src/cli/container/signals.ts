/** `--sig-proxy`: signals that reach the client go to the container. */
import type { Cli } from '../cli.ts'

const proxied: readonly NodeJS.Signals[] = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGTRAP',
  'SIGABRT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
  'SIGTERM',
  'SIGCONT',
  'SIGTSTP',
  'SIGTTIN',
  'SIGTTOU',
  'SIGXCPU',
  'SIGXFSZ',
  'SIGVTALRM',
  'SIGIO',
  'SIGPWR',
  'SIGSYS',
]

/** Passes signals on until disposed. Failures are ignored: the container may have ended. */
export function proxySignals(cli: Cli, id: string): Disposable {
  const forward = (signal: NodeJS.Signals) => {
    cli.client.send('POST', `/containers/${id}/kill`, { query: { signal: signal.slice(3) } }).catch(() => {})
  }
  for (const signal of proxied) process.on(signal, forward)
  return {
    [Symbol.dispose]() {
      for (const signal of proxied) process.off(signal, forward)
    },
  }
}
