import { getEventListeners } from 'node:events'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PintailError } from '../errors.ts'
import type { ProbeResult, Prober, ProbeTarget } from '../ports.ts'
import type { ProbeFailure, ServerId } from '../vocabulary.ts'
import { allOf, anyOf, quorumOf } from './composite.ts'

const target: ProbeTarget = { serverId: 'ams-1' as ServerId, host: '10.0.0.1', port: null, packets: 4, timeoutMs: 100 }
const ctx = { signal: new AbortController().signal }

const prober = (name: string, answer: () => ProbeResult | Promise<ProbeResult>): Prober => ({
  name,
  probe: async () => answer(),
})
/** A prober of which each time stands for a reply, and the rest of the four packets is lost. */
const answering = (name: string, ...rttMs: number[]): Prober =>
  prober(name, () => ({ sent: 4, received: rttMs.length, rttMs, failure: null }))
const failing = (name: string, kind: ProbeFailure['kind'] = 'no_reply'): Prober =>
  prober(name, () => ({ sent: 4, received: 0, rttMs: [], failure: { kind, layer: name } }))
const throwing = (name: string, error: unknown = new PintailError('prober_unavailable', 'no ping')): Prober =>
  prober(name, () => Promise.reject(error))

const icmp = answering('icmp', 10, 10, 10, 10)
const tcp = answering('tcp', 20, 20, 20, 20)
const probe = (composite: Prober) => Promise.resolve(composite.probe(target, ctx))

describe('names and arguments', () => {
  test('a composite is named after its members', () => {
    expect(allOf(icmp, tcp).name).toBe('allOf(icmp,tcp)')
    expect(anyOf(icmp).name).toBe('anyOf(icmp)')
    expect(quorumOf(2, icmp, tcp, anyOf(icmp, tcp)).name).toBe('quorumOf(2,icmp,tcp,anyOf(icmp,tcp))')
    expect(allOf(...Array.from({ length: 50 }, () => icmp)).name).toHaveLength(100)
  })

  test('a composite of nothing, or of more than there are, is refused', () => {
    const refused = expect.objectContaining({ code: 'invalid_argument' })
    expect(() => allOf()).toThrow(refused)
    expect(() => anyOf()).toThrow(refused)
    for (const n of [0, -1, 3, 1.5, Number.NaN]) expect(() => quorumOf(n, icmp, tcp)).toThrow(refused)
  })

  test('making a composite probes nothing, and probing runs all members at once', async () => {
    const started: string[] = []
    const release = Promise.withResolvers<void>()
    const waiting = (name: string) =>
      prober(name, async () => {
        started.push(name)
        await release.promise
        return { sent: 1, received: 1, rttMs: [1] }
      })
    const composite = allOf(waiting('a'), waiting('b'), waiting('c'))
    expect(started).toEqual([])
    const running = probe(composite)
    expect(started).toEqual(['a', 'b', 'c'])
    release.resolve()
    await running
  })
})

describe('allOf', () => {
  test('ping alone is not VPN health: the failure names the layer that failed', async () => {
    expect(await probe(allOf(icmp, failing('tcp', 'refused')))).toEqual({
      sent: 4,
      received: 0,
      rttMs: [],
      failure: { kind: 'refused', layer: 'tcp', detail: 'icmp ok, tcp refused' },
    })
  })

  test('where all layers failed, the first one is named', async () => {
    expect((await probe(allOf(failing('icmp'), failing('tcp', 'unreachable')))).failure).toEqual({
      kind: 'no_reply',
      layer: 'icmp',
      detail: 'icmp no reply, tcp unreachable',
    })
  })

  test('a failure counts whatever came back', async () => {
    const http = prober('http', () => ({
      sent: 1,
      received: 1,
      rttMs: [5],
      failure: { kind: 'wrong_answer', layer: 'http' },
    }))
    expect(await probe(allOf(icmp, http))).toMatchObject({
      received: 0,
      failure: { kind: 'wrong_answer', layer: 'http' },
    })
    expect(await probe(anyOf(icmp, http))).toMatchObject({ received: 4, failure: null })
  })

  test('loss is that of the lossiest member, latency that of the slowest', async () => {
    expect(await probe(allOf(icmp, tcp))).toEqual({ sent: 4, received: 4, rttMs: [20, 20, 20, 20], failure: null })
    expect(await probe(allOf(answering('icmp', 1, 1), answering('tcp', 90, 100, 110, 100)))).toEqual({
      sent: 4,
      received: 2,
      rttMs: [100, 100],
      failure: null,
    })
  })

  test('a member that could not try decides nothing: neither a failing server nor a passing one', async () => {
    await expect(probe(allOf(icmp, throwing('tcp')))).rejects.toMatchObject({
      code: 'prober_unavailable',
      message: 'allOf(icmp,tcp): tcp could not try: no ping',
    })
  })

  test('what has failed anyway fails without the member that could not try', async () => {
    expect((await probe(allOf(throwing('icmp'), failing('tcp', 'refused')))).failure).toEqual({
      kind: 'refused',
      layer: 'tcp',
      detail: 'icmp could not try, tcp refused',
    })
  })

  test('it passes a threshold exactly where each member passes it', async () => {
    const member = fc.array(fc.double({ min: 0, max: 600, noNaN: true }), { maxLength: 4 })
    const passes = ({ sent, received, rttMs }: ProbeResult) =>
      received > 0 && received / sent > 0.5 && rttMs.reduce((sum, ms) => sum + ms, 0) / received <= 300
    await fc.assert(
      fc.asyncProperty(fc.array(member, { minLength: 1, maxLength: 4 }), async (all) => {
        const members = all.map((rttMs, index) => answering(`m${index}`, ...rttMs))
        const result = await probe(allOf(...members))
        expect(result.rttMs).toHaveLength(result.received)
        const each = await Promise.all(members.map(async (one) => passes(await one.probe(target, ctx))))
        // A mean put together anew may differ in its last bit.
        const borderline = Math.abs(result.rttMs.reduce((sum, ms) => sum + ms, 0) / result.received - 300) < 1e-9
        if (!borderline) expect(passes(result)).toBe(each.every(Boolean))
      }),
      { seed: 20, numRuns: 500 },
    )
  })
})

describe('anyOf', () => {
  test('one member that passes is enough', async () => {
    expect(await probe(anyOf(failing('icmp'), tcp))).toEqual({
      sent: 4,
      received: 4,
      rttMs: [20, 20, 20, 20],
      failure: null,
    })
    expect(await probe(anyOf(throwing('icmp'), tcp))).toMatchObject({ received: 4, failure: null })
  })

  test('the best member counts: least loss first, then the faster one', async () => {
    expect((await probe(anyOf(tcp, icmp))).rttMs).toEqual([10, 10, 10, 10])
    expect((await probe(anyOf(answering('icmp', 1, 1, 1), tcp))).rttMs).toEqual([20, 20, 20, 20])
  })

  test('silence of all is a failure, and tells of each', async () => {
    expect((await probe(anyOf(failing('icmp'), failing('tcp', 'refused')))).failure).toEqual({
      kind: 'no_reply',
      layer: 'icmp',
      detail: 'icmp no reply, tcp refused',
    })
  })

  test('silence of one is no failure while another could not try', async () => {
    await expect(probe(anyOf(failing('icmp'), throwing('tcp')))).rejects.toMatchObject({ code: 'prober_unavailable' })
    await expect(probe(anyOf(answering('icmp', 1), throwing('tcp')))).rejects.toMatchObject({
      code: 'prober_unavailable',
    })
  })
})

describe('quorumOf', () => {
  test('the n best members decide', async () => {
    const three = [failing('tls'), icmp, tcp] as const
    expect(await probe(quorumOf(2, ...three))).toMatchObject({ received: 4, rttMs: [20, 20, 20, 20], failure: null })
    expect(await probe(quorumOf(3, ...three))).toMatchObject({
      received: 0,
      failure: { layer: 'tls', detail: 'tls no reply, icmp ok, tcp ok' },
    })
  })

  test('members that could not try matter only where they could turn the outcome', async () => {
    await expect(probe(quorumOf(2, icmp, failing('tcp'), throwing('tls')))).rejects.toMatchObject({
      code: 'prober_unavailable',
    })
    expect(await probe(quorumOf(2, icmp, tcp, throwing('tls')))).toMatchObject({ received: 4, failure: null })
    expect(await probe(quorumOf(2, failing('icmp'), failing('tcp'), throwing('tls')))).toMatchObject({ received: 0 })
  })

  test('a result with a member that could not try is the result with any vote of that member', async () => {
    const votes = ['pass', 'fail', 'throw'] as const
    const make = (vote: (typeof votes)[number], name: string) =>
      vote === 'pass' ? answering(name, 5, 5, 5, 5) : vote === 'fail' ? failing(name) : throwing(name)
    const cast = fc.array(fc.constantFrom(...votes), { minLength: 1, maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(cast, fc.nat(), async (all, seed) => {
        const n = (seed % all.length) + 1
        const passed = all.filter((one) => one === 'pass').length
        const open = all.filter((one) => one === 'throw').length
        const outcome = await probe(quorumOf(n, ...all.map((one, index) => make(one, `m${index}`)))).then(
          ({ received }) => received > 0,
          () => 'throws',
        )
        expect(outcome).toBe(passed >= n ? true : passed + open < n ? false : 'throws')
      }),
      { seed: 21, numRuns: 500 },
    )
  })
})

describe('members that misbehave', () => {
  test.each([
    ['more replies than packets', { sent: 1, received: 2, rttMs: [1, 1] }],
    ['a negative time', { sent: 2, received: 2, rttMs: [-1, 2] }],
    ['NaN', { sent: 2, received: 2, rttMs: [Number.NaN, 2] }],
    ['nothing sent', { sent: 0, received: 0, rttMs: [] }],
    ['no result', undefined as unknown as ProbeResult],
  ])('an impossible result counts as not tried: %s', async (_what, result) => {
    const broken = prober('broken', () => result)
    await expect(probe(allOf(icmp, broken))).rejects.toMatchObject({ code: 'prober_unavailable' })
    expect(await probe(anyOf(icmp, broken))).toMatchObject({ received: 4, failure: null })
  })

  test('a member that throws before it returns a promise is a member that throws', async () => {
    const rude: Prober = {
      name: 'rude',
      probe: () => {
        throw new PintailError('unknown_host', 'no such name', { remedy: 'Check the name.' })
      },
    }
    await expect(probe(allOf(icmp, rude))).rejects.toMatchObject({ code: 'unknown_host', remedy: 'Check the name.' })
  })

  test('an abort settles at once, even where a member hangs, and leaves no listener', async () => {
    const hanging: Prober = { name: 'hanging', probe: () => new Promise(() => {}) }
    const controller = new AbortController()
    const running = allOf(icmp, hanging).probe(target, { signal: controller.signal })
    controller.abort()
    await expect(running).rejects.toMatchObject({ code: 'aborted' })
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
  })
})
