/** Devices of a container: nodes to be made, and what the device cgroup lets through. */
import { stat } from 'node:fs/promises'
import type { HostConfig } from '../spec/container-config.ts'
import { EngineError, errorCode } from '../spec/errors.ts'
import type { OciDevice, OciDeviceRule } from '../spec/oci-runtime-types.ts'
import { deviceAt, devicesBelow, type DeviceNode } from '../kernel/device-node.ts'

/** Nodes and rules. */
export type ContainerDevices = { devices: OciDevice[]; rules: OciDeviceRule[] }

/** Nothing but the harmless character devices that every container has; the runtime adds console, tty and ptmx. */
const defaultRules: readonly OciDeviceRule[] = [
  { allow: false, access: 'rwm' },
  ...[
    [1, 3],
    [1, 5],
    [1, 7],
    [1, 8],
    [1, 9],
    [5, 0],
    [5, 1],
  ].map(([major = 0, minor = 0]) => ({ allow: true, type: 'c' as const, major, minor, access: 'rwm' })),
]

/** Names under /dev that are no devices of the host for a privileged container: they are mounts of its own. */
const notForContainers = new Set(['pts', 'shm', 'fd', 'mqueue', '.lxc', '.lxd-mounts', '.udev', 'console'])

/** What `--device`, `--device-cgroup-rule`, `--privileged` and `--gpus` come to. Throws as Docker does. */
export async function containerDevices(hostConfig: HostConfig): Promise<ContainerDevices> {
  rejectDeviceRequests(hostConfig)
  if (hostConfig.Privileged) return privilegedDevices(hostConfig)
  const result: ContainerDevices = { devices: [], rules: [...defaultRules] }
  for (const { PathOnHost, PathInContainer, CgroupPermissions } of hostConfig.Devices ?? []) {
    const access = CgroupPermissions === '' ? 'rwm' : CgroupPermissions
    for (const device of await devicesFromPath(PathOnHost, PathInContainer || PathOnHost)) {
      result.devices.push(device)
      if (device.type === 'c' || device.type === 'b') {
        const { type, major, minor } = device
        result.rules.push({ allow: true, type, major, minor, access })
      }
    }
  }
  result.rules.push(...(hostConfig.DeviceCgroupRules ?? []).map(parseDeviceRule))
  return result
}

/** One `--device-cgroup-rule`: `c 1:3 mr`. Throws invalid. */
export function parseDeviceRule(rule: string): OciDeviceRule {
  const match = /^([acb]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$/.exec(rule === 'a' ? 'a *:* rwm' : rule)
  if (match === null) throw new EngineError('invalid', `invalid device cgroup rule format: '${rule}'`)
  const [, type = '', major = '', minor = '', access = ''] = match
  return {
    allow: true,
    ...(type !== 'a' && { type: type === 'b' ? ('b' as const) : ('c' as const) }),
    ...(type !== 'a' && major !== '*' && { major: Number(major) }),
    ...(type !== 'a' && minor !== '*' && { minor: Number(minor) }),
    access,
  }
}

async function privilegedDevices(hostConfig: HostConfig): Promise<ContainerDevices> {
  const devices = (await devicesBelow('/dev', notForContainers)).map(({ path, node }) =>
    ociDevice(path, node),
  )
  for (const { PathOnHost, PathInContainer } of hostConfig.Devices ?? []) {
    if (PathInContainer === '' || PathOnHost === PathInContainer) continue
    devices.push(...(await devicesFromPath(PathOnHost, PathInContainer)))
  }
  return { devices, rules: [{ allow: true, access: 'rwm' }] }
}

/** A node, or all nodes of a directory under the same names. */
async function devicesFromPath(host: string, inContainer: string): Promise<OciDevice[]> {
  const missing = (reason: string) =>
    new EngineError(
      'internal',
      `error gathering device information while adding custom device "${host}": ${reason}`,
    )
  try {
    const node = await deviceAt(host)
    if (node !== undefined) return [ociDevice(inContainer, node)]
    if ((await stat(host)).isDirectory()) {
      const below = await devicesBelow(host)
      if (below.length > 0) {
        return below.map(({ path, node: each }) => ociDevice(inContainer + path.slice(host.length), each))
      }
    }
  } catch (error) {
    if (errorCode(error) === 'ENOENT') throw missing('no such file or directory')
    throw error
  }
  throw missing('not a device node')
}

function ociDevice(path: string, { type, major, minor, mode, uid, gid }: DeviceNode): OciDevice {
  return { type, path, major, minor, fileMode: mode, uid, gid }
}

/** No driver for device requests is there: the answer is the one of a Docker without GPU support. */
function rejectDeviceRequests(hostConfig: HostConfig): void {
  const request = hostConfig.DeviceRequests?.[0]
  if (request === undefined) return
  const capabilities = (request.Capabilities ?? []).map((all) => `[${all.join(' ')}]`).join(' ')
  throw new EngineError(
    'invalid',
    `could not select device driver "${request.Driver}" with capabilities: [${capabilities}]`,
  )
}
