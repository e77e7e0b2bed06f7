import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FlagError, flag, parseFlags } from './flags.ts'

const flags = {
  all: flag.bool('', { short: 'a' }),
  tty: flag.bool('', { short: 't' }),
  'sig-proxy': flag.bool('', { initial: true }),
  name: flag.string('', { short: 'n' }),
  env: flag.list('', { short: 'e' }),
  memory: flag.bytes('', { short: 'm' }),
  last: flag.int('', { initial: -1 }),
  weight: flag.uint(16, ''),
  wait: flag.duration(''),
  option: flag.map(''),
  old: flag.bool('', { deprecated: 'use --all instead' }),
}

test('flags are read in every form that pflag knows', () => {
  const words = [
    '-at',
    '--name',
    'x',
    '-e=A=b',
    '-eC',
    '--env',
    'D=',
    '--sig-proxy=false',
    'one',
    '-m',
    '1k',
    '--',
    '-t',
  ]
  const { values, args, given } = parseFlags(flags, words)
  assert.deepEqual(args, ['one', '-t'])
  assert.equal(values.all && values.tty, true)
  assert.equal(values['sig-proxy'], false)
  assert.equal(values.name, 'x')
  assert.deepEqual(values.env, ['A=b', 'C', 'D='])
  assert.equal(values.memory, 1024)
  assert.equal(values.last, -1)
  assert.deepEqual([...given].sort(), ['all', 'env', 'memory', 'name', 'sig-proxy', 'tty'])
})

test('flags after the first argument belong to it when they are not interspersed', () => {
  assert.deepEqual(parseFlags(flags, ['-a', 'image', '-t', '--x'], false).args, ['image', '-t', '--x'])
})

test('help stops the parsing, whatever follows', () => {
  assert.equal(parseFlags({ ...flags, help: flag.bool('') }, ['--help']).help, true)
  assert.equal(parseFlags(flags, ['--help', '--unknown']).help, true)
  assert.equal(parseFlags(flags, ['--help=false', 'x']).help, false)
  assert.deepEqual(parseFlags(flags, ['-h']).warnings, ['Flag shorthand -h has been deprecated, use --help'])
})

test('a deprecated flag works and warns', () => {
  const parsed = parseFlags(flags, ['--old'])
  assert.equal(parsed.values.old, true)
  assert.deepEqual(parsed.warnings, ['Flag --old has been deprecated, use --all instead'])
})

// The texts are those of the docker client 28.2.
const refusals: [string[], string][] = [
  [['--x'], 'unknown flag: --x'],
  [['--x=1'], 'unknown flag: --x'],
  [['-x'], "unknown shorthand flag: 'x' in -x"],
  [['-atx'], "unknown shorthand flag: 'x' in -x"],
  [['--name'], 'flag needs an argument: --name'],
  [['-an'], "flag needs an argument: 'n' in -n"],
  [['--=x'], 'bad flag syntax: --=x'],
  [['---x'], 'bad flag syntax: ---x'],
  [['-m', 'x'], 'invalid argument "x" for "-m, --memory" flag: invalid size: \'x\''],
  [['-m', '1q'], 'invalid argument "1q" for "-m, --memory" flag: invalid suffix: \'q\''],
  [['-a=x'], 'invalid argument "x" for "-a, --all" flag: strconv.ParseBool: parsing "x": invalid syntax'],
  [['--last', 'x'], 'invalid argument "x" for "--last" flag: strconv.ParseInt: parsing "x": invalid syntax'],
  [
    ['--last', '99999999999999999999'],
    'invalid argument "99999999999999999999" for "--last" flag: strconv.ParseInt: parsing "99999999999999999999": value out of range',
  ],
  [
    ['--weight', '-1'],
    'invalid argument "-1" for "--weight" flag: strconv.ParseUint: parsing "-1": invalid syntax',
  ],
  [
    ['--weight', '70000'],
    'invalid argument "70000" for "--weight" flag: strconv.ParseUint: parsing "70000": value out of range',
  ],
  [['--wait', '5'], 'invalid argument "5" for "--wait" flag: time: missing unit in duration "5"'],
  [['--help=x'], 'invalid argument "x" for "--help" flag: strconv.ParseBool: parsing "x": invalid syntax'],
]
for (const [words, message] of refusals) {
  test(`${words.join(' ')} is refused in pflag's words`, () => {
    assert.throws(() => parseFlags(flags, words), { message })
  })
}

test('no command line makes the parser fail other than by FlagError', () => {
  const pieces = [
    '-',
    '--',
    '=',
    'a',
    'n',
    'x',
    'name',
    '-e',
    '--env=',
    '-m',
    '1',
    '"',
    '-at',
    '--all',
    'é',
    ' ',
    '--option=k=v',
  ]
  let seed = 7
  const next = (limit: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed % limit
  }
  for (let round = 0; round < 3000; round++) {
    const words = Array.from({ length: next(6) }, () =>
      Array.from({ length: 1 + next(3) }, () => pieces[next(pieces.length)]).join(''),
    )
    try {
      const { args, given } = parseFlags(flags, words, next(2) === 0)
      assert.ok(args.length + given.size <= words.join('').length)
    } catch (error) {
      assert.ok(error instanceof FlagError, `${JSON.stringify(words)}: ${String(error)}`)
    }
  }
})
