/** An image's history read back as a Dockerfile, as well as it can be: what was copied has only a checksum. */
import { asList, asObject, asText } from '../shared/json.ts'

/** One instruction. */
export type Instruction = {
  /** `RUN`; `#` for a comment. */
  keyword: string
  /** What follows it; further lines are continuations. */
  lines: string[]
  createdMs: number
  /** Which layer it made, from 0; undefined for none. */
  layer?: number
}

const noLayer = /^(?:\/bin\/sh -c )?#\(nop\)\s*/
const shell = /^\/bin\/(?:sh|bash|ash) (?:-[a-z]*c|-o \S+ -c) /
const buildArguments = /^\|(\d+) /
const keywords = [
  'ADD',
  'ARG',
  'CMD',
  'COPY',
  'ENTRYPOINT',
  'ENV',
  'EXPOSE',
  'FROM',
  'HEALTHCHECK',
  'LABEL',
  'MAINTAINER',
  'ONBUILD',
  'RUN',
  'SHELL',
  'STOPSIGNAL',
  'USER',
  'VOLUME',
  'WORKDIR',
] as const
const known = new Set<string>(keywords)

/** The instructions that a configuration's history tells of. */
export function readHistory(config: unknown): Instruction[] {
  let layers = 0
  return asList(asObject(config)['history']).map((entry) => {
    const { created_by: createdBy, created, empty_layer: isEmpty, comment } = asObject(entry)
    const layer = isEmpty === true ? {} : { layer: layers++ }
    const createdMs = Date.parse(asText(created))
    return {
      ...readStep(asText(createdBy), asText(comment)),
      createdMs: Number.isNaN(createdMs) ? 0 : createdMs,
      ...layer,
    }
  })
}

/** The instructions as one text. */
export function dockerfileText(instructions: readonly Instruction[]): string {
  return instructions
    .map(
      ({ keyword, lines }) =>
        `${keyword} ${lines.map((line, place) => (place === 0 ? line : `    ${line}`)).join(' \\\n')}\n`,
    )
    .join('')
}

function readStep(createdBy: string, comment: string): { keyword: string; lines: string[] } {
  const text = createdBy.replace(/\s+# buildkit\s*$/, '').trim()
  if (text === '')
    return { keyword: '#', lines: [comment === '' ? 'a layer without history' : oneLine(comment)] }
  const withoutMark = text.replace(noLayer, '')
  const [, word = '', rest = ''] = /^([A-Za-z]+)\s*([^]*)$/.exec(withoutMark) ?? []
  const keyword = word.toUpperCase()
  if (known.has(keyword) && word === keyword) {
    if (keyword === 'RUN') return { keyword, lines: commandLines(withoutArguments(rest)) }
    return {
      keyword,
      lines: [keyword === 'ADD' || keyword === 'COPY' ? copied(rest) : plainText(oneLine(rest))],
    }
  }
  return { keyword: 'RUN', lines: commandLines(withoutArguments(text)) }
}

/** A command without the build arguments before it and the shell that ran it. */
function withoutArguments(text: string): string {
  const match = buildArguments.exec(text)
  if (match === null) return text.replace(shell, '')
  // "|2 A=1 B=2 /bin/sh -c command": values may have spaces, the shell is what follows them.
  const start = text.search(/\/bin\/(?:sh|bash|ash) -/)
  return start < 0 ? text : text.slice(start).replace(shell, '')
}

// "file:0123... in /path": what the classic builder writes.
function copied(text: string): string {
  return oneLine(text).replace(/^((?:file|dir|multi):)([0-9a-f]{12})[0-9a-f]* in /, '$1$2… ')
}

// "map[80/tcp:{} 443/tcp:{}]" and "[/data]": what builders print of Go's values.
function plainText(text: string): string {
  const ports = /^map\[([^\]]*)\]$/.exec(text)?.[1]
  return ports === undefined ? text : ports.replaceAll(':{}', '')
}

function commandLines(text: string): string[] {
  const lines = text
    .replace(/[\t ]*\\?\r?\n\s*/g, '\n')
    .split('\n')
    .flatMap(splitCommand)
    .map((line) => line.replace(/[\t ]+/g, ' ').trim())
    .filter((line) => line !== '')
  return lines.length === 0 ? [''] : lines
}

/** Splits before `&&` outside of quotes, where a line is too long to read. */
function splitCommand(line: string): string[] {
  if (line.length <= 80) return [line]
  const parts: string[] = []
  let quote = ''
  let start = 0
  for (let place = 0; place < line.length; place++) {
    const character = line[place] ?? ''
    if (character === '\\') place += 1
    else if (quote !== '') quote = character === quote ? '' : quote
    else if (character === '"' || character === "'") quote = character
    else if (line.startsWith('&&', place)) {
      parts.push(line.slice(start, place))
      start = place
      place += 1
    }
  }
  return [...parts, line.slice(start)]
}

function oneLine(text: string): string {
  return text.replace(/\s*\\?\r?\n\s*/g, ' ').trim()
}
