/** `manifest annotate`: says more exactly what an image of a list runs on. */
import { flag } from '../../lib/flags.ts'
import type { Platform } from '../../spec/image-types.ts'
import { commaListFlag } from '../comma-list.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { fullName, ManifestStore } from '../manifest-store.ts'

/** Systems and architectures that Go knows together. */
const known: Readonly<Record<string, string>> = {
  android: 'arm',
  darwin: '386 amd64 arm arm64',
  dragonfly: 'amd64',
  freebsd: '386 amd64 arm',
  linux: '386 amd64 arm arm64 loong64 mips64 mips64le ppc64le riscv64 s390x',
  netbsd: '386 amd64 arm',
  openbsd: '386 amd64 arm',
  plan9: '386 amd64',
  solaris: 'amd64',
  windows: '386 amd64 arm arm64',
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    arch: flag.string('Architecture'),
    os: flag.string('Operating system'),
    'os-features': commaListFlag('Feature that the operating system must have'),
    'os-version': flag.string('Version of the operating system'),
    variant: flag.string('Variant of the architecture'),
  },
  count: { min: 2, max: 2 },
  run: async (cli, { flags, args: [target = '', image = ''] }) => {
    const store = new ManifestStore(cli.configDirectory)
    const list = fullName(target)
    const name = fullName(image)
    const found = store.get(list, name)
    if (found === undefined) throw new CliError(`manifest for image ${image} does not exist in ${target}`)
    const before: Platform = found.Descriptor.platform ?? { architecture: '', os: '' }
    const features = [...new Set([...(before['os.features'] ?? []), ...flags['os-features']])]
    const version = flags['os-version'] || before['os.version']
    const variant = flags.variant || before.variant
    const platform: Platform = {
      architecture: flags.arch || before.architecture,
      os: flags.os || before.os,
      ...(version === undefined ? {} : { 'os.version': version }),
      ...(features.length === 0 ? {} : { 'os.features': features }),
      ...(variant === undefined ? {} : { variant }),
    }
    if (known[platform.os]?.split(' ').includes(platform.architecture) !== true) {
      throw new CliError(
        `manifest entry for image has unsupported os/arch combination: ${platform.os}/${platform.architecture}`,
      )
    }
    store.save(list, name, { ...found, Descriptor: { ...found.Descriptor, platform } })
  },
})
