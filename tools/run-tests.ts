/**
 * `node tools/run-tests.ts FILE ...`: runs test files, each in a process of its own, two at a time. Files with a failure
 * run once more, alone: on a crowded machine a test may lose a race with the kernel, and only what fails twice is broken.
 */
import { relative } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { pipeline } from 'node:stream/promises'

/** A test that waits for ever fails after this time, and lets the others go on. */
const timeoutMs = 300_000

/** Runs the files and prints what they say; answers those in which something failed. */
async function runFiles(files: readonly string[], concurrency: number): Promise<string[]> {
  const failed = new Set<string>()
  const events = run({ files: [...files], concurrency, timeout: timeoutMs })
  const note = (path: string | undefined) => {
    const file = path === undefined ? '' : relative(process.cwd(), path)
    // A failed test may stand in a module that several test files share: the summary names the file that ran it.
    if (files.includes(file)) failed.add(file)
  }
  events.on('test:summary', ({ file, success }) => {
    if (!success) note(file)
  })
  // A process that ended early leaves no summary.
  events.on('test:fail', ({ file }) => note(file))
  await pipeline(events, new spec(), process.stdout, { end: false })
  return [...failed]
}

async function main(files: readonly string[]): Promise<void> {
  let failed = await runFiles(files, 2)
  if (failed.length > 0) {
    console.log(`\n== once more, one at a time: ${failed.join(' ')}`)
    failed = await runFiles(failed, 1)
  }
  if (failed.length > 0) {
    console.log(`\n== failed twice: ${failed.join(' ')}`)
    process.exitCode = 1
  }
}

await main(process.argv.slice(2).map((file) => relative(process.cwd(), file)))
