import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFailure, execFailure, lastRuntimeError } from './runtime-errors.ts'

const created = 'failed to create task for container: failed to create shim task: OCI runtime create failed: '
const unable = 'runc create failed: unable to start container process: '

const table: [message: string, command: string, kind: string, text: string][] = [
  [
    'executable file `foo` not found in $PATH: No such file or directory',
    'foo',
    'invalid',
    `${created}${unable}exec: "foo": executable file not found in $PATH: unknown`,
  ],
  [
    'executable file `/a/b` not found in $PATH: No such file or directory',
    '/a/b',
    'invalid',
    `${created}${unable}exec: "/a/b": stat /a/b: no such file or directory: unknown`,
  ],
  [
    'open executable: Permission denied',
    '/x',
    'invalid',
    `${created}${unable}exec: "/x": permission denied: unknown`,
  ],
  [
    'open executable: Operation not permitted',
    '/',
    'invalid',
    `${created}${unable}exec: "/": is a directory: unknown`,
  ],
  [
    'runc run failed: unable to start container process: exec: "foo": executable file not found in $PATH',
    'foo',
    'invalid',
    `${created}${unable}exec: "foo": executable file not found in $PATH: unknown`,
  ],
  [
    'mkdir `/etc/f/x`: Not a directory',
    'sh',
    'invalid',
    `${created}mkdir \`/etc/f/x\`: not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type`,
  ],
  [
    'writing file `x`: Invalid argument',
    'sh',
    'internal',
    `${created}writing file \`x\`: invalid argument: unknown`,
  ],
  [
    'open /proc/sys/net/ipv4/nope: No such file or directory',
    'sh',
    'invalid',
    `${created}open /proc/sys/net/ipv4/nope: no such file or directory: unknown`,
  ],
]

test('createFailure puts what runtimes say into the words that clients match', () => {
  for (const [message, command, kind, text] of table) {
    const error = createFailure({ message, command })
    assert.deepEqual([error.kind, error.message], [kind, text])
  }
})

test('execFailure does the same for an exec', () => {
  const error = execFailure({
    message: 'exec failed: unable to start container process: exec: "a": executable file not found in $PATH',
    command: 'a',
  })
  assert.equal(
    error.message,
    'OCI runtime exec failed: exec failed: unable to start container process: exec: "a": executable file not found in $PATH: unknown',
  )
})

test('an exec blames its directory without the words of a first process', () => {
  const text = 'OCI runtime exec failed: exec failed: unable to start container process: chdir to cwd'
  assert.equal(
    execFailure({ message: 'chdir `/nope`: No such file or directory', command: 'a' }).message,
    `${text} ("/nope") set in config.json failed: no such file or directory: unknown`,
  )
  assert.match(
    execFailure({ message: 'chdir `/etc/passwd`: Not a directory', command: 'a' }).message,
    /not a directory: unknown: Are you trying to mount a directory onto a file/,
  )
  assert.match(
    execFailure({ message: 'open executable: Operation not permitted', command: '' }).message,
    /exec: "": executable file not found in \$PATH: unknown$/,
  )
})

test('lastRuntimeError takes the last error of a log, or the text when it is none', () => {
  const log = [
    '{"level":"error","msg":"first"}',
    '{"level":"error","msg":"second"}',
    '{"level":"warning","msg":"w"}',
  ]
  assert.equal(lastRuntimeError(log.join('\n')), 'second')
  assert.equal(lastRuntimeError(' plain text\n'), 'plain text')
  assert.equal(lastRuntimeError('null\n[]'), 'null\n[]')
})
