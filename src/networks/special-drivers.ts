/** Networks that are no links of ours: the host's own, and none at all. */
import { EngineError } from '../spec/errors.ts'
import type { EndpointPlan, JoinedLink, NetworkDriver } from './driver.ts'
import type { NetworkRecord } from './network-record.ts'
import type { Sandbox } from './sandbox.ts'

/** The drivers `host` and `null`: one network each, which is there from the start. */
export class SpecialDriver implements NetworkDriver {
  readonly name: string
  readonly hasAddresses = false
  readonly publishes = false

  constructor(name: 'host' | 'null') {
    this.name = name
  }

  routesByLink(): boolean {
    return false
  }

  needsGateway(): boolean {
    return false
  }

  validate(network: NetworkRecord): void {
    if (network.name === 'host' || network.name === 'none') return
    throw new EngineError('forbidden', `only one instance of "${this.name}" network is allowed`)
  }

  create(): void {}

  remove(): void {}

  join(network: NetworkRecord, _sandbox: Sandbox, _endpoint: EndpointPlan): JoinedLink {
    throw new EngineError('internal', `network ${network.name} has no links`)
  }

  leave(): void {}
}
