import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import type { ObservationSource, SampleInput } from '../../ports.ts'
import { parseSample } from '../../rows.ts'
import {
  type Attempt,
  attempt,
  type Bench,
  type ContractRule,
  type Kit,
  type KitOptions,
  shown,
  type Troubles,
  toRules,
  within,
} from './rule.ts'

/** A source, and the way by which samples get there. */
export interface ObservationHarness extends Troubles {
  readonly source: ObservationSource
  /**
   * Hands in what vantages have seen, as they would: each sample under its own `vantage`, `contract-1` or `contract-2`. Resolves when it is on its way.
   * What is handed in while nobody reads may be lost.
   */
  send(samples: readonly SampleInput[]): unknown
  /** Resolves when a reader that has asked gets what is handed in from now on. Default: at once. */
  ready?(): PromiseLike<unknown>
  /** Hands in the same samples twice, as a network does that has lost an answer. */
  sendTwice?(samples: readonly SampleInput[]): unknown
  /** Hands in what is no sample, in as many ways as anybody could. */
  sendJunk?(): unknown
  /** A new source in the same place, as after a restart of the process. */
  restart?(): ObservationSource | PromiseLike<ObservationSource>
  /** By how much `sentAt` may differ from what was handed in, milliseconds: times that are translated between clocks. Default 0. */
  readonly toleranceMs?: number
}

/** Optional parts of the harness. */
export type ObservationExtra = 'sendTwice' | 'sendJunk' | 'restart' | 'goDown'

/**
 * What every source of samples must do: what it yields was seen, by that vantage, then. `create` makes a fresh one for each rule.
 * @example for (const rule of observationSourceContract(create, { without: ['restart', 'goDown'] })) test(rule.name, rule.run)
 */
export function observationSourceContract(
  create: () => ObservationHarness | PromiseLike<ObservationHarness>,
  options: KitOptions<ObservationExtra> = {},
): ContractRule[] {
  return toRules(kit, create, options)
}

const kit: Kit<ObservationHarness, ObservationExtra> = {
  has: (harness, extra) => harness[extra] !== undefined && (extra !== 'goDown' || harness.comeBack !== undefined),
  rules: [
    {
      name: 'a sample that was handed in is yielded, as it was',
      run: async (harness, bench) => {
        await using reader = await reading(harness, bench)
        const samples = [
          sample(),
          sample({ received: 0, rttMs: [], failure: { kind: 'no_reply', layer: 'icmp' } }),
          sample({ received: 0, rttMs: [], failure: { kind: 'refused', layer: 'tcp', detail: 'connection refused' } }),
          sample({ sent: 5, received: 3, rttMs: [0.25, 12.5, 300] }),
          sample({ serverId: 'canary:192.0.2.9:443' }),
          sample({ prober: 'allOf(icmp, tcp)' }),
        ]
        await harness.send(samples)
        await reader.until(samples.length)
        same(reader.samples, samples, harness)
      },
    },
    {
      name: 'ids come back as they were: spaces, quotes, dots, stars, all of Unicode',
      run: async (harness, bench) => {
        await using reader = await reading(harness, bench)
        const ids = ['de 1', '"a"', 'a.b.>', '*', '%41', 'ключ', '🦆', 'x'.repeat(200), '7']
        const samples = ids.map((serverId) => sample({ serverId }))
        await harness.send(samples)
        await reader.until(samples.length)
        same(reader.samples, samples, harness)
      },
    },
    {
      name: 'each vantage speaks in its own name, and of one server in its order',
      run: async (harness, bench) => {
        await using reader = await reading(harness, bench)
        const rounds = Array.from({ length: 10 }, () =>
          vantages.flatMap((vantage) => ['s1', 's2'].map((serverId) => sample({ vantage, serverId }))),
        )
        for (const round of rounds) await harness.send(round)
        await reader.until(rounds.flat().length)
        for (const vantage of vantages)
          for (const serverId of ['s1', 's2']) {
            const of = (one: SampleInput) => one.vantage === vantage && one.serverId === serverId
            same(reader.samples.filter(of), rounds.flat().filter(of), harness)
          }
      },
    },
    {
      name: 'of 2 000 samples each is yielded once, also to a reader that is slow',
      run: async (harness, bench) => {
        await using reader = await reading(harness, bench, { slow: true })
        const at = Date.now() - 500
        const samples = Array.from({ length: 2000 }, (_, index) => sample({ serverId: `s${index}`, sentAt: at }))
        for (let from = 0; from < samples.length; from += 250) await harness.send(samples.slice(from, from + 250))
        await reader.until(samples.length)
        await turns()
        assert.equal(reader.samples.length, samples.length, 'samples that were yielded')
        assert.equal(new Set(reader.samples.map(({ serverId }) => serverId)).size, samples.length, 'different ones among them')
      },
    },
    {
      name: 'what arrives twice is no second observation',
      needs: ['sendTwice'],
      run: async (harness, bench) => {
        await using reader = await reading(harness, bench)
        const samples = [sample(), sample({ serverId: 's2' })]
        await harness.sendTwice?.(samples)
        const last = sample({ serverId: 'last' })
        await harness.send([last])
        await reader.find('last')
        // The engine ignores what is not newer: yielding it again as it was is harmless, with another time it would be a lie.
        for (const one of samples) {
          const told = reader.samples.filter(({ serverId }) => serverId === one.serverId)
          assert.ok(told.length >= 1, `the sample of ${one.serverId} is missing`)
          for (const again of told) same([again], [told[0] as SampleInput], { toleranceMs: 0 })
        }
      },
    },
    {
      name: 'what is no sample is not yielded, and costs nobody else a sample',
      needs: ['sendJunk'],
      run: async (harness, bench) => {
        await using reader = await reading(harness, bench)
        const [before, after] = [sample({ serverId: 'before' }), sample({ serverId: 'after' })]
        await harness.send([before])
        await harness.sendJunk?.()
        await harness.send([after])
        await reader.find('after')
        for (const one of reader.samples) {
          const parsed = parseSample(one)
          assert.ok(parsed.ok, `it yielded ${JSON.stringify(one).slice(0, 200)}`)
        }
        same(reader.samples, [before, after], harness)
      },
    },
    {
      name: 'a reader whose signal has fired gets nothing, and its iteration ends soon',
      run: async ({ source }, { promptMs }) => {
        const stopped = new AbortController()
        stopped.abort()
        const iterator = source.samples({ signal: stopped.signal })[Symbol.asyncIterator]()
        const end = await soon(promptMs, 'next(), its signal having fired,', iterator.next())
        assert.ok(!end.ok || end.value.done, 'it yielded a sample')
      },
    },
    {
      name: 'one that waits ends soon after its signal fired, leaves no listener on it, and another one goes on',
      run: async (harness, bench) => {
        const stopping = new AbortController()
        const iterator = harness.source.samples({ signal: stopping.signal })[Symbol.asyncIterator]()
        const waiting = iterator.next()
        await harness.ready?.()
        stopping.abort()
        const end = await soon(bench.promptMs, 'next(), its signal having fired,', waiting)
        assert.ok(!end.ok || end.value.done, 'it yielded a sample')
        await soon(bench.promptMs, 'return()', Promise.resolve(iterator.return?.()))
        assert.equal(getEventListeners(stopping.signal, 'abort').length, 0, 'listeners on the signal')
        await using reader = await reading(harness, bench)
        await harness.send([sample()])
        await reader.until(1)
      },
    },
    {
      name: 'a reader that goes in the middle is let go, and the next one gets what comes then',
      run: async (harness, bench) => {
        const { signal } = new AbortController()
        const iterator = harness.source.samples({ signal })[Symbol.asyncIterator]()
        const first = iterator.next()
        await harness.ready?.()
        await harness.send([sample(), sample()])
        assert.equal((await first).done ?? false, false, 'it ended')
        const end = await soon(bench.promptMs, 'return()', Promise.resolve(iterator.return?.()))
        assert.ok(end.ok, end.ok ? '' : `return() threw ${shown(end.error)}`)
        assert.equal(getEventListeners(signal, 'abort').length, 0, 'listeners on the signal')
        await using reader = await reading(harness, bench)
        await harness.send([sample({ serverId: 'next' })])
        await reader.find('next')
      },
    },
    {
      name: 'after a restart what is old is not told as if it were new',
      needs: ['restart'],
      run: async (harness, bench) => {
        const at = Date.now() - 4000
        const old = ['s1', 's2'].map((serverId) => sample({ serverId, sentAt: at }))
        {
          await using reader = await reading(harness, bench)
          await harness.send(old)
          await reader.until(old.length)
        }
        const source = (await harness.restart?.()) as ObservationSource
        const next = { ...harness, source }
        await using reader = await reading(next, bench)
        await harness.send([sample({ serverId: 'new' })])
        await reader.find('new')
        for (const one of reader.samples.filter(({ serverId }) => serverId !== 'new'))
          same(
            [one],
            old.filter(({ serverId }) => serverId === one.serverId),
            harness,
          )
      },
    },
    {
      name: 'while the way is cut nothing is made up, and when it is back samples come again',
      needs: ['goDown'],
      run: async (harness, bench) => {
        await using reader = await reading(harness, bench)
        await harness.send([sample({ serverId: 'before' })])
        await reader.find('before')
        await harness.goDown?.()
        // Some sources throw and some wait: the engine asks again either way.
        await turns()
        await harness.comeBack?.()
        await harness.ready?.()
        for (let tries = 0; !reader.has('after'); tries++) {
          assert.ok(tries < 200, 'nothing comes any more')
          await harness.send([sample({ serverId: 'after' })])
          await new Promise((resolve) => setTimeout(resolve, 100))
        }
        for (const { serverId } of reader.samples) assert.ok(['before', 'after'].includes(String(serverId)), `it made up ${serverId}`)
      },
    },
  ],
}

// ------------------------------------------------------------------------------------------------------- what rules use

const vantages = ['contract-1', 'contract-2'] as const
let newest = 0

/** Just now; of one server no two have one time, and a later one is later. */
function sample(over: Partial<SampleInput> = {}): SampleInput {
  if (over.sentAt === undefined) newest = Math.max(Date.now() - 500, newest + 1)
  return { serverId: 's1', vantage: vantages[0], prober: 'icmp', sentAt: newest, sent: 1, received: 1, rttMs: [20], failure: null, ...over }
}

/** The same, but for their order among servers, and for times within what the harness allows. */
function same(
  told: readonly SampleInput[],
  expected: readonly SampleInput[],
  { toleranceMs = 0 }: { readonly toleranceMs?: number },
): void {
  assert.deepEqual(told.map(plain), expected.map(plain))
  for (const [index, { sentAt }] of told.entries()) {
    const differsMs = Math.abs(sentAt - (expected[index]?.sentAt ?? Number.NaN))
    assert.ok(differsMs <= toleranceMs, `sentAt differs by ${differsMs} ms`)
  }
}

const plain = ({ serverId, vantage, prober, sent, received, rttMs = [], failure = null }: SampleInput) => ({
  ...{ serverId: String(serverId), vantage, prober, sent, received, rttMs: [...rttMs] },
  failure: failure && { ...failure },
})

/** Reads as the engine does: when the source throws or ends it is asked again. */
async function reading(harness: Pick<ObservationHarness, 'source' | 'ready'>, { ctx }: Bench, { slow = false } = {}) {
  const stopping = new AbortController()
  const onEnd = (): void => stopping.abort()
  ctx.signal.addEventListener('abort', onEnd, { once: true })
  const samples: SampleInput[] = []
  let wake = (): void => {}
  let trouble: unknown = 'nothing'
  const once = async (): Promise<void> => {
    for await (const one of harness.source.samples({ signal: stopping.signal })) {
      samples.push(one)
      wake()
      if (slow && samples.length % 100 === 0) await turns()
      if (stopping.signal.aborted) return
    }
  }
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const end = await attempt(once)
      if (!end.ok) trouble = shown(end.error)
      if (!stopping.signal.aborted) await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  const done = run()
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) {
      assert.ok(!stopping.signal.aborted, `${samples.length} samples came in time; the last trouble was ${trouble}`)
      await new Promise<void>((resolve) => {
        wake = resolve
        stopping.signal.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  }
  await harness.ready?.()
  return {
    samples,
    has: (serverId: string) => samples.some((one) => one?.serverId === serverId),
    until: (count: number) => until(() => samples.length >= count),
    find: (serverId: string) => until(() => samples.some((one) => one?.serverId === serverId)),
    [Symbol.asyncDispose]: async () => {
      ctx.signal.removeEventListener('abort', onEnd)
      stopping.abort()
      wake()
      await done
    },
  }
}

/** What is ready has its turn. */
const turns = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20))

/** How a promise ends that must end soon. */
const soon = <T>(promptMs: number, what: string, promise: PromiseLike<T>): Promise<Attempt<T>> =>
  within(
    promptMs,
    what,
    attempt(() => promise),
  )
