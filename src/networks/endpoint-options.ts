/** Options of one endpoint (`--network name=...,driver-opt=...`), by Docker's names. */
import { EngineError, errorCode } from '../spec/errors.ts'
import type { EndpointSettings } from '../spec/container-config.ts'
import type { Sandbox } from './sandbox.ts'

const interfaceNameOption = 'com.docker.network.endpoint.ifname'
const sysctlsOption = 'com.docker.network.endpoint.sysctls'

/** The name that the link in the container is to have; undefined for the next free one. Throws invalid. */
export function interfaceName(options: Readonly<Record<string, string>>): string | undefined {
  const name = options[interfaceNameOption]
  if (name === undefined || name === '') return undefined
  if (name.length > 15 || /[/:\s]/.test(name) || name === '.' || name === '..') {
    throw new EngineError('invalid', `invalid interface name: ${name}`)
  }
  return name
}

/** Parameters of the endpoint's link: `net.ipv4.conf.IFNAME.x=1` as path below /proc/sys and value. Throws invalid. */
function interfaceSysctls(
  options: Readonly<Record<string, string>>,
  link: string,
): { name: string; value: string }[] {
  const text = options[sysctlsOption]
  if (text === undefined || text === '') return []
  return text.split(',').map((entry) => {
    // The docker command sends the name's placeholder in small letters.
    const match = /^(net\.(?:ipv4|ipv6|mpls)\.[a-z]+)\.(?:IFNAME|ifname)\.([\w-]+)=(.*)$/.exec(entry.trim())
    const [, prefix = '', parameter = '', value = ''] = match ?? []
    if (match === null) throw new EngineError('invalid', `invalid sysctl setting ${JSON.stringify(entry)}`)
    return { name: `${prefix.replaceAll('.', '/')}/${link}/${parameter}`, value }
  })
}

/** Checks what can be checked before there is a link. Throws invalid. */
export function validateOptions(settings: EndpointSettings): void {
  interfaceName(settings.DriverOpts ?? {})
  interfaceSysctls(settings.DriverOpts ?? {}, 'eth0')
}

/** Sets the endpoint's parameters inside its sandbox. Throws invalid for those the kernel does not have. */
export function applySysctls(
  sandbox: Sandbox,
  link: string,
  options: Readonly<Record<string, string>>,
): void {
  for (const { name, value } of interfaceSysctls(options, link)) {
    try {
      sandbox.writeParameter(name, value)
    } catch (error) {
      if (errorCode(error) === undefined) throw error
      throw new EngineError('invalid', `unable to set sysctl ${name.replaceAll('/', '.')}=${value}`, {
        cause: error,
      })
    }
  }
}
