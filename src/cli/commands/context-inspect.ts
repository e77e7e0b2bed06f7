/** `context inspect`: of the context in use where none is named. */
import { flag } from '../../lib/flags.ts'
import { defineCommand } from '../command.ts'
import { ContextStore } from '../context-store.ts'
import { resolveEndpoint } from '../endpoint.ts'
import { inspectFormatHelp, inspectObjects } from '../inspect.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: { format: flag.string(inspectFormatHelp, { short: 'f' }) },
  count: { min: 0 },
  completes: ['context'],
  run: async (cli, { flags, args }) => {
    const store = new ContextStore(cli.configDirectory)
    const get = async (name: string) => {
      if (name === 'default') {
        const Host = resolveEndpoint({ ...cli.endpointSources, context: 'default' }).text
        return JSON.stringify({
          Name: name,
          Metadata: {},
          Endpoints: { docker: { Host, SkipTLSVerify: false } },
          TLSMaterial: {},
          Storage: { MetadataPath: '<IN MEMORY>', TLSPath: '<IN MEMORY>' },
        })
      }
      const { meta, tls } = store.read(name)
      const files = Object.keys(tls).sort()
      return JSON.stringify({
        Name: meta.Name,
        Metadata: meta.Metadata ?? {},
        Endpoints: meta.Endpoints ?? {},
        TLSMaterial: files.length === 0 ? {} : { docker: files },
        Storage: { MetadataPath: store.metaDirectory(name), TLSPath: store.tlsDirectory(name) },
      })
    }
    await inspectObjects(cli, args.length === 0 ? [cli.contextName] : args, flags.format, { get })
  },
})
