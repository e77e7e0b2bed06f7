/** The `filters` of `GET /events`. */
import type { EventMessage } from '../spec/container-types.ts'

/** Types that a filter of the same name picks by id, id prefix or name. */
const objectTypes = [
  'container',
  'plugin',
  'volume',
  'network',
  'daemon',
  'node',
  'service',
  'secret',
  'config',
]

type FilterMap = ReadonlyMap<string, readonly string[]>

/** Whether an event passes. Different keys must all agree, of one key's values one is enough; all labels must match. */
export function eventPasses(event: EventMessage, filters: FilterMap): boolean {
  return (
    matchesAction(event, filters) &&
    matchesExactly(filters.get('type'), event.Type) &&
    matchesExactly(filters.get('scope'), event.scope) &&
    objectTypes.every((type) => matchesObject(event, type, filters.get(type))) &&
    matchesImage(event, filters.get('image')) &&
    matchesLabels(event.Actor.Attributes, filters.get('label') ?? []) &&
    matchesLabels(event.Actor.Attributes, filters.get('node.name') ?? [])
  )
}

function matchesExactly(wanted: readonly string[] | undefined, value: string): boolean {
  return wanted === undefined || wanted.length === 0 || wanted.includes(value)
}

// `health_status` and `exec_create` have details after a colon; a filter may name the action with or without.
function matchesAction(event: EventMessage, filters: FilterMap): boolean {
  const wanted = filters.get('event') ?? []
  if (wanted.length === 0) return true
  const bare = event.Action.split(':', 1)[0] ?? ''
  return wanted.some((action) => action === event.Action || action === bare)
}

function matchesObject(event: EventMessage, type: string, wanted: readonly string[] | undefined): boolean {
  if (wanted === undefined || wanted.length === 0) return true
  if (event.Type !== type) return false
  const name = event.Actor.Attributes['name'] ?? ''
  return wanted.some((value) => {
    const plain = value.startsWith('/') ? value.slice(1) : value
    return plain === name || (plain !== '' && event.Actor.ID.startsWith(plain))
  })
}

function matchesImage(event: EventMessage, wanted: readonly string[] | undefined): boolean {
  if (wanted === undefined || wanted.length === 0) return true
  const attributes = event.Actor.Attributes
  const image = event.Type === 'image' ? (attributes['name'] ?? '') : (attributes['image'] ?? '')
  const names = [event.Actor.ID, image, withoutTag(event.Actor.ID), withoutTag(image)]
  return wanted.some((value) => names.includes(value))
}

function withoutTag(reference: string): string {
  return reference.replace(/(@sha\d+:[0-9a-f]+|:[^/:]*)$/, '')
}

function matchesLabels(attributes: Record<string, string>, wanted: readonly string[]): boolean {
  return wanted.every((label) => {
    const at = label.indexOf('=')
    if (at < 0) return Object.hasOwn(attributes, label)
    return attributes[label.slice(0, at)] === label.slice(at + 1)
  })
}
