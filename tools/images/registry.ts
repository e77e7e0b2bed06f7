/**
 * Makes the image `wharf/registry:2`: the registry with the Node it runs on, to be used as `registry:2` is (port
 * 5000, folder /var/lib/registry, REGISTRY_* variables). Its lowest layer is that of the project's busybox, so there
 * is a shell. Run it with the archive's path: `node tools/images/registry.ts registry.tar`, then `wharf load -i`.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { tarHeader } from '../../src/lib/tar-format.ts'
import type { TarSource } from '../../src/lib/tar-stream.ts'
import { busyboxImage, imageArchive, tarOf, type ImageSource } from './busybox.ts'

const root = resolve(import.meta.dirname, '../..')
const home = 'opt/wharf'
const certificates = '/etc/ssl/certs/ca-certificates.crt'

const entrypoint = `#!/bin/sh
# As registry:2: a configuration file alone means to serve it; anything else is a command of the registry.
case "\${1:-}" in
  *.yml | *.yaml) set -- serve --config "$1" ;;
esac
export MALLOC_ARENA_MAX="\${MALLOC_ARENA_MAX:-2}"
exec /usr/local/bin/node --max-semi-space-size=1 --max-old-space-size=256 --disable-warning=ExperimentalWarning /${home}/src/registry/main.ts "$@"
`
const configuration = `# What the image sets; REGISTRY_* variables go over it. All keys: docs/registry.md
addr: ':5000'
data: /var/lib/registry
`

/** Files of a layer by their paths; folders are made as they are needed. */
class Layer {
  readonly #entries = new Map<string, TarSource>()

  file(name: string, content: Buffer | string, mode = 0o644): void {
    const data = typeof content === 'string' ? Buffer.from(content) : content
    this.directory(dirname(name))
    this.#entries.set(name, {
      header: tarHeader({ name, type: 'file', mode, size: data.length }),
      content: [data],
    })
  }

  directory(name: string): void {
    if (name === '.' || this.#entries.has(name)) return
    this.directory(dirname(name))
    this.#entries.set(name, { header: tarHeader({ name: `${name}/`, type: 'directory', mode: 0o755 }) })
  }

  /** A folder of the project, without what only development needs. */
  folder(from: string, wanted: (name: string) => boolean): void {
    for (const entry of readdirSync(join(root, from), { withFileTypes: true, recursive: true })) {
      const path = relative(root, join(entry.parentPath, entry.name))
      if (entry.isFile() && wanted(path)) this.file(join(home, path), readFileSync(join(root, path)))
    }
  }

  async tar(): Promise<Buffer> {
    const entries = [...this.#entries].sort(([left], [right]) => (left < right ? -1 : 1))
    return await tarOf(entries.map(([, source]) => source))
  }
}

/** Node with the libraries it is linked with, and the certificates that upstreams and buckets are checked by. */
async function nodeLayer(node: string): Promise<Buffer> {
  const layer = new Layer()
  layer.file('usr/local/bin/node', readFileSync(node), 0o755)
  const linked = execFileSync('ldd', [node], { encoding: 'utf8' })
  for (const [path] of linked.matchAll(/\/\S+/g)) {
    layer.file(path.slice(1), readFileSync(realpathSync(path)), 0o755)
  }
  if (existsSync(certificates)) layer.file(certificates.slice(1), readFileSync(certificates))
  return await layer.tar()
}

/** The registry's sources, its packages and its web page. */
async function registryLayer(): Promise<Buffer> {
  const layer = new Layer()
  layer.file('entrypoint.sh', entrypoint, 0o755)
  layer.file('etc/wharf/registry.yml', configuration)
  // Made in the container where the volume is mounted, as in registry:2.
  layer.directory('var/lib')
  layer.file(join(home, 'package.json'), readFileSync(join(root, 'package.json')))
  const { files, packages } = programOf(join(root, 'src/registry/main.ts'))
  for (const file of files) layer.file(join(home, relative(root, file)), readFileSync(file))
  for (const name of packages) {
    layer.folder(`node_modules/${name}`, (path) => /\.(?:js|cjs|mjs|json)$/.test(path))
  }
  if (existsSync(join(root, page))) layer.folder(page, () => true)
  return await layer.tar()
}

const page = 'build/console/registry'

/** All sources that a program imports, and the packages. */
function programOf(main: string): { files: Set<string>; packages: Set<string> } {
  const files = new Set([main])
  const packages = new Set<string>()
  for (const file of files) {
    for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(
      /(?: from '|import\(')([^'\n]+)'\)?$/gm,
    )) {
      if (name.startsWith('.')) files.add(resolve(dirname(file), name))
      else if (!name.startsWith('node:')) packages.add(name.split('/')[0] ?? name)
    }
  }
  return { files, packages }
}

/** The image, to be put into an archive. */
export async function registryImage(node = process.execPath): Promise<ImageSource> {
  const base = await busyboxImage()
  const created = '2024-01-01T00:00:00Z'
  return {
    config: {
      ...base.config,
      created,
      config: {
        Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
        Entrypoint: ['/entrypoint.sh'],
        Cmd: ['/etc/wharf/registry.yml'],
        ExposedPorts: { '5000/tcp': {} },
        Volumes: { '/var/lib/registry': {} },
      },
      history: [
        { created, created_by: 'busybox-static (Debian)' },
        { created, created_by: 'Node' },
        { created, created_by: 'Wharf registry' },
        { created, created_by: 'ENTRYPOINT ["/entrypoint.sh"]', empty_layer: true },
      ],
    },
    layers: [...base.layers, await nodeLayer(node), await registryLayer()],
    names: ['wharf/registry:2', 'wharf/registry:latest'],
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const target = process.argv[2]
  if (target === undefined) throw new Error('usage: node tools/images/registry.ts ARCHIVE')
  writeFileSync(target, await imageArchive([await registryImage()]))
}
