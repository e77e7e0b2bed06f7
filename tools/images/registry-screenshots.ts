/** Takes the pictures of the registry's web page that docs/registry.md shows: `node tools/images/registry-screenshots.ts`. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildConsole, newPage, startBrowser } from '../../test/fixtures/browser.ts'
import { enterOwnNetwork } from '../../test/fixtures/own-network.ts'
import { describeRepositories, startPageRegistry } from '../../test/fixtures/page-registry.ts'
import { startTestRegistry } from '../../test/fixtures/test-registry.ts'
import { smallPng } from './small-png.ts'

const directory = fileURLToPath(new URL('../../docs/images', import.meta.url))
const wide = { width: 1120, height: 640 }
const narrow = { width: 360, height: 640 }

type Picture = {
  name: string
  address: string
  /** Seen when the view is there. */
  shows: string
  size?: typeof wide
  isDark?: boolean
  /** Names of buttons to be pressed first. */
  press?: string[]
}

const pictures: Picture[] = [
  { name: 'repositories', address: '#/', shows: 'shop' },
  { name: 'repositories-dark', address: '#/', shows: 'shop', isDark: true },
  { name: 'search', address: '#/?q=web', shows: 'team/web/shop' },
  { name: 'tags', address: '#/team/many', shows: '1.99.99' },
  { name: 'delete', address: '#/team/web/shop', shows: '1.9.0', press: ['Delete repository…'], isDark: true },
  { name: 'layers', address: '#/team/web/shop:latest', shows: 'COPY dist' },
  { name: 'dockerfile', address: '#/team/web/shop:latest?tab=dockerfile', shows: 'ENTRYPOINT' },
  { name: 'config', address: '#/team/web/shop:1.9.0?tab=config', shows: 'NODE_ENV' },
  { name: 'manifest', address: '#/team/web/shop:1.9.0?tab=manifest', shows: 'schemaVersion', isDark: true },
  { name: 'referrers', address: '#/team/web/shop:1.9.0?tab=referrers', shows: 'spdx' },
  { name: 'retention', address: '#/_retention', shows: 'would go now' },
  { name: 'keys', address: '#/', shows: 'shop', press: ['Keyboard shortcuts'] },
  { name: 'repositories-phone', address: '#/', shows: 'shop', size: narrow },
  { name: 'image-phone', address: '#/team/web/shop:latest', shows: 'COPY dist', size: narrow, isDark: true },
]

enterOwnNetwork()
buildConsole()
await using browser = await startBrowser()
const { page } = await newPage(browser.context)
const save = async (name: string) =>
  await writeFile(join(directory, `registry-${name}.png`), smallPng(await page.screenshot()))
{
  await using empty = await startTestRegistry({ addr: '127.0.0.1:5000' })
  await page.setViewportSize(wide)
  await page.goto(empty.url)
  await page.getByText('This registry is empty').waitFor()
  await save('empty')
}
await using registry = await startPageRegistry(10_000, { addr: '127.0.0.1:5000' })
await describeRepositories(registry)
await page.goto(registry.url)
await page.getByRole('button', { name: 'Sign in' }).click()
await save('sign-in')
await page.getByLabel('Name').fill('root')
await page.getByLabel('Password').fill('root-pass')
await page.keyboard.press('Enter')
await page.getByRole('button', { name: 'Sign out' }).waitFor()
for (const { name, address, shows, size = wide, isDark = false, press = [] } of pictures) {
  await page.setViewportSize(size)
  await page.emulateMedia({ colorScheme: isDark ? 'dark' : 'light', reducedMotion: 'reduce' })
  await page.goto('about:blank')
  await page.goto(`${registry.url}/${address}`)
  await page.getByText(shows).first().waitFor()
  for (const button of press) await page.getByRole('button', { name: button }).click()
  await save(name)
}
