import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ContainerConfig } from '../spec/container-config.ts'
import { applyChanges, mergeConfig } from './image-changes.ts'

const empty = ContainerConfig.parse({})

const cases: [string[], Partial<ContainerConfig>][] = [
  [['CMD echo hi'], { Cmd: ['/bin/sh', '-c', 'echo hi'] }],
  [['cmd ["a", "b"]'], { Cmd: ['a', 'b'] }],
  [['CMD'], { Cmd: ['/bin/sh', '-c'] }],
  [['ENTRYPOINT'], {}],
  [['CMD -- ["a"] b'], { Cmd: ['a'] }],
  [['CMD a \\', '# comment', '', '  b'], { Cmd: ['/bin/sh', '-c', 'a   b'] }],
  [['# escape=`', 'WORKDIR c:\\x'], { WorkingDir: '/c:\\x' }],
  [
    ['ENV A="x y"', 'EXPOSE ${P:-80}', 'VOLUME ["$A"]'],
    { Env: ['A=x y'], ExposedPorts: { '80/tcp': {} }, Volumes: { 'x y': {} } },
  ],
  [['ENV "A B"=1 C\\ D=2'], { Env: ['A B=1', 'C D=2'] }],
  [['CMD ["x"]', 'ENTRYPOINT ["e"]'], { Entrypoint: ['e'], Cmd: ['x'] }],
  [['ENV A=1 B="two words" C=\'$A\''], { Env: ['A=1', 'B=two words', 'C=$A'] }],
  [['ENV A old style value'], { Env: ['A=old style value'] }],
  [['ENV A=1', 'ENV B=${A}2 C=${D:-none} E=${A:+set}'], { Env: ['A=1', 'B=12', 'C=none', 'E=set'] }],
  [['LABEL a=b \\\n  c="d e"'], { Labels: { a: 'b', c: 'd e' } }],
  [
    ['EXPOSE 80 443/tcp 53/udp 8000-8001'],
    { ExposedPorts: { '80/tcp': {}, '443/tcp': {}, '53/udp': {}, '8000/tcp': {}, '8001/tcp': {} } },
  ],
  [['VOLUME /a /b', 'VOLUME ["/c"]'], { Volumes: { '/a': {}, '/b': {}, '/c': {} } }],
  [['WORKDIR /a', 'WORKDIR b', '# a comment', 'WORKDIR ../c'], { WorkingDir: '/a/c' }],
  [['USER 1000:1000', 'STOPSIGNAL SIGINT'], { User: '1000:1000', StopSignal: 'SIGINT' }],
  [['ONBUILD RUN make'], { OnBuild: ['RUN make'] }],
  [
    ['HEALTHCHECK NONE'],
    {
      Healthcheck: { Test: ['NONE'], Interval: 0, Timeout: 0, StartPeriod: 0, StartInterval: 0, Retries: 0 },
    },
  ],
  [
    ['HEALTHCHECK --interval=5s --retries=3 CMD curl x'],
    {
      Healthcheck: {
        Test: ['CMD-SHELL', 'curl x'],
        Interval: 5e9,
        Timeout: 0,
        StartPeriod: 0,
        StartInterval: 0,
        Retries: 3,
      },
    },
  ],
]

for (const [changes, expected] of cases) {
  test(`applyChanges() of ${JSON.stringify(changes)}`, () => {
    assert.deepEqual(applyChanges(empty, changes), { ...empty, ...expected })
  })
}

test('an entry point resets an inherited command', () => {
  const changed = applyChanges({ ...empty, Cmd: ['old'] }, ['ENTRYPOINT ["e"]'])
  assert.deepEqual([changed.Entrypoint, changed.Cmd], [['e'], null])
})

const refused: [string, RegExp][] = [
  ['RUN make', /^EngineError: RUN is not a valid change command$/],
  ['ENV', /^EngineError: ENV requires at least one argument$/],
  ['ENV A', /^EngineError: ENV must have two arguments$/],
  ['LABEL a=b c', /^EngineError: Syntax error - can't find = in "c"\. Must be of the form: name=value$/],
  ['EXPOSE http', /^EngineError: invalid containerPort: http$/],
  ['EXPOSE 1/icmp', /^EngineError: invalid proto: icmp$/],
  ['ENV A="open', /matching double-quote$/],
  ['ONBUILD FROM x', /FROM isn't allowed as an ONBUILD trigger/],
  ['HEALTHCHECK --bad=1 CMD x', /Unknown flag: bad/],
  ['CMD --x y', /Unknown flag: x/],
  ['CMD ["a", 1]', /arrays must be comprised of strings only/],
  ['ONBUILD ENV a', /ENV must have two arguments/],
  ['STOPSIGNAL nosuch', /invalid signal: nosuch/],
  ['WORKDIR ""', /cannot normalize nothing/],
  ['EXPOSE ENV\nRUN x', /RUN is not a valid change command/],
  ['USER ${A', /failed to process "\$\{A": missing ':' in substitution/],
  ['USER ${A:-', /syntax error: missing '}'/],
  ['USER ${A:=b}', /unsupported modifier \(=\) in substitution/],
  ['# escape=x\nUSER a', /invalid escape token 'x' does not match ` or \\/],
  [`USER a\nUSER ${'x'.repeat(66_000)}`, /dockerfile line greater than max allowed size of 65535/],
]

for (const [change, message] of refused) {
  test(`applyChanges() refuses ${change}`, () => assert.throws(() => applyChanges(empty, [change]), message))
}

test('mergeConfig() fills in what the changed configuration leaves unset', () => {
  const base = ContainerConfig.parse({
    Env: ['A=1', 'B=2'],
    Cmd: ['run'],
    User: 'u',
    Labels: { a: '1', b: '2' },
    Volumes: { '/v': {} },
  })
  const merged = mergeConfig(ContainerConfig.parse({ Env: ['A=9'], Labels: { a: '9' } }), base)
  assert.deepEqual(
    [merged.Env, merged.Cmd, merged.User, merged.Labels, merged.Volumes],
    [['A=9', 'B=2'], ['run'], 'u', { a: '9', b: '2' }, { '/v': {} }],
  )
})

test('what changes may not be is refused in the words of the builder', () => {
  const refused: [string, RegExp][] = [
    [' ', /^file with no instructions$/],
    ['# only words', /^file with no instructions$/],
    ['USER', /^USER requires exactly one argument$/],
    ['STOPSIGNAL', /^STOPSIGNAL requires exactly one argument$/],
    ['LABEL', /^LABEL requires at least one argument$/],
    ['HEALTHCHECK --retries=-1 CMD true', /^--retries cannot be negative \(-1\)$/],
    ['HEALTHCHECK --retries=x CMD true', /^strconv\.ParseInt: parsing "x": invalid syntax$/],
    ['HEALTHCHECK --what=1 CMD true', /^Unknown flag: what$/],
    ['SHELL ["sh"]', /^SHELL is not a valid change command$/],
  ]
  for (const [change, message] of refused) {
    assert.throws(() => applyChanges(ContainerConfig.parse({}), [change]), { message })
  }
  assert.equal(applyChanges(ContainerConfig.parse({}), ['STOPSIGNAL SIGUSR1']).StopSignal, 'SIGUSR1')
  assert.deepEqual(applyChanges(ContainerConfig.parse({}), []), ContainerConfig.parse({}))
})
