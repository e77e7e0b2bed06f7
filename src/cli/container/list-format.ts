/** The rows of `ps`. */
import type { ContainerSummary, PortSummary } from '../../spec/container-types.ts'
import { ellipsis } from '../../lib/display-width.ts'
import { humanDuration } from '../../lib/duration.ts'
import { GoNil } from '../../lib/go-value.ts'
import { quoteGo } from '../../lib/go-quote.ts'
import { humanSize } from '../../lib/units.ts'
import type { ListFormat } from '../format.ts'
import { goTime } from '../go-time.ts'
import { joinLabels } from '../labels.ts'

/** The first twelve digits of an id. */
export function shortId(id: string): string {
  return id.replace(/^\w+:/, '').slice(0, 12)
}

function withHost(host: string, port: string): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function compare(a: string | number, b: string | number): number {
  return a < b ? -1 : a > b ? 1 : 0
}

type Group = { ip: string; protocol: string; first: number; last: number }

function groupText({ ip, protocol, first, last }: Group): string {
  const range = first === last ? String(first) : `${first}-${last}`
  return `${ip === '' ? '' : `${withHost(ip, range)}->`}${range}/${protocol}`
}

/** Ports as `ps` shows them: consecutive ones as ranges, those published elsewhere singly at the end. */
export function displayPorts(ports: readonly PortSummary[]): string {
  const sorted = [...ports].sort(
    (a, b) =>
      compare(a.PrivatePort, b.PrivatePort) ||
      compare(a.IP ?? '', b.IP ?? '') ||
      compare(a.PublicPort ?? 0, b.PublicPort ?? 0) ||
      compare(a.Type, b.Type),
  )
  const groups = new Map<string, Group>()
  const result: string[] = []
  const moved: string[] = []
  for (const { IP = '', PrivatePort, PublicPort = 0, Type } of sorted) {
    if (IP !== '' && PublicPort !== PrivatePort) {
      moved.push(`${withHost(IP, String(PublicPort))}->${PrivatePort}/${Type}`)
      continue
    }
    const key = IP === '' ? Type : `${IP}/${Type}`
    const group = groups.get(key)
    if (group !== undefined && PrivatePort === group.last + 1) group.last = PrivatePort
    else {
      if (group !== undefined) result.push(groupText(group))
      const next = { ip: IP, protocol: Type, first: PrivatePort, last: PrivatePort }
      if (group === undefined) groups.set(key, next)
      else Object.assign(group, next)
    }
  }
  return [...result, ...Array.from(groups.values(), groupText), ...moved].join(', ')
}

function sizeText(container: ContainerSummary): string {
  const own = humanSize(container.SizeRw ?? 0, 3)
  const whole = container.SizeRootFs ?? 0
  return whole > 0 ? `${own} (virtual ${humanSize(whole, 3)})` : own
}

function imageText(container: ContainerSummary, truncate: boolean): string {
  const { Image, ImageID } = container
  if (Image === '') return '<no image>'
  if (!truncate) return Image
  const short = shortId(ImageID)
  if (short !== '' && short === shortId(Image)) return short
  const at = Image.indexOf('@')
  if (at < 0) return Image
  const name = Image.slice(0, at)
  return name.lastIndexOf(':') > name.lastIndexOf('/') ? name : Image
}

function namesText(container: ContainerSummary, truncate: boolean): string {
  const names = container.Names.map((name) => name.replace(/^\//, ''))
  // Names with a slash are those of links.
  const own = truncate ? names.find((name) => !name.includes('/')) : undefined
  return own ?? names.join(',')
}

function mountsText(container: ContainerSummary, truncate: boolean): string {
  const names = container.Mounts.map((mount) => mount.Name || mount.Source)
  return names.map((name) => (truncate ? ellipsis(name, 15) : name)).join(',')
}

function platformText(container: ContainerSummary): string {
  const platform = container.ImageManifestDescriptor?.['platform']
  if (typeof platform !== 'object' || platform === null) return ''
  const { os, architecture, variant } = { os: '', architecture: '', variant: '', ...platform }
  return [os, architecture, variant].filter((part) => part !== '').join('/')
}

/** The fields of a row. */
export function containerList(options: { truncate: boolean; size: boolean }): ListFormat<ContainerSummary> {
  const { truncate, size } = options
  return {
    type: '*formatter.ContainerContext',
    fields: {
      ID: { header: 'CONTAINER ID', value: ({ Id }) => (truncate ? shortId(Id) : Id) },
      Names: { header: 'NAMES', value: (row) => namesText(row, truncate) },
      Image: { header: 'IMAGE', value: (row) => imageText(row, truncate) },
      Platform: { header: 'PLATFORM', value: (row) => platformText(row) || new GoNil('pointer') },
      Command: {
        header: 'COMMAND',
        value: ({ Command }) => quoteGo(truncate ? ellipsis(Command, 20) : Command),
      },
      CreatedAt: { header: 'CREATED AT', value: ({ Created }) => goTime(Created) },
      RunningFor: {
        header: 'CREATED',
        value: ({ Created }) => `${humanDuration(Date.now() - Created * 1000)} ago`,
      },
      Ports: { header: 'PORTS', value: ({ Ports }) => displayPorts(Ports) },
      State: { header: 'STATE', value: ({ State }) => State },
      Status: { header: 'STATUS', value: ({ Status }) => Status },
      HealthStatus: {
        header: 'HEALTH STATUS',
        value: ({ Health }) => (Health === undefined || Health.Status === 'none' ? '' : Health.Status),
      },
      Size: { header: 'SIZE', value: sizeText },
      Labels: { header: 'LABELS', value: ({ Labels }) => joinLabels(Labels) },
      Label: {
        header: '',
        value:
          ({ Labels }) =>
          (name: string) =>
            Labels?.[name] ?? '',
      },
      Mounts: { header: 'MOUNTS', value: (row) => mountsText(row, truncate) },
      LocalVolumes: {
        header: 'LOCAL VOLUMES',
        value: ({ Mounts }) => String(Mounts.filter((mount) => mount.Driver === 'local').length),
      },
      Networks: {
        header: 'NETWORKS',
        value: ({ NetworkSettings }) => Object.keys(NetworkSettings?.Networks ?? {}).join(','),
      },
    },
    table:
      '{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}' +
      (size ? '\t{{.Size}}' : ''),
    raw:
      'container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\n' +
      'state: {{- pad .State 1 0}}\nstatus: {{- pad .Status 1 0}}\nnames: {{.Names}}\n' +
      `labels: {{- pad .Labels 1 0}}\nports: {{- pad .Ports 1 0}}\n${size ? 'size: {{.Size}}\n' : ''}`,
  }
}
