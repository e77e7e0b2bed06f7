import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PageRepository } from '../../spec/registry-page.ts'
import { flatRows, treeRows } from './tree.ts'

function repository(name: string, more: Partial<PageRepository> = {}): PageRepository {
  return {
    name,
    description: '',
    stars: 0,
    starred: false,
    official: false,
    automated: false,
    tags: 1,
    updatedMs: 0,
    isCached: false,
    mayDescribe: false,
    mayDelete: false,
    ...more,
  }
}

const all = [
  repository('app', { stars: 3 }),
  repository('team/api', { updatedMs: 5, description: 'the Interface' }),
  repository('team/web/shop', { updatedMs: 9, tags: 7 }),
  repository('tools', {}),
]
const labels = (rows: readonly { label: string; level: number }[]) =>
  rows.map(({ label, level }) => `${level} ${label}`)

test('treeRows() shows folders first, and what is in the open ones', () => {
  assert.deepEqual(labels(treeRows(all, '', () => true)), [
    '1 team/',
    '2 web/',
    '3 shop',
    '2 api',
    '1 app',
    '1 tools',
  ])
  const [team, ...rest] = treeRows(all, '', () => false)
  assert.deepEqual(labels(rest), ['1 app', '1 tools'])
  assert.deepEqual(team?.kind === 'folder' && [team.count, team.updatedMs, team.isOpen], [2, 9, false])
})

test('treeRows() begins below a prefix', () => {
  assert.deepEqual(labels(treeRows(all, 'team/', () => true)), ['1 web/', '2 shop', '1 api'])
})

test('treeRows() keeps a repository beside the folder of the same name', () => {
  const rows = treeRows([repository('a'), repository('a/b')], '', () => true)
  assert.deepEqual(labels(rows), ['1 a/', '2 b', '1 a'])
})

test('flatRows() finds every word in name or description, and orders', () => {
  const names = (search: string, order: string) => flatRows(all, search, order).map(({ name }) => name)
  assert.deepEqual(names('team interface', 'name'), ['team/api'])
  assert.deepEqual(names('', 'updated').slice(0, 2), ['team/web/shop', 'team/api'])
  assert.deepEqual(names('', 'stars')[0], 'app')
  assert.deepEqual(names('', 'tags')[0], 'team/web/shop')
  assert.deepEqual(names('shop', 'name'), ['team/web/shop'])
  assert.deepEqual(names('nothing', 'name'), [])
})

test('flatRows() shows names that begin with the search before others', () => {
  const rows = flatRows([repository('a/my-app'), repository('b/app')], 'app', 'name')
  assert.deepEqual(
    rows.map(({ name }) => name),
    ['b/app', 'a/my-app'],
  )
})
