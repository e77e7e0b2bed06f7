/** The `filters` of `GET /events`. */
import type { EventMessage } from '../spec/container-types.ts'

/** Keys that pick events by the start of their actor's id or name, whatever the actor is. */
const actorKeys = [
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

/** Actions that are followed by a colon and details; a filter that names one takes all its values for beginnings. */
const detailedActions = ['health_status', 'exec_create', 'exec_start']

type FilterMap = ReadonlyMap<string, readonly string[]>

/** Whether an event passes. Different keys must all agree, of one key's values one is enough; all labels must match. */
export function eventPasses(event: EventMessage, filters: FilterMap): boolean {
  return (
    matchesAction(event, filters) &&
    matchesExactly(filters.get('type'), event.Type) &&
    matchesExactly(filters.get('scope'), event.scope) &&
    actorKeys.every((key) => matchesActor(event, filters.get(key))) &&
    matchesImage(event, filters.get('image')) &&
    matchesLabels(event.Actor.Attributes, filters.get('label') ?? [])
  )
}

function matchesExactly(wanted: readonly string[] | undefined, value: string): boolean {
  return wanted === undefined || wanted.length === 0 || wanted.includes(value)
}

function matchesAction(event: EventMessage, filters: FilterMap): boolean {
  const wanted = filters.get('event') ?? []
  if (!wanted.some((action) => detailedActions.includes(action))) return matchesExactly(wanted, event.Action)
  return wanted.some((action) => event.Action.startsWith(action))
}

function matchesActor({ Actor }: EventMessage, wanted: readonly string[] | undefined): boolean {
  if (wanted === undefined || wanted.length === 0) return true
  const name = Actor.Attributes['name'] ?? ''
  return wanted.some((value) => Actor.ID.startsWith(value) || name.startsWith(value))
}

function matchesImage(event: EventMessage, wanted: readonly string[] | undefined): boolean {
  if (wanted === undefined || wanted.length === 0) return true
  const attributes = event.Actor.Attributes
  const image = event.Type === 'image' ? (attributes['name'] ?? '') : (attributes['image'] ?? '')
  const names = [event.Actor.ID, image, withoutTag(event.Actor.ID), withoutTag(image)]
  return wanted.some((value) => names.includes(value))
}

function withoutTag(reference: string): string {
  return reference.replace(/(:[^/:@]*)?(@sha\d+:[0-9a-f]+)?$/, '')
}

function matchesLabels(attributes: Record<string, string>, wanted: readonly string[]): boolean {
  return wanted.every((label) => {
    const at = label.indexOf('=')
    if (at < 0) return Object.hasOwn(attributes, label)
    return attributes[label.slice(0, at)] === label.slice(at + 1)
  })
}
