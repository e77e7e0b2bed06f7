/** What a network keeps of a pool of addresses, and how the pool is opened again from it. */
import { EngineError } from '../spec/errors.ts'
import {
  contains,
  formatIp,
  formatPrefix,
  parseIp,
  parsePrefix,
  type IpAddress,
  type IpPrefix,
} from './ip-address.ts'
import {
  requestAddress,
  type AddressPool,
  type AddressUse,
  type IpamDriver,
  type PoolReference,
} from './ipam.ts'

/** Subnet, range, gateway and further addresses of one family, as a network keeps them. */
export type PoolRecord = {
  subnet: string
  range: string
  gateway: string
  auxiliary: Record<string, string>
  /** Whether the subnet was asked for, rather than chosen. */
  asked: boolean
  /** What somebody else calls it who keeps it. */
  reference?: PoolReference
}

/** A pool with its network's own addresses taken. Undoes itself on failure. */
export async function openPool(
  driver: IpamDriver,
  record: PoolRecord,
  request: { family: 4 | 6; exclude: IpPrefix[]; options: Record<string, string>; wantsGateway: boolean },
): Promise<{ pool: AddressPool; gateway: IpAddress | undefined }> {
  const subnet = record.subnet === '' ? undefined : parsePrefix(record.subnet)
  const range = record.range === '' ? undefined : parsePrefix(record.range)
  const pool = await driver.requestPool({
    family: request.family,
    exclude: request.exclude,
    options: request.options,
    ...(subnet === undefined ? {} : { subnet }),
    ...(range === undefined ? {} : { range }),
    ...(record.reference === undefined ? {} : { reference: record.reference }),
  })
  // One that is kept elsewhere and was the network's before has its addresses taken there already.
  const take = async (address: IpAddress | undefined, use: AddressUse) =>
    record.reference === undefined ? requestAddress(pool, address, use) : pool.request(address)
  try {
    const asked = record.gateway === '' ? undefined : parseIp(record.gateway)
    let gateway = pool.gateway
    if (asked !== undefined) gateway = await takeGateway(asked, take)
    else if (gateway === undefined && request.wantsGateway)
      gateway = await take(undefined, { kind: 'gateway' })
    for (const [name, text] of Object.entries(record.auxiliary)) {
      await takeAuxiliary(pool, { name, text }, take)
    }
    return { pool, gateway }
  } catch (error) {
    await closePool(pool)
    throw error
  }
}

/** Gives a subnet back, and waits until it is. */
export async function closePool(pool: AddressPool): Promise<void> {
  pool.close()
  await pool.settled?.()
}

type Take = (address: IpAddress, use: AddressUse) => Promise<IpAddress | undefined>

async function takeGateway(address: IpAddress, take: Take): Promise<IpAddress | undefined> {
  try {
    return await take(address, { kind: 'gateway' })
  } catch (error) {
    if (!(error instanceof EngineError)) throw error
    throw new EngineError('internal', `failed to allocate gateway (${formatIp(address)}): ${error.message}`, {
      cause: error,
    })
  }
}

async function takeAuxiliary(
  pool: AddressPool,
  { name, text }: { name: string; text: string },
  take: Take,
): Promise<void> {
  const address = parseIp(text)
  if (address === undefined || !contains(pool.subnet, address)) {
    throw new EngineError(
      'forbidden',
      `auxiliary address: (${name}:${text}) must belong to the master pool: ${formatPrefix(pool.subnet)}`,
    )
  }
  try {
    await take(address, { kind: 'auxiliary' })
  } catch (error) {
    if (!(error instanceof EngineError)) throw error
    throw new EngineError(
      'internal',
      `failed to allocate secondary ip address (${name}:${text}): ${error.message}`,
      { cause: error },
    )
  }
}
