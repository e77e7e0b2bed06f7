/** The image of the registry in our engine, as people use `registry:2`: container, port, folder, pushes and pulls. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { hash } from 'bcryptjs'
import { imageArchive } from '../../../tools/images/busybox.ts'
import { registryImage } from '../../../tools/images/registry.ts'
import { newPage, startBrowser } from '../../fixtures/browser.ts'
import { eventually } from '../../fixtures/processes.ts'
import { freePort } from '../../fixtures/registry-process.ts'
import { projectRoot, startDaemon } from '../../fixtures/test-daemon.ts'

const isPageBuilt = existsSync(join(projectRoot, 'build/console/registry'))

/** A click on a repository lists its tags. */
async function clickThrough(url: string): Promise<void> {
  await using browser = await startBrowser()
  const { page, complaints } = await newPage(browser.context)
  await page.goto(url)
  await page.getByRole('link', { name: 'bb', exact: true }).click()
  await page.getByRole('link', { name: 'test', exact: true }).waitFor()
  assert.deepEqual(complaints, [])
}

test('a registry in a container serves what is pushed to it, keeps it in its folder, and can be linked to', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'wharf-registry-image-'))
  const users = await mkdtemp(join(tmpdir(), 'wharf-registry-image-users-'))
  try {
    await using daemon = await startDaemon()
    await daemon.loadBusybox()
    const wharf = async (line: string, input?: Buffer) => {
      const result = await daemon.wharf(line.split(' '), input === undefined ? {} : { input })
      assert.equal(result.code, 0, `${line}: ${result.stderr}`)
      return line.startsWith('container logs') ? result.stderr : result.stdout
    }
    const loaded = await wharf('load', await imageArchive([await registryImage()]))
    assert.match(loaded, /Loaded image: wharf\/registry:2/)
    await wharf('image tag wharf/registry:2 registry:2')

    const port = await freePort()
    const host = `localhost:${port}`
    const started = await wharf(
      `container run -p ${port}:5000 --name reg_svr -d -e REGISTRY_LOG_LEVEL=info -v ${folder}:/var/lib/registry registry:2`,
    )
    assert.match(started, /^[0-9a-f]{64}\n$/)
    const isUp = () =>
      fetch(`http://${host}/v2/`).then(
        ({ ok }) => ok,
        () => false,
      )
    await eventually('the registry answers', isUp)
    const list = await wharf('container ls')
    assert.match(
      list,
      new RegExp(String.raw`registry:2 +"/entrypoint.sh /etc…" .* Up .*0\.0\.0\.0:${port}->5000/tcp`),
    )

    await wharf(`image tag busybox:latest ${host}/bb:test`)
    const pushed = /^test: digest: (sha256:[0-9a-f]{64}) size: \d+$/m.exec(
      await wharf(`image push ${host}/bb:test`),
    )
    assert.ok(pushed !== null)
    await wharf(`image rm ${host}/bb:test`)
    assert.match(await wharf(`image pull ${host}/bb:test`), new RegExp(`Digest: ${pushed[1]}\nStatus: `))
    assert.match(await wharf('container logs --tail 50 reg_svr'), /PUT|request|registry started/)

    const page = await (await fetch(`http://${host}/`)).text()
    assert.match(page, isPageBuilt ? /<!doctype html>/i : /web page is not built/)
    if (isPageBuilt && existsSync('/usr/bin/chromium')) await clickThrough(`http://${host}/`)

    const linked = 'run --rm --link reg_svr:rs busybox wget -qO- http://rs:5000/v2/_catalog'
    assert.equal(await wharf(linked), '{"repositories":["bb"]}\n')
    assert.equal(await wharf('container diff reg_svr'), 'C /var\nC /var/lib\nA /var/lib/registry\n')
    assert.deepEqual((await readdir(folder)).sort(), ['docker', 'wharf'])

    await wharf('rm -f reg_svr')
    await writeFile(join(users, 'htpasswd'), `alice:${await hash('secret', 4)}\n`)
    const mounts = `-v ${folder}:/var/lib/registry -v ${users}:/users`
    const settings = '-e REGISTRY_AUTH_HTPASSWD_PATH=/users/htpasswd'
    await wharf(`run -d -p ${port}:5000 --name again ${mounts} ${settings} wharf/registry:2`)
    const ask = async (proof: string) => {
      const headers = { Authorization: `Basic ${Buffer.from(proof).toString('base64')}` }
      return await fetch(`http://${host}/v2/bb/tags/list`, { headers })
    }
    await eventually('the registry answers again', () =>
      ask('alice:wrong').then(
        ({ status }) => status === 401,
        () => false,
      ),
    )
    const tags = await ask('alice:secret')
    assert.deepEqual(await tags.json(), { name: 'bb', tags: ['test'] })
    await wharf('stop again')
    assert.equal(await wharf('inspect -f {{.State.ExitCode}} again'), '0\n')
  } finally {
    await rm(folder, { recursive: true, force: true })
    await rm(users, { recursive: true, force: true })
  }
})
