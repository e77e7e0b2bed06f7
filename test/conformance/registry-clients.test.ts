/** Clients of others against `wharf registry serve`: skopeo, with an image made here. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { freePort, startRegistryProcess } from '../fixtures/registry-process.ts'
import { digestOf } from '../fixtures/test-registry.ts'

const run = promisify(execFile)
const wharf = join(dirname(fileURLToPath(import.meta.url)), '../../bin/wharf')
const skopeo = '/usr/bin/skopeo'

/** Writes an OCI layout with one image; answers the digest of its manifest. */
async function writeLayout(directory: string): Promise<string> {
  const blobs = join(directory, 'blobs', 'sha256')
  await mkdir(blobs, { recursive: true })
  const put = async (mediaType: string, data: Buffer) => {
    const digest = digestOf(data)
    await writeFile(join(blobs, digest.slice('sha256:'.length)), data)
    return { mediaType, digest, size: data.length }
  }
  // An empty tar is two blocks of zeros.
  const tar = Buffer.alloc(1024)
  const config = await put(
    'application/vnd.oci.image.config.v1+json',
    Buffer.from(
      JSON.stringify({
        architecture: 'amd64',
        os: 'linux',
        config: {},
        rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
      }),
    ),
  )
  const layer = await put('application/vnd.oci.image.layer.v1.tar+gzip', gzipSync(tar))
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const manifest = await put(
    mediaType,
    Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers: [layer] })),
  )
  const named = { ...manifest, annotations: { 'org.opencontainers.image.ref.name': 'v1' } }
  await writeFile(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  await writeFile(join(directory, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [named] }))
  return manifest.digest
}

test(
  'skopeo pushes, inspects, copies between repositories, lists, pulls and deletes',
  { skip: !existsSync(skopeo) },
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'wharf-registry-clients-'))
    try {
      const port = await freePort()
      const data = join(directory, 'data')
      const command = [wharf, 'registry', 'serve', '--addr', `127.0.0.1:${port}`, '--data', data]
      await using registry = await startRegistryProcess(data, port, command)
      const digest = await writeLayout(join(directory, 'layout'))
      const at = (name: string) => `docker://127.0.0.1:${port}/${name}`
      const plain = ['--src-tls-verify=false', '--dest-tls-verify=false']
      const copy = (from: string, to: string) =>
        run(skopeo, ['--insecure-policy', 'copy', ...plain, from, to])
      await copy(`oci:${directory}/layout:v1`, at('first/app:v1'))
      await copy(at('first/app:v1'), at('second/app:v2'))
      const inspected = await run(skopeo, ['inspect', '--tls-verify=false', at('second/app:v2')])
      assert.equal((JSON.parse(inspected.stdout) as { Digest: string }).Digest, digest)
      const listed = await run(skopeo, ['list-tags', '--tls-verify=false', at('second/app')])
      assert.deepEqual((JSON.parse(listed.stdout) as { Tags: string[] }).Tags, ['v2'])
      await copy(at('second/app:v2'), `oci:${directory}/back:v1`)
      const back = JSON.parse(await readFile(join(directory, 'back', 'index.json'), 'utf8')) as {
        manifests: { digest: string }[]
      }
      assert.equal(back.manifests[0]!.digest, digest)
      await run(skopeo, ['delete', '--tls-verify=false', at('second/app:v2')])
      await assert.rejects(
        run(skopeo, ['inspect', '--tls-verify=false', at('second/app:v2')]),
        /manifest unknown/,
      )
      await run(skopeo, ['inspect', '--tls-verify=false', at('first/app:v1')])
      // The command ends with the registry, which ends when it is told to.
      const closed = once(registry.child, 'close')
      registry.child.kill('SIGTERM')
      assert.deepEqual(await closed, [0, null])
      await assert.rejects(fetch(`${registry.url}/v2/`))
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  },
)
