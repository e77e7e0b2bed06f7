/** What a container's ports are called in SRV questions: `_80._tcp`, and `_http._tcp` where the host knows the name. */
import { readFileSync } from 'node:fs'
import { errorCode } from '../spec/errors.ts'
import type { SandboxRequest } from '../spec/sandbox-types.ts'

/** The most ports of one container that have names: a range may be long. */
const portLimit = 256

/** The services of a container: its exposed and published ports. */
export function endpointServices(
  request: Pick<SandboxRequest, 'exposedPorts' | 'portBindings'>,
  known: ReadonlyMap<string, string[]>,
): { name: string; port: number }[] {
  const keys = new Set([...request.exposedPorts, ...Object.keys(request.portBindings ?? {})])
  return [...keys].slice(0, portLimit).flatMap((key) => {
    const [text = '', protocol = 'tcp'] = key.toLowerCase().split('/')
    const port = Number(text)
    const names = [text, ...(known.get(`${text}/${protocol}`) ?? [])]
    return names.map((name) => ({ name: `_${name}._${protocol}`, port }))
  })
}

/** The host's /etc/services: `80/tcp` to its names. Empty where there is none. */
export function hostServices(): Map<string, string[]> {
  try {
    return parseServices(readFileSync('/etc/services', 'utf8'))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return new Map()
    throw error
  }
}

/** Parses services(5). */
export function parseServices(text: string): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const [name, port, ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/)
    if (name === undefined || port === undefined) continue
    found.set(
      port,
      [...(found.get(port) ?? []), name, ...aliases].map((one) => one.toLowerCase()),
    )
  }
  return found
}
