/** Keeps a container's terminal as large as ours. */
import type { Cli } from '../cli.ts'

/** Rows and columns of the terminal on standard output; undefined where there is none. */
export function terminalSize(cli: Cli): { rows: number; columns: number } | undefined {
  if (!cli.stdout.isTerminal) return undefined
  const [columns, rows] = process.stdout.getWindowSize()
  return rows > 0 && columns > 0 ? { rows, columns } : undefined
}

/**
 * Makes the program in the container draw itself again for who has just attached: only a changed size does, so it is told a
 * larger one. `followTerminalSize` then tells ours.
 */
export async function askForRepaint(cli: Cli, path: string): Promise<void> {
  const size = terminalSize(cli)
  if (size === undefined) return
  const query = { h: size.rows + 1, w: size.columns + 1 }
  // It may have ended meanwhile, which its output tells.
  await cli.client.send('POST', `${path}/resize`, { query }).catch(() => {})
}

/** Tells the engine our size now and at every change, until disposed. `path` is `/containers/ID` or `/exec/ID`. */
export function followTerminalSize(cli: Cli, path: string): Disposable {
  const attempts = 10
  const pauseMs = 10
  let timer: ReturnType<typeof setTimeout> | undefined
  const send = (left: number) => {
    const size = terminalSize(cli)
    if (size === undefined) return
    cli.client
      .send('POST', `${path}/resize`, { query: { h: size.rows, w: size.columns } })
      // An exec or container may not be quite there yet.
      .catch(() => {
        if (left > 0) timer = setTimeout(() => send(left - 1), pauseMs)
      })
  }
  const onChange = () => send(0)
  process.on('SIGWINCH', onChange)
  send(attempts)
  return {
    [Symbol.dispose]() {
      clearTimeout(timer)
      process.off('SIGWINCH', onChange)
    },
  }
}
