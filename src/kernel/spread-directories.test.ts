import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { spreadDirectories } from './spread-directories.ts'

const ext4Magic = 0xef53

test('spreadDirectories() sets the attribute on ext4, once and again, and leaves other file systems alone', () => {
  const directory = mkdtempSync(join(tmpdir(), 'wharf-spread-'))
  try {
    spreadDirectories(directory)
    spreadDirectories(directory)
    const isExt4 = statfsSync(directory).type === ext4Magic
    const attributes = isExt4 ? execFileSync('lsattr', ['-d', directory], { encoding: 'utf8' }) : 'T'
    assert.match(attributes.split(' ')[0] ?? '', /T/)
  } finally {
    rmSync(directory, { recursive: true })
  }
  spreadDirectories('/proc')
})
