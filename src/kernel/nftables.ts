/**
 * Firewall rules, as text in nft's language. One context of libnftables is kept for as long as the object lives,
 * because making one costs more than a transaction; where the library is missing, `nft` is started for each.
 * Every call is one transaction: all of it or nothing. Calls are synchronous, so they never overlap.
 */
import { spawnSync } from 'node:child_process'
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

/** The rules of one network namespace: the one that the object was made in. */
export class Nftables implements Disposable {
  #context: unknown

  constructor() {
    if (library === undefined) return
    this.#context = library.create(0)
    library.bufferOutput(this.#context)
    library.bufferError(this.#context)
  }

  /**
   * Carries out the commands as one transaction and answers what they print, with `handles` the numbers of rules
   * and chains, too. Throws an NftablesError.
   */
  run(text: string, { handles = false }: { handles?: boolean } = {}): string {
    if (library === undefined) return runProgram(text, handles)
    library.outputFlags(this.#context, handles ? outputHandles : 0)
    const failed = library.run(this.#context, text)
    const output = library.output(this.#context)
    const error = library.error(this.#context)
    if (failed !== 0) throw new NftablesError(error.trim())
    return output
  }

  [Symbol.dispose](): void {
    if (library !== undefined && this.#context !== undefined) library.free(this.#context)
    this.#context = undefined
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
