/**
 * Firewall rules, as text in nft's language. One context of libnftables is kept for as long as the object lives,
 * because making one costs more than a transaction; where the library cannot be used, `nft` is started for each.
 * Every call is one transaction: all of it or nothing. Calls are synchronous, so they never overlap.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import koffi from 'koffi'

/** What a failed transaction says. `text` is nft's own message. */
export class NftablesError extends Error {
  readonly text: string

  constructor(text: string) {
    super(`nftables: ${text.split('\n')[0]}`)
    this.name = 'NftablesError'
    this.text = text
  }
}

type Library = {
  create(flags: number): unknown
  free(context: unknown): void
  bufferOutput(context: unknown): number
  bufferError(context: unknown): number
  output(context: unknown): string
  error(context: unknown): string
  run(context: unknown, text: string): number
  outputFlags(context: unknown, flags: number): void
}

function loadLibrary(): Library | undefined {
  try {
    const library = koffi.load('libnftables.so.1')
    return {
      create: library.func('void *nft_ctx_new(uint32_t flags)'),
      free: library.func('void nft_ctx_free(void *context)'),
      bufferOutput: library.func('int nft_ctx_buffer_output(void *context)'),
      bufferError: library.func('int nft_ctx_buffer_error(void *context)'),
      output: library.func('const char *nft_ctx_get_output_buffer(void *context)'),
      error: library.func('const char *nft_ctx_get_error_buffer(void *context)'),
      run: library.func('int nft_run_cmd_from_buffer(void *context, const char *text)'),
      outputFlags: library.func('void nft_ctx_output_set_flags(void *context, unsigned int flags)'),
    }
  } catch {
    return undefined
  }
}

const library = loadLibrary()

/** FD_SETSIZE, with room for what other threads open meanwhile. */
const descriptorLimit = 1000
const descriptorCount = 16

/**
 * The library waits with select(), which ends the process for a descriptor beyond 1023, and a daemon with many
 * published ports has more than those. So a few low ones are held, and lent while a context opens its socket.
 * Descriptors are the process's own, and so is this.
 */
class LowDescriptors {
  readonly #held: number[] = []

  /** Calls `open` when a low descriptor is the next one; else answers undefined. */
  lend<T>(open: () => T): T | undefined {
    for (const descriptor of this.#held.splice(0)) closeSync(descriptor)
    try {
      const next = openSync('/dev/null', 'r')
      closeSync(next)
      return next < descriptorLimit ? open() : undefined
    } finally {
      this.hold()
    }
  }

  /** Takes low descriptors again that were lent or have become free. */
  hold(): void {
    while (this.#held.length < descriptorCount) {
      const descriptor = openSync('/dev/null', 'r')
      if (descriptor >= descriptorLimit) return closeSync(descriptor)
      this.#held.push(descriptor)
    }
  }
}

const lowDescriptors = new LowDescriptors()

/**
 * The rules of one network namespace: the one that the object was made in. It must be used there, too: a program
 * that is started for a transaction works where its caller stands.
 */
export class Nftables implements Disposable {
  #context: unknown

  constructor() {
    if (library === undefined) return
    this.#context = lowDescriptors.lend(() => library.create(0))
    if (this.#context === undefined) return
    library.bufferOutput(this.#context)
    library.bufferError(this.#context)
  }

  /**
   * Carries out the commands as one transaction and answers what they print, with `handles` the numbers of rules
   * and chains, too. Throws an NftablesError.
   */
  run(text: string, { handles = false }: { handles?: boolean } = {}): string {
    if (library === undefined || this.#context === undefined) return runProgram(text, handles)
    library.outputFlags(this.#context, handles ? outputHandles : 0)
    const failed = library.run(this.#context, text)
    const output = library.output(this.#context)
    const error = library.error(this.#context)
    if (failed !== 0) throw new NftablesError(error.trim())
    return output
  }

  [Symbol.dispose](): void {
    if (library === undefined || this.#context === undefined) return
    library.free(this.#context)
    this.#context = undefined
    // Its descriptor must not go to somebody who keeps it: the next context could not have it then.
    lowDescriptors.hold()
  }
}

/** NFT_CTX_OUTPUT_HANDLE of nftables/libnftables.h. */
const outputHandles = 8

function runProgram(text: string, handles: boolean): string {
  const result = spawnSync('nft', handles ? ['-a', text] : [text], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (result.error !== undefined) throw new NftablesError(result.error.message)
  if (result.status !== 0) throw new NftablesError(result.stderr.trim())
  return result.stdout
}
