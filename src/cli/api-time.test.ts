/** Times of `--since` and `--until`; every text and every answer is the stock client's. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apiTime } from './api-time.ts'

const noon = Date.UTC(2026, 10, 28, 12)

test('dates, durations and seconds since 1970 become the time that the API takes', () => {
  const times = {
    '2026-11-28Z': '1795824000.000000000',
    '2026-11-28+01:00': '1795820400.000000000',
    '2026-11-28T10-05:00': '1795878000.000000000',
    '2026-11-28T10:00:00+01:00': '1795856400.000000000',
    '2026-11-28T10:00:00.5Z': '1795860000.500000000',
    '2026-11-28T10:00:00,25Z': '1795860000.250000000',
    '5s': '1795867195.000000000',
    '-5s': '1795867205.000000000',
    '0': '0',
    '00': '00',
    '+5': '+5',
    '1.1234567890': '1.1234567890',
  }
  for (const [text, time] of Object.entries(times)) assert.equal(apiTime(text, '', noon), time, text)
  assert.equal(apiTime(''), undefined)
  const local = new Date(noon).getTimezoneOffset() * 60
  assert.equal(apiTime('2026-11-28T1:00', '', noon), `${1_795_827_600 + local}.000000000`)
})

const refusals: readonly (readonly [text: string, message: string])[] = [
  ['2026-13-01', 'parsing time "2026-13-01": month out of range'],
  ['2026-00-10', 'parsing time "2026-00-10": month out of range'],
  ['2026-11-31', 'parsing time "2026-11-31": day out of range'],
  ['2026-02-30', 'parsing time "2026-02-30": day out of range'],
  ['2026-11-00', 'parsing time "2026-11-00": day out of range'],
  ['2026-11-28T25', 'parsing time "2026-11-28T25": hour out of range'],
  ['2026-11-28T10:61', 'parsing time "2026-11-28T10:61": minute out of range'],
  ['2026-11-28T10:00:60', 'parsing time "2026-11-28T10:00:60": second out of range'],
  [
    '2026-11-28T10:00:00+25:00',
    'parsing time "2026-11-28T10:00:00+25:00": time zone offset hour out of range',
  ],
  ['2026-11-28x', 'parsing time "2026-11-28x": extra text: "x"'],
  ['2026-11-28 10:00', 'parsing time "2026-11-28 10:00": extra text: " 10:00"'],
  ['2026-11-28t10:00', 'parsing time "2026-11-28t10:00": extra text: "t10:00"'],
  ['2026-11-28T10:00:00.123x', 'parsing time "2026-11-28T10:00:00.123x": extra text: "x"'],
  ['2026-11-28T10:00:00Zx', 'parsing time "2026-11-28T10:00:00Zx": extra text: "x"'],
  ['2026-1-1', 'parsing time "2026-1-1" as "2006-01-02": cannot parse "1-1" as "01"'],
  ['2026-11', 'parsing time "2026-11" as "2006-01-02": cannot parse "" as "-"'],
  ['20260-1-1', 'parsing time "20260-1-1" as "2006-01-02": cannot parse "0-1-1" as "-"'],
  ['2026-11-28T', 'parsing time "2026-11-28T" as "2006-01-02T15": cannot parse "" as "15"'],
  ['2026-11-28T10:0', 'parsing time "2026-11-28T10:0" as "2006-01-02T15:04": cannot parse "0" as "04"'],
  [
    '2026-11-28T10:00:00z',
    'parsing time "2026-11-28T10:00:00z" as "2006-01-02T15:04:05Z07:00": cannot parse "z" as "Z07:00"',
  ],
  [
    '2026-11-28T10:00:00+01',
    'parsing time "2026-11-28T10:00:00+01" as "2006-01-02T15:04Z07:00": cannot parse ":00+01" as "Z07:00"',
  ],
  ['-5', 'parsing time "-5" as "2006-01-02": cannot parse "-5" as "2006"'],
  ['-1.5', 'parsing time "-1.5" as "2006-01-02T15:04:05.999999999": cannot parse "-1.5" as "2006"'],
  ['5m-3s', 'parsing time "5m-3s" as "2006-01-02": cannot parse "5m-3s" as "2006"'],
  ['abc', 'failed to parse value as time or duration: "abc"'],
  ['1.x', 'failed to parse value as time or duration: "1.x"'],
  ['1.', 'failed to parse value as time or duration: "1."'],
  ['99999999999999999999', 'failed to parse value as time or duration: "99999999999999999999"'],
]

test('what is no time is refused in the words of Go', () => {
  for (const [text, message] of refusals) assert.throws(() => apiTime(text), { message }, text)
  const message = 'invalid value for "since": parsing time "2026-13-01": month out of range'
  assert.throws(() => apiTime('2026-13-01', 'since'), { message })
})
