/** A daemon of a test that is killed: starts containers in the directory of another fixture, says so, and stays. */
import { RuntimeFixture } from './fixture.ts'

const [directory = '', stage = '', script = ''] = process.argv.slice(2)
const fixture = new RuntimeFixture({ from: directory })
const start = fixture.start(['sh', '-c', script], {
  config: { OpenStdin: true },
  log: { format: 'json-file', maxSizeBytes: 0, maxFiles: 1 },
})
process.stdout.write(`${start.id}\n`)
const pending = await fixture.runtime.create(start, AbortSignal.timeout(10_000))
if (stage !== 'created') {
  const starting = pending.start()
  if (stage === 'started') {
    const task = await starting
    const exec = fixture.exec(start.id, ['sleep', '1000'])
    const execTask = await task.exec(exec, AbortSignal.timeout(10_000))
    await execTask.attach({ stdin: false, stdout: true, stderr: true })
    process.stdout.write(`${exec.id}\n`)
  }
}
process.stdout.write('ready\n')
// Stay until killed.
setInterval(() => {}, 1000)
