/**
 * `commit --change` and `import --change` with all that can be written there, beside a real dockerd: the same
 * configuration comes of it, or the same words.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { eachLimited } from '../../src/lib/each-limited.ts'
import { busyboxArchive } from '../fixtures/busybox-image.ts'
import { hasDockerd, startDockerd, type Dockerd } from '../fixtures/dockerd.ts'
import { askApi, startDaemon, type ApiAnswer, type TestDaemon } from '../fixtures/test-daemon.ts'
import { tarOf } from '../integration/pull/tars.ts'

type Ask = (method: string, path: string, body?: unknown) => Promise<ApiAnswer>

let daemon: TestDaemon | undefined
let dockerd: Dockerd | undefined
let engines: Ask[] = []
let archive: Buffer

const container = {
  Image: 'busybox',
  Cmd: ['sh'],
  Env: ['A=1', 'B=two words', 'E=', 'P=80 81'],
  Labels: { l: '1' },
  WorkingDir: '/w',
}

before(async () => {
  if (!hasDockerd) return
  daemon = await startDaemon()
  dockerd = await startDockerd()
  archive = await tarOf({ file: Buffer.from('content') })
  const sockets = [dockerd.socket.replace('unix://', ''), daemon.socketPath]
  engines = sockets.map(
    (socketPath): Ask =>
      async (method, path, body) =>
        askApi(socketPath, { method, path: `/v1.41${path}`, body }),
  )
  const busybox = await busyboxArchive()
  for (const ask of engines) {
    await ask('POST', '/images/load?quiet=1', busybox)
    assert.equal((await ask('POST', '/containers/create?name=box', container)).status, 201)
  }
})

after(async () => {
  await dockerd?.[Symbol.asyncDispose]()
  await daemon?.[Symbol.asyncDispose]()
})

/** The configuration of an image, or what was said instead of making it. */
async function outcome(ask: Ask, path: string, body: unknown): Promise<unknown> {
  const made = await ask('POST', path, body)
  const { Id, message } = made.json as { Id?: string; message?: string }
  const id = Id ?? /sha256:[0-9a-f]{64}/.exec(made.body)?.[0]
  if (id === undefined) return `${made.status} ${message ?? made.body}`
  const { json } = await ask('GET', `/images/${id}/json`)
  await ask('DELETE', `/images/${id}`)
  const { Hostname: _name, Image: _image, ...config } = (json as { Config: Record<string, unknown> }).Config
  return config
}

const changesOf = (changes: readonly string[]) =>
  changes.map((change) => `&changes=${encodeURIComponent(change)}`).join('')

const commit = async (ask: Ask, changes: readonly string[], body: unknown = null) =>
  outcome(ask, `/commit?container=box${changesOf(changes)}`, body)

/** What engines of today say, or allow, otherwise than this dockerd. */
const today: [RegExp, string][] = [
  [/Invalid (containerPort|hostPort|proto|ranges)/, 'invalid $1'],
  [/Invalid ip address/, 'invalid IP address'],
  [/No port/, 'no port'],
  [/^400 (\S+)( is not a valid change command)$/s, '400 $1$2'],
]

function asToday(found: unknown): unknown {
  if (typeof found !== 'string') return found
  return today
    .reduce((text, [old, now]) => text.replace(old, now), found)
    .replace(/^400 (.*)(?= is not a valid change command$)/s, (text) => text.toLowerCase())
}

/** Cases, one a line; `¶` parts changes of one commit, `⏎` is a line's end and `→` a tab. */
function casesOf(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => line.replace(/^ {4}/, ''))
    .map((line) => line.replaceAll('⏎', '\n').replaceAll('→', '\t').split(' ¶ '))
}

const instructions =
  'CMD ENTRYPOINT ENV EXPOSE LABEL ONBUILD USER VOLUME WORKDIR HEALTHCHECK SHELL RUN FROM nosuch'

const anyArguments = casesOf(String.raw`
    ""
    []
    ["a"
    ["a", 1]
    ["a"] b
    {"a":1}
    'open
    $
    ${'$'}{A
    \
    a\ b
    --x=1 y
    --x
    --
    -- y
    a=$A$B
    a="x y" b='z $A'
    → x → y `)

for (const name of instructions.split(' ')) {
  compare(`${name} with arguments of any kind`, [
    [name],
    [`${name} `],
    ...anyArguments.map(([text]) => [`${name} ${text}`]),
  ])
}

compare(
  'lines, comments and directives',
  [
    [],
    [''],
    ['  '],
    ['CMD a\r', 'USER b'],
    ['\u{feff}CMD a'],
    ['CMD\u{a0}a'],
    ['USER \u{2003}a\u{2003}'],
    [`USER ${'x'.repeat(65_530)}`],
    [`USER ${'x'.repeat(65_531)}`],
    ['USER a', `USER ${'x'.repeat(65_531)}`],
  ],
  String.raw`
    #
    # c
      # c⏎ USER a
    CMD a ¶  ¶   ¶ USER b
    USER a\ ¶ b
    USER a\
    \
    USER a\\ ¶ USER b
    USER a\→ ¶ b
    CMD a \ ¶ # c ¶ b
    CMD a \ ¶  ¶ b
    CMD a && \⏎  b
    # escape=${'`'} ¶ USER a${'`'} ¶ b
    # ESCAPE = ${'`'} ¶ WORKDIR c:\x
    # escape=x ¶ USER a
    # escape=\ ¶ # escape=${'`'} ¶ USER a
    # syntax=x ¶ # escape=${'`'} ¶ WORKDIR c:\x
    # other=x ¶ # escape=${'`'} ¶ WORKDIR c:\x
    # escape=${'`'} ¶ ENV a=b${'`'} c d="e${'`'}"f"
    RUN x ¶ ENV
    ENV ¶ RUN x
    ENV a ¶ RUN x
    EXPOSE x ¶ ENV
    cMd x
       cmd x
    cmd→x
    "CMD" x
    CMD["a"]`,
)

compare(
  'CMD and ENTRYPOINT',
  [],
  String.raw`
    CMD a ¶ ENTRYPOINT b
    ENTRYPOINT b ¶ CMD a
    CMD ¶ ENTRYPOINT b
    CMD [] ¶ ENTRYPOINT b
    ENTRYPOINT b ¶ CMD
    ENTRYPOINT b ¶ CMD []
    ENTRYPOINT ["x"] ¶ ENTRYPOINT
    CMD x ¶ CMD []
    CMD a "b c" $A
    CMD ["a", "\u0041"]
    CMD ["a\"]", "b"] rest
    CMD ["a]"] x]
    CMD [{"a":"]"}, "x"]
    CMD [["a"]]
    CMD [null]
    CMD ["a" "b"]
    CMD ["\ud800"]
    CMD ["a",\⏎"b"]
    CMD -- ["a"]
    CMD --x="a b" c
    CMD "--x" y`,
)

compare(
  'ENV and LABEL',
  [],
  String.raw`
    ENV C=1 D=$C ¶ ENV E=$C
    ENV A=2 F=$A
    ENV A $B  x
    ENV $A=1
    ENV $NO=1
    ENV "A C"=1
    ENV X="a\"b\c\$A"
    ENV X='a\'b
    ENV X="a\
    ENV X=$1 Y=$@ Z=$$
    ENV X=${'$'}{A:+alt} Y=${'$'}{E:+alt}
    ENV X=${'$'}{NO:?msg}
    ENV X=${'$'}{NO:?}
    ENV X=${'$'}{E:?}
    ENV X=${'$'}{E?}
    ENV X=${'$'}{NO:-${'$'}{A}}
    ENV X=${'$'}{NO:-"a b"}
    ENV X=${'$'}{NO:-'x}
    ENV X=${'$'}{}
    ENV X=${'$'}{ A}
    ENV X=${'$'}{A.B}
    ENV X=${'$'}{1A}
    ENV X=$É
    ENV X=a A=y A=z
    ENV X it's
    ENV X =x
    ENV -- a=b
    LABEL "a b"=c d\ e='f"g'
    LABEL a=b "c"
    LABEL a"=b"=c
    LABEL "=x
    LABEL ""=x
    LABEL $A=b l=$B
    LABEL z=1 y=2 m=3
    LABEL a="x\⏎y"
    LABEL a="x⏎y"
    LABEL a="1" \⏎  # x⏎ c=3
    LABEL a= b
    LABEL a =b`,
)

compare(
  'EXPOSE',
  [],
  String.raw`
    EXPOSE 90 80 100/udp 80
    EXPOSE 80/TCP 80/icmp
    EXPOSE 80-82
    EXPOSE 82-80
    EXPOSE 0 65535
    EXPOSE 65536
    EXPOSE 1.2.3.4:80:90
    EXPOSE 8080:80
    EXPOSE 80:
    EXPOSE 1.2.3.4::80/sctp
    EXPOSE $P/udp
    EXPOSE "$P"
    EXPOSE $NO 80
    EXPOSE 8$A "81"
    EXPOSE "80 81"
    EXPOSE /tcp
    EXPOSE 80-
    EXPOSE 080
    EXPOSE 0x50
    EXPOSE [::1]:80:80
    EXPOSE [::1:80:90
    EXPOSE [::1]x:80:90
    EXPOSE a:80:80
    EXPOSE x:90
    EXPOSE 80-81:90-91
    EXPOSE 80-85:90
    EXPOSE 80:90-91`,
)

compare(
  'USER, VOLUME and WORKDIR',
  [],
  String.raw`
    USER $A:$B
    USER a b c
    USER "a\$A$A"
    USER ["a"]
    USER $NO
    USER -- --x
    VOLUME ["a b", "c"] ¶ VOLUME /d
    VOLUME ["$A", " e "]
    VOLUME ["a", ""]
    VOLUME $NO
    VOLUME "a b"
    VOLUME ["$B"]
    WORKDIR /
    WORKDIR .
    WORKDIR ..
    WORKDIR a/
    WORKDIR //a//b
    WORKDIR "/a b"
    WORKDIR $NO
    WORKDIR a ¶ WORKDIR b`,
)

compare(
  'HEALTHCHECK',
  [],
  String.raw`
    HEALTHCHECK none
    HEALTHCHECK NONE x
    HEALTHCHECK NONE []
    HEALTHCHECK --nope=1 NONE
    HEALTHCHECK cmd a b "c
    HEALTHCHECK CMD
    HEALTHCHECK CMD ["a", "b"] c
    HEALTHCHECK CMD []
    HEALTHCHECK CMD [1]
    HEALTHCHECK CMD --x y
    HEALTHCHECK --interval=1s --timeout=1h1m1.5s --start-period=3s --retries=+4 CMD x
    HEALTHCHECK --interval="1s" --retries='2' CMD x
    HEALTHCHECK --interval=1 CMD x
    HEALTHCHECK --interval=x FOO
    HEALTHCHECK --interval= CMD x
    HEALTHCHECK --interval CMD x
    HEALTHCHECK --interval=-1s CMD x
    HEALTHCHECK --timeout=999us CMD x
    HEALTHCHECK --interval=1x --retries=x CMD a
    HEALTHCHECK --interval=1s --interval=2s CMD x
    HEALTHCHECK --interval=1s
    HEALTHCHECK --INTERVAL=1s CMD x
    HEALTHCHECK --interval=1s -- CMD x
    HEALTHCHECK --retries=x CMD x
    HEALTHCHECK --retries= CMD x
    HEALTHCHECK --retries=99999999999 CMD x
    HEALTHCHECK --interval=1s CMD x ¶ HEALTHCHECK --timeout=2s CMD y`,
)

compare(
  'ONBUILD',
  [['  ONBUILD   RUN x  ']],
  String.raw`
    ONBUILD onbuild x
    ONBUILD from
    ONBUILD Maintainer x
    ONBUILD run   ls  -l ¶ ONBUILD -- USER a
    ONBUILD ENV
    ONBUILD ENV a
    ONBUILD ONBUILD ENV a
    ONBUILD LABEL a=b c
    ONBUILD COPY [1]
    ONBUILD SHELL [1]
    ONBUILD HEALTHCHECK CMD [1]
    ONBUILD USER [1]
    ONBUILD nosuch [1]
    ONBUILD COPY --from=x a b
    ONBUILD CMD a \ ¶ b`,
)

function compare(name: string, cases: string[][], more = ''): void {
  test(name, { skip: !hasDockerd }, async () => {
    await eachLimited([...cases, ...casesOf(more)], 4, async (changes) => {
      const [theirs, ours] = await Promise.all(engines.map(async (ask) => commit(ask, changes)))
      assert.deepEqual(asToday(ours), asToday(theirs), JSON.stringify(changes))
    })
  })
}

test('what engines of today allow beside', { skip: !hasDockerd }, async () => {
  const found = await Promise.all(
    [
      'STOPSIGNAL SIGRTMIN+3',
      'STOPSIGNAL nosuch',
      'STOPSIGNAL',
      'HEALTHCHECK --start-interval=5s --interval=0 --retries=0 CMD x',
      'HEALTHCHECK --retries=-1 CMD x',
    ].map(async (change) => commit(engines[1]!, [change])),
  )
  const [signal, ...rest] = found as [Record<string, unknown>, ...unknown[]]
  assert.equal(signal['StopSignal'], 'SIGRTMIN+3')
  const health = rest[2] as Record<string, unknown>
  assert.deepEqual(health['Healthcheck'], { Test: ['CMD-SHELL', 'x'], StartInterval: 5e9 })
  assert.deepEqual(
    [rest[0], rest[1], rest[3]],
    [
      '400 invalid signal: nosuch',
      '400 STOPSIGNAL requires exactly one argument',
      '400 --retries cannot be negative (-1)',
    ],
  )
})

test('a configuration in the body stands for the container’s', { skip: !hasDockerd }, async () => {
  const bodies = [
    undefined,
    {},
    { Unknown: 1 },
    { Cmd: null },
    { user: 'u' },
    { Cmd: ['x'], Entrypoint: [], Env: ['A=2', 'N=3'] },
    { Healthcheck: { Interval: 5e9 }, Labels: {}, Volumes: { '/v': {} } },
  ]
  for (const body of bodies) {
    const [theirs, ours] = await Promise.all(engines.map(async (ask) => commit(ask, ['USER $A-$N'], body)))
    assert.deepEqual(ours, theirs, JSON.stringify(body))
  }
})

test('import takes the same changes', { skip: !hasDockerd }, async () => {
  const cases = [
    ['CMD'],
    ['ENTRYPOINT'],
    ['ENV'],
    ['RUN x'],
    ['EXPOSE 80', 'LABEL b=1 a=2', 'USER ${U:-me}', 'WORKDIR x'],
    ['HEALTHCHECK --interval=1s CMD x', 'VOLUME /v', 'ONBUILD RUN y', 'ENV A=b', 'CMD ["c"]', 'ENTRYPOINT e'],
  ]
  for (const changes of cases) {
    const [theirs, ours] = await Promise.all(
      engines.map(async (ask) => outcome(ask, `/images/create?fromSrc=-${changesOf(changes)}`, archive)),
    )
    assert.deepEqual(asToday(ours), asToday(theirs), JSON.stringify(changes))
  }
})
