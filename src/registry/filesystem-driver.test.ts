import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FilesystemDriver } from './filesystem-driver.ts'
import { testStorageDriver } from './storage-contract.test.ts'

testStorageDriver('filesystem driver', async () => {
  const root = await mkdtemp(join(tmpdir(), 'wharf-tree-'))
  return {
    driver: new FilesystemDriver(root),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  }
})
