/** How the JSON of an inspected container maps to the struct that templates see. */
import type { ContainerInspect } from '../../spec/container-types.ts'
import type { InspectShape } from '../inspect.ts'

/** The address of the default bridge, which stood in `NetworkSettings` itself until API 1.51. */
function addBridgeAddress(value: unknown): void {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the engine answers to an inspect
  const settings = (value as { NetworkSettings?: Partial<ContainerInspect['NetworkSettings']> })
    .NetworkSettings
  if (settings === undefined || settings.IPAddress !== undefined) return
  const endpoint = settings.Networks?.['bridge']
  for (const key of [
    'EndpointID',
    'Gateway',
    'GlobalIPv6Address',
    'IPAddress',
    'IPv6Gateway',
    'MacAddress',
  ] as const) {
    settings[key] = endpoint?.[key] ?? ''
  }
  settings.GlobalIPv6PrefixLen = endpoint?.GlobalIPv6PrefixLen ?? 0
  settings.IPPrefixLen = endpoint?.IPPrefixLen ?? 0
}

/** See the file's description. */
export const containerShape: InspectShape = {
  complete: addBridgeAddress,
  maps: [
    'Config.ExposedPorts',
    'Config.Volumes',
    'Config.Labels',
    'HostConfig.PortBindings',
    'HostConfig.LogConfig.Config',
    'HostConfig.StorageOpt',
    'HostConfig.Tmpfs',
    'HostConfig.Sysctls',
    'HostConfig.Annotations',
    'GraphDriver.Data',
    'NetworkSettings.Ports',
    'NetworkSettings.Networks',
    'NetworkSettings.Networks.*.DriverOpts',
  ],
  pointers: [
    'State.Health',
    'Config.Healthcheck',
    'Config.StopTimeout',
    'HostConfig.MemorySwappiness',
    'HostConfig.OomKillDisable',
    'HostConfig.PidsLimit',
    'HostConfig.Init',
    'NetworkSettings.Networks.*.IPAMConfig',
    'SizeRw',
    'SizeRootFs',
  ],
  omitted: {
    'State.Health': null,
    'Config.Healthcheck': null,
    'Config.StopTimeout': null,
    'Config.StopSignal': '',
    'Config.Shell': [],
    'Config.ExposedPorts': {},
    'Config.MacAddress': '',
    'Config.NetworkDisabled': false,
    'Config.ArgsEscaped': false,
    'HostConfig.Mounts': [],
    'HostConfig.Sysctls': {},
    'HostConfig.Tmpfs': {},
    'HostConfig.StorageOpt': {},
    'HostConfig.Annotations': {},
    SizeRw: null,
    SizeRootFs: null,
  },
}
