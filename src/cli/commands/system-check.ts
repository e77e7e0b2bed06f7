/** `system check`: what is lost, damaged or left over. Docker has no such command. */
import { flag } from '../../lib/flags.ts'
import type { CheckArea, CheckFinding, CheckReport } from '../../spec/check-types.ts'
import { defineCommand } from '../command.ts'
import { formatList } from '../format.ts'
import type { ListFormat } from '../format.ts'

const repairs: Record<CheckFinding['Repair'], string> = {
  possible: 'with --repair',
  done: 'done',
  failed: 'failed',
  impossible: 'by hand',
}

const findings: ListFormat<CheckFinding> = {
  type: 'system.checkFinding',
  fields: {
    Area: { header: 'AREA', value: (row) => row.Area },
    Kind: { header: 'PROBLEM', value: (row) => row.Kind },
    Object: { header: 'OBJECT', value: (row) => row.Object },
    Repair: { header: 'REPAIR', value: (row) => repairs[row.Repair] },
    Detail: { header: 'DETAIL', value: (row) => row.Detail },
    Advice: { header: 'ADVICE', value: (row) => row.Advice },
  },
  table: '{{.Area}}\t{{.Kind}}\t{{.Object}}\t{{.Repair}}\t{{.Detail}}\t{{.Advice}}',
  raw: 'area: {{.Area}}\nproblem: {{.Kind}}\nobject: {{.Object}}\nrepair: {{.Repair}}\ndetail: {{.Detail}}\nadvice: {{.Advice}}\n',
}

/** What the objects of an area are called: one, and several. */
const words: Record<CheckArea, [string, string]> = {
  database: ['database', 'databases'],
  content: ['blob', 'blobs'],
  layers: ['layer', 'layers'],
  images: ['image', 'images'],
  volumes: ['volume', 'volumes'],
  containers: ['container', 'containers'],
}

const isOpen = ({ Repair: repair }: CheckFinding) => repair !== 'done'

function summary({ Checked: checked, Findings: found, Deep: deep }: CheckReport): string {
  const parts = Object.entries(words).map(([area, [one, several]]) => {
    const count = new Map(Object.entries(checked)).get(area) ?? 0
    return `${count} ${count === 1 ? one : several}`
  })
  const list = `${parts.slice(0, -1).join(', ')} and ${parts.at(-1) ?? ''}`
  const open = found.filter(isOpen).length
  const repaired = found.length - open
  const outcome = [
    ...(repaired > 0 ? [`${repaired} repaired`] : []),
    ...(open > 0 ? [`${open} wrong`] : []),
    ...(found.length === 0 ? ['nothing is wrong'] : []),
  ]
  return `Checked ${list}${deep ? ', contents included' : ''}: ${outcome.join(', ')}.`
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    deep: flag.bool('Read every blob and layer and compare it with its digest'),
    repair: flag.bool('Repair what can be: remove what nobody owns, make again what was lost'),
    format: flag.string(
      "Format output: 'table' (with column headers), 'json' (one finding a line), or a Go template for each finding",
    ),
  },
  count: { min: 0, max: 0 },
  run: async (cli, { flags }) => {
    const query = { deep: flags.deep ? '1' : '0', repair: flags.repair ? '1' : '0' }
    const report = await cli.client.json<CheckReport>('POST', '/wharf/system/check', { query })
    const isPlain = flags.format === '' || flags.format === 'table'
    if (!isPlain || report.Findings.length > 0)
      cli.stdout.write(formatList(findings, flags.format, report.Findings))
    if (isPlain) cli.stdout.write(`${report.Findings.length > 0 ? '\n' : ''}${summary(report)}\n`)
    return report.Findings.some(isOpen) ? 1 : 0
  },
})
