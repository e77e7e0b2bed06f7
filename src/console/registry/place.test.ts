import assert from 'node:assert/strict'
import { test } from 'node:test'
import { foldersOf, parsePlace, placeAddress, type Place } from './place.ts'

const digest = `sha256:${'a'.repeat(64)}`
const cases: [address: string, place: Partial<Place>][] = [
  ['#/', { view: 'folder', name: '' }],
  ['#/team/', { view: 'folder', name: 'team/' }],
  ['#/team/app', { view: 'repository', name: 'team/app' }],
  ['#/team/app:1.2', { view: 'image', name: 'team/app', reference: '1.2' }],
  [`#/team/app@${digest}`, { view: 'image', name: 'team/app', reference: digest }],
  [
    '#/app?q=1.2&order=updated',
    { view: 'repository', name: 'app', settings: { q: '1.2', order: 'updated' } },
  ],
  ['#/app:1?tab=config', { view: 'image', name: 'app', reference: '1', settings: { tab: 'config' } }],
  ['#/_retention', { view: 'retention' }],
]

for (const [address, place] of cases) {
  test(`the address ${address} names a place, and the place that address`, () => {
    const expected = { name: '', reference: '', settings: {}, ...place }
    assert.deepEqual(parsePlace(address), expected)
    assert.equal(placeAddress(parsePlace(address)), address)
  })
}

test('parsePlace() takes no path tricks and no broken escapes for names', () => {
  for (const address of ['#/../etc', '#/%2e%2e/x', '#/a b', '#/%', '#/A', '#//', '#/a//b/']) {
    assert.equal(parsePlace(address).view, 'unknown', address)
  }
})

test('placeAddress() leaves out settings that are empty', () => {
  assert.equal(
    placeAddress({ view: 'folder', name: '', settings: { q: '', order: 'stars' } }),
    '#/?order=stars',
  )
})

test('foldersOf() names every folder above a repository', () => {
  assert.deepEqual(foldersOf('a/b/c'), ['a/', 'a/b/'])
  assert.deepEqual(foldersOf('a'), [])
})
