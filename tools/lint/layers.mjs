/**
 * What each folder of src/ may import, beside itself. A folder that is not named here may not exist.
 * Domain folders are strangers to their siblings: what they need from above is an interface they declare
 * themselves and receive in their constructor.
 */
const base = ['spec', 'lib']
const kernel = [...base, 'kernel', 'store']

export const layers = {
  spec: [],
  lib: ['spec'],
  kernel: base,
  store: [...base, 'kernel'],
  content: kernel,
  layers: [...kernel, 'content'],
  images: [...kernel, 'content', 'layers'],
  runtime: kernel,
  networks: kernel,
  volumes: kernel,
  containers: kernel,
  build: [...kernel, 'content', 'layers', 'images'],
  registry: [...base, 'store', 'content'],
  daemon: [
    ...kernel,
    'content',
    'layers',
    'images',
    'runtime',
    'networks',
    'volumes',
    'containers',
    'build',
    'registry',
  ],
  client: base,
  compose: [...base, 'client'],
  cli: [...base, 'client', 'compose'],
  console: ['spec', 'client'],
}
