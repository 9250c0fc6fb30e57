import type { SampleInput } from '@pintail/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { batchLimits, encodeBatch, lineOf, parseBatch } from './batch.ts'

const run = '0f9d5c1e-run'
const now = 1_763_800_000_000

const written = (samples: readonly SampleInput[], over: object = {}): Uint8Array => {
  const probers = [...new Set(samples.map(({ prober }) => prober))]
  const lines = samples.map((sample) => lineOf(sample, probers.indexOf(sample.prober), now))
  const text = encodeBatch('teh-1', run, { seq: 7, base: now, probers, lines }, now + 50, 3)
  return Buffer.from(JSON.stringify({ ...JSON.parse(text), ...over }))
}
const read = (bytes: Uint8Array) => {
  const result = parseBatch(bytes)
  if (!result.ok) throw new Error(`${result.why}: ${result.message}`)
  return result
}

test('samples come back as they were, whatever is in their ids and their failures', () => {
  const id = fc.string({ minLength: 1, maxLength: 200, unit: 'grapheme' }).filter((one) => one.length <= 200 && one.isWellFormed())
  const detail = fc.option(fc.string({ minLength: 1, maxLength: 100, unit: 'grapheme' }), { nil: undefined })
  const kind = fc.constantFrom('no_reply', 'refused', 'unreachable', 'wrong_answer', 'too_slow')
  const sample = fc
    .record({
      serverId: fc.oneof(id, fc.constantFrom('canary:192.0.2.1:', 'canary:[fd99::1]:443', 'a b', '%41', '{"a":1}')),
      prober: fc.constantFrom('icmp', 'tcp', 'allOf(icmp, tcp)'),
      agoMs: fc.integer({ min: -40, max: 100_000 }),
      rttMs: fc.array(fc.integer({ min: 0, max: 9_000_000 }), { maxLength: 20 }),
      lost: fc.integer({ min: 0, max: 20 }),
      failure: fc.option(fc.record({ kind, layer: id.map((one) => one.slice(0, 40).toWellFormed()), detail }), { nil: undefined }),
    })
    .map(({ agoMs, lost, rttMs, failure, ...rest }) => {
      const { length } = rttMs
      const told = failure && { kind: failure.kind, layer: failure.layer, ...(failure.detail !== undefined && { detail: failure.detail }) }
      const counts = { sent: length + lost + 1, received: length, rttMs: rttMs.map((ms) => ms / 1000) }
      return { ...rest, vantage: 'teh-1', sentAt: now - agoMs, ...counts, ...(told && { failure: told }) } as SampleInput
    })
  fc.assert(
    fc.property(fc.array(sample, { minLength: 1, maxLength: 30 }), (samples) => {
      const { batch, bad } = read(written(samples))
      expect(bad).toBe(0)
      expect(batch).toEqual({ vantage: 'teh-1', run, seq: 7, at: now + 50, lost: 3, samples })
    }),
    { seed: 11 },
  )
})

const good: SampleInput = { serverId: 's1', vantage: 'teh-1', prober: 'icmp', sentAt: now, sent: 1, received: 1, rttMs: [20] }

test('what is none is refused whole, with its reason', () => {
  const cases: [Uint8Array, string][] = [
    [Buffer.from(''), 'malformed'],
    [Buffer.from('null'), 'malformed'],
    [Buffer.from([0xff, 0xfe, 0x00]), 'malformed'],
    [Buffer.from('{"v":1'), 'malformed'],
    [Buffer.from(`${'['.repeat(100_000)}`), 'malformed'],
    [Buffer.alloc(batchLimits.bytes + 1, 32), 'oversized'],
    [written([good], { v: 2 }), 'unknown_version'],
    [written([good], { v: '1' }), 'malformed'],
    [written([good], { run: '../../x' }), 'malformed'],
    [written([good], { seq: 0 }), 'malformed'],
    [written([good], { at: 'now' }), 'malformed'],
    [written([good], { at: -1 }), 'malformed'],
    [written([good], { samples: [] }), 'malformed'],
    [written([good], { samples: Array(1025).fill('s1 0 0 1 1 20') }), 'malformed'],
    [written([good], { samples: [7] }), 'malformed'],
    [written([good], { probers: [] }), 'malformed'],
    [written([good], { probers: Array(17).fill('icmp') }), 'malformed'],
    // A vantage's word that comes with evidence of its own beside it would be two.
    [written([good], { probers: ['passive:webhook'] }), 'malformed'],
  ]
  for (const [bytes, why] of cases) expect(parseBatch(bytes), Buffer.from(bytes).toString().slice(0, 80)).toMatchObject({ ok: false, why })
})

test('a line that tells of no possible check is left out and counted, and those beside it are not', () => {
  const bad = [
    '',
    's1',
    's1 0 0 1 1',
    's1 1 0 1 1 20',
    's1 0 NaN 1 1 20',
    's1 0 1e3 1 1 20',
    's1 0 0x10 1 1 20',
    's1 0 Infinity 1 1 20',
    's1 0 0 -1 1 20',
    's1 0 0 1 1 -20',
    's1 0 0 1 1 20,',
    's1 0 0 1 1 1.2',
    's1 0 0.5 1 1 20',
    's1 0 -50100 1 1 20',
    's1 0 121000000 1 1 20',
    '%E0%A4%A 0 0 1 1 20',
    's1 0 0 1 0 - down icmp',
    's1 0 0 1 0 - no_reply',
    's1 0 0 1 0 - no_reply icmp a b',
    's1\n0 0 1 1 20',
  ]
  const result = read(written([good], { samples: [...bad, 's2 0 0 1 1 20'] }))
  expect(result.bad).toBe(bad.length)
  expect(result.batch.samples.map(({ serverId }) => serverId)).toEqual(['s2'])
})

test('a line of the greatest length is read in no time', () => {
  const line = `s1 0 0 1 1 ${'1,'.repeat(1500)}x ${'a '.repeat(500)}`
  expect(read(written([good], { samples: Array(60).fill(line) })).bad).toBe(60)
})
