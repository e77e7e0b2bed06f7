/** What the configuration says of registries. */
import { parseRegistryRules } from '../images/registry-rules.ts'
import type { RegistrySettings } from '../images/registry-endpoints.ts'
import type { Settings } from './config-values.ts'

/** Proxies of the daemon's own environment. */
export type ProxyVariables = { http: string; https: string; none: string }

const certificateDirectories = ['/etc/wharf/certs.d', '/etc/docker/certs.d']

/** Settings over variables of the environment, over Docker's defaults. */
export function registrySettings(settings: Settings, environment: ProxyVariables): RegistrySettings {
  const proxies = settings.record('proxies')
  const proxy = (key: string, fallback: string): string => {
    const inFile = proxies[key]
    const text = settings.text(key)
    return text !== '' ? text : typeof inFile === 'string' && inFile !== '' ? inFile : fallback
  }
  return {
    mirrors: settings.list('registry-mirrors'),
    rules: parseRegistryRules(settings.record('registries')),
    insecure: settings.list('insecure-registries'),
    maxDownloads: settings.number('max-concurrent-downloads', 3),
    maxUploads: settings.number('max-concurrent-uploads', 5),
    maxAttempts: settings.number('max-download-attempts', 5),
    proxies: {
      http: proxy('http-proxy', environment.http),
      https: proxy('https-proxy', environment.https),
      none: proxy('no-proxy', environment.none),
    },
    certificateDirectories,
  }
}
