import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ContainerConfig, ExecConfig, HostConfig, NetworkingConfig } from './container-config.ts'
import { decodeGo } from './go-json.ts'

const schemas = { ContainerConfig, ExecConfig, HostConfig, NetworkingConfig }
const leaves = [null, '', 'x', 7, 1.5, 2 ** 60, true, [], ['a'], [1], {}]
const deeper = [{ a: 'b' }, { a: {} }, { name: 'n', Soft: 1 }, [{ Path: '/' }]]
const values: unknown[] = [...leaves, ...deeper, JSON.parse('{"__proto__":"x"}')]

/** What the schema says of a value, and what the shortcut makes of it. */
function compare(name: keyof typeof schemas, value: unknown): void {
  const schema = schemas[name]
  const slow = schema.safeParse(value)
  const quick = decodeGo(schema, value)
  const text = `${name} ${JSON.stringify(value)}`
  assert.equal(quick.success, slow.success, text)
  if (slow.success) assert.deepStrictEqual(quick.data, slow.data, text)
  else assert.deepEqual(quick.error?.issues, slow.error.issues, text)
}

test('a shortcut decodes each field as its schema does, whatever is in it', () => {
  for (const name of ['ContainerConfig', 'ExecConfig', 'HostConfig', 'NetworkingConfig'] as const) {
    for (const value of values) compare(name, value)
    for (const field of Object.keys(schemas[name].parse({}))) {
      for (const value of values) compare(name, { [field]: value })
      compare(name, { [field.toLowerCase()]: 'x', Unknown: 1 })
    }
  }
})

test('what is decoded shares nothing with what was decoded before', () => {
  const [one, other] = [decodeGo(HostConfig, {}), decodeGo(HostConfig, {})]
  assert.ok(one.success && other.success)
  assert.notEqual(one.data.LogConfig, other.data.LogConfig)
})
