import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatDuration, humanDuration, parseDuration } from './duration.ts'
import { bytesSize, fromHumanSize, humanSize, ramInBytes } from './units.ts'

test('sizes are shown with so many significant digits', () => {
  const shown: [number, string][] = [
    [0, '0B'],
    [999, '999B'],
    [1000, '1kB'],
    [1234, '1.234kB'],
    [12_345_678, '12.35MB'],
    [1e15, '1PB'],
  ]
  for (const [bytes, text] of shown) assert.equal(humanSize(bytes), text)
  assert.equal(humanSize(1_234_567, 3), '1.23MB')
  assert.equal(humanSize(1_980_000, 3), '1.98MB')
  assert.equal(bytesSize(100.25 * 1024 ** 2), '100.2MiB')
  assert.equal(bytesSize(1536), '1.5KiB')
  assert.equal(bytesSize(15.55 * 1024 ** 3), '15.55GiB')
})

test('sizes are read in binary and decimal units', () => {
  const read: [string, number][] = [
    ['32', 32],
    ['32b', 32],
    ['32k', 32_768],
    ['1.5 KiB', 1536],
    ['0.5g', 536_870_912],
    ['4GB', 4_294_967_296],
  ]
  for (const [text, bytes] of read) assert.equal(ramInBytes(text), bytes)
  assert.equal(fromHumanSize('10GB'), 10e9)
  for (const text of ['', 'x', '-5', '1q', '1kbb', '.'])
    assert.throws(() => ramInBytes(text), /invalid|ParseFloat/)
})

test("durations are Go's", () => {
  const pairs: [string, number][] = [
    ['0s', 0],
    ['1.5s', 15e8],
    ['1m30s', 90e9],
    ['2h0m0s', 7200e9],
    ['1ms', 1e6],
    ['1.5µs', 1500],
    ['3ns', 3],
    ['-1m0s', -60e9],
  ]
  for (const [text, nanoseconds] of pairs) {
    assert.equal(parseDuration(text), nanoseconds)
    assert.equal(formatDuration(nanoseconds), text)
  }
  assert.throws(() => parseDuration('5'), { message: 'time: missing unit in duration "5"' })
  assert.throws(() => parseDuration('5x'), { message: 'time: unknown unit "x" in duration "5x"' })
  assert.throws(() => parseDuration(''), { message: 'time: invalid duration ""' })
})

test("ages are in Docker's words", () => {
  const second = 1000
  const hour = 3600 * second
  const words: [number, string][] = [
    [0, 'Less than a second'],
    [second, '1 second'],
    [59 * second, '59 seconds'],
    [60 * second, 'About a minute'],
    [119 * second, 'About a minute'],
    [120 * second, '2 minutes'],
    [hour, 'About an hour'],
    [47 * hour, '47 hours'],
    [48 * hour, '2 days'],
    [14 * 24 * hour, '2 weeks'],
    [60 * 24 * hour, '2 months'],
    [730 * 24 * hour, '2 years'],
  ]
  for (const [milliseconds, text] of words) assert.equal(humanDuration(milliseconds), text)
})
