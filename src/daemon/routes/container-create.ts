/** Making containers. */
import type { ContainerEngine } from '../../containers/contract.ts'
import { ContainerConfig, HostConfig, NetworkingConfig } from '../../spec/container-config.ts'
import type { ContainerCreated } from '../../spec/container-types.ts'
import { EngineError } from '../../spec/errors.ts'
import { goPointer, goStruct } from '../../spec/go-json.ts'
import { decodeJson } from '../../lib/http-json.ts'
import type { Exchange } from '../exchange.ts'
import type { Route } from '../router.ts'
import { adaptCreateRequest } from '../versions.ts'

const outerPart = goStruct({
  HostConfig: goPointer(HostConfig),
  NetworkingConfig: goPointer(NetworkingConfig),
})

const configFields = new Set(Object.keys(ContainerConfig.parse({})).map((name) => name.toLowerCase()))

/** `POST /containers/create`. */
export function containerCreateRoutes(engine: ContainerEngine, host: { cgroupUnified: boolean }): Route[] {
  return [{ method: 'POST', path: '/containers/create', handle: (x) => create(engine, host, x) }]
}

async function create(engine: ContainerEngine, host: { cgroupUnified: boolean }, x: Exchange): Promise<void> {
  const body = await x.jsonValue()
  if (body === undefined) throw new EngineError('invalid', 'invalid JSON: got EOF while reading request body')
  const outer = decodeJson(outerPart, body, 'CreateRequest')
  const config = decodeJson(ContainerConfig, body, 'CreateRequest')
  if (!namesConfig(body)) {
    throw new EngineError('invalid', 'config cannot be empty in order to create a container')
  }
  const request = {
    config,
    hostConfig: outer.HostConfig ?? HostConfig.parse({}),
    networkingConfig: outer.NetworkingConfig ?? NetworkingConfig.parse({}),
  }
  const warnings = adaptCreateRequest(request, x.version, host)
  const platform = x.version >= 41 ? x.text('platform') : ''
  const created = await engine.create(request, { name: x.text('name'), platform }, x.signal)
  const answer: ContainerCreated = { Id: created.id, Warnings: [...created.warnings, ...warnings] }
  x.sendJson(201, answer)
}

/** Whether a body has any field of the container's own configuration. */
function namesConfig(body: unknown): boolean {
  if (typeof body !== 'object' || body === null) return false
  return Object.keys(body).some((key) => configFields.has(key.toLowerCase()))
}
