/** What is read from a sandbox: what it may join, and how much went through it. */
import { EngineError } from '../spec/errors.ts'
import type { InterfaceCounters } from '../spec/sandbox-types.ts'
import type { Sandbox } from './sandbox.ts'
import type { SandboxRecord } from './sandbox-record.ts'

/** Refuses networks beside those that stand for themselves. Throws invalid. */
export function checkMayConnect(
  record: SandboxRecord,
  network: string,
  verb: 'connected' | 'disconnected',
): void {
  if (record.kind === 'shared') {
    throw new EngineError(
      'invalid',
      'container sharing network namespace with another container or host cannot be connected to any other network',
    )
  }
  if (record.kind === 'host' || network === 'host') {
    throw new EngineError(
      'invalid',
      verb === 'disconnected'
        ? 'container cannot be disconnected from host network or connected to host network'
        : 'cannot connect container to host network - container must be created in host network mode',
    )
  }
  const isPrivate = record.endpoints.some((endpoint) => endpoint.networkName === 'none')
  if (isPrivate || network === 'none') {
    throw new EngineError(
      'invalid',
      'container cannot be connected to multiple networks with one of the networks in private (none) mode',
    )
  }
}

/** Counters of a sandbox's links but its loopback. */
export function readCounters(sandbox: Sandbox): InterfaceCounters[] {
  return sandbox
    .links()
    .filter((link) => link.name !== 'lo')
    .map(({ name, counters }) => ({
      name,
      rxBytes: Number(counters.rxBytes),
      rxPackets: Number(counters.rxPackets),
      rxErrors: Number(counters.rxErrors),
      rxDropped: Number(counters.rxDropped),
      txBytes: Number(counters.txBytes),
      txPackets: Number(counters.txPackets),
      txErrors: Number(counters.txErrors),
      txDropped: Number(counters.txDropped),
    }))
}
