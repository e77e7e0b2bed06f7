/** The registry's web page in a real browser: signing in, finding, reading, deleting, by mouse and by keyboard. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import axe from 'axe-core'
import type { Page } from 'playwright-core'
import { buildConsole, newPage, startBrowser, type TestBrowser } from '../fixtures/browser.ts'
import { enterOwnNetwork } from '../fixtures/own-network.ts'
import { issuerService, startTokenIssuer } from '../fixtures/token-issuer.ts'
import { hostileText, Pusher, startPageRegistry } from '../fixtures/page-registry.ts'
import { startTestRegistry, type TestRegistry } from '../fixtures/test-registry.ts'

const firstLoadBytes = 60 * 1024

let registry: TestRegistry
let browser: TestBrowser
let page: Page
let complaints: string[]
let shownUser: string | undefined

before(async () => {
  enterOwnNetwork()
  buildConsole()
  ;[registry, browser] = await Promise.all([startPageRegistry(10_000), startBrowser()])
  ;({ page, complaints } = await newPage(browser.context))
})
after(async () => {
  await browser?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
})

/** Goes to an address as one user (empty: nobody); the page is loaded anew when it was another one's. */
async function open(user: string, address = '#/'): Promise<void> {
  if (user === shownUser && page.url().startsWith(registry.url)) {
    await page.evaluate(`location.hash = ${JSON.stringify(address)}`)
    return
  }
  await browser.context.clearCookies()
  if (user !== '') {
    const answer = await browser.context.request.post(`${registry.url}/console/api/sign-in`, {
      headers: { 'X-Wharf-Page': '1' },
      data: { name: user, password: `${user}-pass` },
    })
    assert.equal(answer.status(), 200)
  }
  await page.goto('about:blank')
  await page.goto(`${registry.url}/${address}`)
  await page.locator('header.bar').waitFor()
  shownUser = user
}

const row = (name: string) =>
  page.locator('.grid-row', { has: page.getByRole('link', { name, exact: true }) })
const rows = () => page.locator('.grid-body .grid-row')
/** The list's first row, once it has this name: what was there before may still show for a moment. */
const firstRow = (name: string) =>
  page.locator('.grid-row[aria-rowindex="2"]', { has: page.getByRole('link', { name, exact: true }) })
const focusedRow = () => page.locator('.grid-row:focus')
const command = (text: string) => page.locator('.command code', { hasText: text }).first()

/** Serious things that axe finds in what shows now; by some of its rules alone, if they are named. */
async function axeFinds(rules?: string[]): Promise<string[]> {
  if ((await page.evaluate('typeof axe')) === 'undefined') await page.evaluate(axe.source)
  const only = rules === undefined ? '' : `, runOnly: ${JSON.stringify(rules)}`
  const found = await page.evaluate(
    `axe.run(document, { resultTypes: ['violations']${only} }).then((result) => result.violations)`,
  )
  const violations = found as { id: string; impact: string; nodes: { html: string }[] }[]
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)
}

test('the first load is small, compressed, cached for ever, and from here alone', async () => {
  const asked: string[] = []
  page.on('request', (request) => asked.push(request.url()))
  await open('')
  page.removeAllListeners('request')
  assert.deepEqual(
    asked.filter((url) => !url.startsWith(registry.url) && url !== 'about:blank'),
    [],
  )
  for (const encoding of ['gzip', 'br']) {
    let bytes = 0
    for (const url of new Set(
      asked.filter((url) => !url.includes('/console/api/') && url.startsWith('http')),
    )) {
      const answer = await browser.context.request.get(url, { headers: { 'Accept-Encoding': encoding } })
      const { etag = '', ...headers } = answer.headers()
      bytes += Number(headers['content-length'])
      assert.equal(headers['content-encoding'], encoding)
      const isAsset = url.includes('/console/assets/')
      assert.equal(headers['cache-control'], isAsset ? 'public, max-age=31536000, immutable' : 'no-cache')
      assert.match(
        headers['content-security-policy'] ?? '',
        /default-src 'none'; script-src 'self'; style-src 'self'/,
      )
      const again = await browser.context.request.get(url, {
        headers: { 'Accept-Encoding': encoding, 'If-None-Match': etag },
      })
      assert.equal(again.status(), 304)
    }
    assert.ok(bytes > 10_000 && bytes < firstLoadBytes, `${bytes} bytes with ${encoding}`)
  }
})

test('signing in shows what is the user’s, and signing out hides it', async () => {
  await open('')
  await row('public/').waitFor()
  assert.equal(await page.getByRole('link', { name: 'team/' }).count(), 0)
  // Whoever comes next begins anew.
  shownUser = undefined
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByLabel('Name').fill('bob')
  await page.getByLabel('Password').fill('wrong')
  await page.keyboard.press('Enter')
  await page.getByRole('alert').filter({ hasText: 'incorrect username or password' }).waitFor()
  await page.getByLabel('Password').fill('bob-pass')
  await page.keyboard.press('Enter')
  await row('team/').waitFor()
  assert.equal(await page.getByRole('link', { name: 'private/' }).count(), 0)
  assert.equal(await page.evaluate('document.cookie'), '')
  assert.doesNotMatch(page.url(), /pass/)
  // Who may not delete is not offered it.
  assert.equal(await page.getByRole('checkbox').count(), 0)
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByRole('link', { name: 'team/' }).waitFor({ state: 'detached' })
})

test('the tree opens and closes, is searched and ordered, by keyboard alone', async () => {
  await open('alice')
  await row('team/').waitFor()
  await page.keyboard.press('ArrowDown')
  assert.equal(await focusedRow().locator('a').innerText(), 'public/')
  await page.keyboard.press('ArrowLeft')
  await page.getByRole('link', { name: 'hello', exact: true }).waitFor({ state: 'detached' })
  await page.keyboard.press('ArrowRight')
  await page.getByRole('link', { name: 'hello', exact: true }).waitFor()
  await page.keyboard.press('/')
  await page.keyboard.type('shop')
  await page.getByText('1 repository found').waitFor()
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'shop' }).waitFor()
  await page.keyboard.press('/')
  await page.keyboard.type('team/web/shop:1.9.0')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: '1.9.0' }).waitFor()
  await page.keyboard.press('Escape')
  await page.keyboard.press('Escape')
  await page.getByRole('heading', { name: 'shop' }).waitFor()
  await page.keyboard.press('?')
  await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
})

test('ten thousand tags scroll, filter and stay few in the page', async () => {
  await open('bob', '#/team/many')
  await page.getByText('10,000 tags').waitFor()
  await row('1.99.99').waitFor()
  assert.ok((await rows().count()) < 60)
  await page.evaluate('scrollTo(0, document.documentElement.scrollHeight / 2)')
  await row('1.50.0').waitFor()
  await page.evaluate('scrollTo(0, document.documentElement.scrollHeight)')
  await row('1.0.0').waitFor()
  assert.ok((await rows().count()) < 60)
  await page.evaluate('scrollTo(0, 0)')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('End')
  await page.locator('.grid-row[aria-rowindex="10001"]:focus').waitFor()
  await row('1.0.0').waitFor()
  await page.keyboard.press('Home')
  await page.locator('.grid-row[aria-rowindex="2"]:focus').waitFor()
  await page.keyboard.press('ArrowDown')
  await page.locator('.grid-row[aria-rowindex="3"]:focus').waitFor()
  await page.keyboard.press('c')
  await page.getByText('Pull command copied').waitFor()
  const copied = await page.evaluate('navigator.clipboard.readText()')
  assert.equal(copied, `docker pull ${registry.host}/team/many:1.99.98`)
  await page.getByLabel('Filter tags').fill('42.4')
  await page.getByText('11 tags found').waitFor()
  await firstRow('1.42.49').waitFor()
  await page.getByLabel('Order').selectOption('name')
  await firstRow('1.42.4').waitFor()
})

test('tags are deleted one by one, by range and all that match, after a question', async () => {
  const bearer = { headers: { Authorization: `Basic ${btoa('alice:alice-pass')}` } }
  const left = async () => {
    const answer = await fetch(`${registry.url}/v2/team/bulk/tags/list`, bearer)
    return ((await answer.json()) as { tags: string[] }).tags
  }
  const tags = Array.from({ length: 40 }, (_, place) => `1.${place}`)
  await new Pusher(registry.url, 'alice').image('team/bulk', [...tags, 'keep'])
  await open('alice', '#/team/bulk?order=name')
  await row('1.0').waitFor()
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Delete')
  const dialog = page.getByRole('dialog')
  await dialog.getByText('Delete 1 tag?').waitFor()
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })
  assert.equal((await left()).length, 41)
  await page.getByLabel('Select 1.1', { exact: true }).click()
  await page.getByLabel('Select 1.4', { exact: true }).click({ modifiers: ['Shift'] })
  await page.getByText('4 tags selected').waitFor()
  await page.getByRole('button', { name: 'Delete…' }).click()
  await dialog.getByRole('button', { name: 'Delete' }).click()
  await page.getByText('4 tags deleted').waitFor()
  await page.getByText('37 tags').waitFor()
  await page.getByLabel('Filter tags').fill('1.')
  await page.getByText('36 tags found').waitFor()
  await page.getByLabel('Select 1.5', { exact: true }).click()
  await page.getByRole('button', { name: 'Select all 36' }).click()
  await page.getByText('36 tags selected').waitFor()
  await page.getByRole('button', { name: 'Delete…' }).click()
  await dialog.getByRole('button', { name: 'Delete' }).click()
  await page.getByText('36 tags deleted').waitFor()
  assert.deepEqual(await left(), ['keep'])
  await page.getByRole('button', { name: 'Delete repository…' }).click()
  await dialog.getByRole('textbox').fill('delete')
  await page.keyboard.press('Enter')
  await page.getByText('1 repository deleted').waitFor()
  assert.equal((await fetch(`${registry.url}/v2/team/bulk/tags/list`, bearer)).status, 404)
})

test('an image shows its layers, history, configuration, manifest and referrers', async () => {
  await open('bob', '#/team/web/shop:1.9.0')
  await command(`docker pull ${registry.host}/team/web/shop:1.9.0`).waitFor()
  await page.getByRole('button', { name: 'Copy the pull command by digest' }).click()
  await page.getByText('Copied', { exact: true }).waitFor()
  const copied = await page.evaluate<string>('navigator.clipboard.readText()')
  assert.match(copied, /^docker pull \S+\/team\/web\/shop@sha256:[0-9a-f]{64}$/)
  await page.getByText('RUN apt-get update').waitFor()
  assert.equal(await page.locator('.layers li').count(), 3)
  await page.getByRole('tab', { name: 'Layers' }).focus()
  await page.keyboard.press('ArrowRight')
  await page.getByRole('tabpanel', { name: 'Dockerfile' }).waitFor()
  assert.match(await page.locator('.dockerfile').innerText(), /EXPOSE 8080\/tcp/)
  await page.keyboard.press('ArrowRight')
  await page.getByText('NODE_ENV').first().waitFor()
  await page.getByRole('tab', { name: 'Manifest' }).click()
  await page.getByText('"schemaVersion"').waitFor()
  await page.getByRole('tab', { name: 'Referrers' }).click()
  await page.getByRole('link', { name: 'application/spdx+json' }).click()
  await page.getByText('bill.json').waitFor()
  await page.goBack()
  await open('bob', '#/team/web/shop:latest')
  await page.getByRole('link', { name: 'linux/arm64' }).click()
  await page.getByRole('tab', { name: 'Manifest' }).click()
  await page.getByText('"schemaVersion"').waitFor()
  assert.equal(await page.getByRole('link', { name: 'linux/arm64' }).getAttribute('aria-current'), 'true')
})

test('hostile names, labels and histories stay text', async () => {
  await open('root', '#/team/hostile')
  await page.getByRole('button', { name: 'Edit the description' }).click()
  await page.getByLabel('Description').fill(hostileText)
  await page.getByRole('button', { name: 'Save' }).click()
  await page.locator('.about p', { hasText: hostileText }).waitFor()
  for (const tab of ['layers', 'dockerfile', 'config', 'manifest']) {
    await open('root', `#/team/hostile:1.0?tab=${tab}`)
    await page.getByRole('tabpanel').waitFor()
    assert.ok(
      (await page.locator('main').innerText()).includes(tab === 'manifest' ? 'schemaVersion' : 'hacked'),
    )
  }
  for (const address of [`#/${hostileText}`, `#/?q=${encodeURIComponent(hostileText)}`, '#/a:%3Cscript%3E']) {
    await open('root', address)
    await page.locator('main h1, main h2').first().waitFor()
  }
  assert.equal(await page.evaluate('window.hacked'), undefined)
})

test('stars are given and taken back, and order the list', async () => {
  await open('bob', '#/team/api')
  const star = page.getByRole('button', { name: /^Star team\/api/ })
  await star.click()
  await page.locator('button.stars[aria-pressed=true]').waitFor()
  await page.goto(`${registry.url}/#/?order=stars`)
  await firstRow('team/api').waitFor()
  await page.locator('button.stars[aria-pressed=true]').click()
  await page.locator('button.stars[aria-pressed=true]').waitFor({ state: 'detached' })
})

test('the retention preview shows rules and what would go', async () => {
  await open('root')
  await page.getByRole('link', { name: 'Retention' }).click()
  await page.getByText('Tags 1.* of team/many: keep the newest 20.').waitFor()
  await page.getByText('9,980 tags would go now.').waitFor()
  await page.getByRole('button', { name: 'Collect now…' }).click()
  await page
    .getByRole('dialog')
    .getByText(/removes 9,980 tags/)
    .waitFor()
  await page.getByRole('button', { name: 'Cancel' }).click()
})

test('an empty registry says how to fill it; an unreachable one can be tried again', async () => {
  await using empty = await startTestRegistry()
  await page.goto(empty.url)
  await page.getByRole('heading', { name: 'This registry is empty' }).waitFor()
  await command(`docker push ${empty.host}/hello:latest`).waitFor()
  await new Pusher(empty.url).image('hello', ['latest'])
  await page.reload()
  await page.getByRole('link', { name: 'hello' }).click()
  await row('latest').waitFor()
  await open('bob')
  await row('team/').waitFor()
  await page.route('**/console/api/**', (route) => route.abort())
  await page.goto(`${registry.url}/#/team/api`)
  await page.getByRole('heading', { name: 'The registry cannot be reached' }).waitFor()
  await page.unroute('**/console/api/**')
  await page.getByRole('button', { name: 'Try again' }).click()
  await row('latest').waitFor()
  await page.goto(`${registry.url}/#/team/none`)
  await page.getByRole('heading', { name: 'Nothing here' }).waitFor()
})

test('axe finds nothing serious in any view, in light and dark, wide and narrow', async () => {
  const views: [user: string, address: string, shows: string][] = [
    ['', '#/', 'public/'],
    ['', '#/team/api', 'Sign in to see this'],
    ['alice', '#/', 'team/'],
    ['alice', '#/?q=nothing-has-this', 'No repository matches'],
    ['alice', '#/team/many', '1.99.99'],
    ['alice', '#/team/web/shop:1.9.0', 'RUN apt-get'],
    ['alice', '#/team/web/shop:latest?tab=dockerfile', 'ENTRYPOINT'],
    ['alice', '#/team/web/shop:1.9.0?tab=config', 'NODE_ENV'],
    ['alice', '#/team/web/shop:1.9.0?tab=manifest', 'schemaVersion'],
    ['alice', '#/team/web/shop:1.9.0?tab=referrers', 'spdx'],
    ['alice', '#/_retention', 'would go now'],
  ]
  const found: string[] = []
  const check = async (what: string, rules?: string[]) => {
    found.push(...(await axeFinds(rules)).map((text) => `${what}: ${text}`))
  }
  for (const [place, [user, address, shows]] of views.entries()) {
    // Colours do not change while they are looked at.
    await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' })
    await page.setViewportSize(place % 3 === 0 ? { width: 390, height: 500 } : { width: 1280, height: 600 })
    await open(user, address)
    await page.getByText(shows).first().waitFor()
    await check(address)
    // In the dark nothing but the colours is another.
    await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' })
    await check(`${address} dark`, ['color-contrast'])
  }
  await open('alice', '#/team/web/shop')
  await page.getByRole('button', { name: 'Delete repository…' }).click()
  await page.getByRole('dialog').waitFor()
  await check('delete dialog')
  await open('')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('dialog').waitFor()
  await check('sign-in dialog')
  await page.emulateMedia({ colorScheme: null, reducedMotion: null })
  await page.setViewportSize({ width: 1280, height: 800 })
  assert.deepEqual(found, [])
})

test('the page stays within the narrowest phone, with the longest names', async () => {
  await page.setViewportSize({ width: 320, height: 640 })
  const long = `team/${'very-long-name-'.repeat(8)}end`
  for (const address of [
    '#/',
    `#/${long}`,
    `#/${long}:${'x'.repeat(120)}`,
    '#/team/web/shop:1.9.0?tab=config',
  ]) {
    await open('alice', address)
    await page.locator('main h1').waitFor()
    const width = await page.evaluate('document.documentElement.scrollWidth')
    assert.equal(width, 320, address)
  }
  await page.setViewportSize({ width: 1280, height: 800 })
})

test('the theme goes from the system’s to the reader’s own, and stays', async () => {
  await page.emulateMedia({ colorScheme: 'dark' })
  await open('')
  const background = () => page.evaluate('getComputedStyle(document.body).backgroundColor')
  const dark = await background()
  await page.getByRole('button', { name: 'Theme: system' }).click()
  await page.getByRole('button', { name: 'Theme: light' }).waitFor()
  assert.notEqual(await background(), dark)
  await page.reload()
  await page.getByRole('button', { name: 'Theme: light' }).click()
  await page.getByRole('button', { name: 'Theme: dark' }).click()
  await page.getByRole('button', { name: 'Theme: system' }).waitFor()
  assert.equal(await background(), dark)
  await page.emulateMedia({ colorScheme: null })
})

test('who an outside issuer knows signs in with its name and password', async () => {
  await using issuer = await startTokenIssuer()
  issuer.users.set('carol', 'carol-pass')
  issuer.rights.set('carol team/app', ['pull', 'push', 'delete'])
  const outside = { ...issuer.settings, signIn: true }
  await using own = await startTestRegistry({ tokens: { service: issuerService, outside } })
  const token = await issuer.token('carol', 'repository:team/app:pull,push')
  await new Pusher(own.url, { Authorization: `Bearer ${token}` }).image('team/app', ['v1'])
  const { page: other, complaints: heard } = await newPage(browser.context)
  await other.goto(`${own.url}/#/team/app`)
  await other.getByRole('button', { name: 'Sign in' }).first().click()
  await other.getByLabel('Name').fill('carol')
  await other.getByLabel('Password').fill('carol-pass')
  await other.keyboard.press('Enter')
  await other.getByRole('link', { name: 'v1', exact: true }).click()
  await other.getByText(`docker pull ${own.host}/team/app:v1`).first().waitFor()
  await other.getByRole('button', { name: 'Sign out' }).click()
  await other.getByRole('button', { name: 'Sign in' }).first().waitFor()
  assert.deepEqual(heard, [])
  await other.close()
})

test('nothing was complained of: no script failed, and the page kept to its own policy', () => {
  assert.deepEqual(complaints, [])
})
