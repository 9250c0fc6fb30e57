import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { PintailError } from '../../errors.ts'
import type { CallContext, ProbeResult, Prober, ProbeTarget } from '../../ports.ts'
import type { ServerId } from '../../vocabulary.ts'
import { abortCall, attempt, type Bench, type ContractRule, frozen, type Kit, type KitOptions, shown, toRules } from './rule.ts'

/** Where a server is: the rest of a target is the kit's. */
export interface ProbedServer {
  readonly host: string
  /** Default null. */
  readonly port?: number | null
}

/** A prober, and servers whose state is known. */
export interface ProberHarness {
  readonly prober: Prober
  /** A server that answers every packet within half a second, and goes on doing so. */
  readonly answering: ProbedServer
  /** A server to which packets get, and which never answers. */
  readonly silent?: ProbedServer
  /** A server that refuses at once. */
  readonly refusing?: ProbedServer
  /** From now on the prober's own means are gone: no program, no permission, no network. Needs `mendTool`. */
  breakTool?(): unknown
  /** All is well again. */
  mendTool?(): unknown
  /** Closes what `create` opened. */
  dispose?(): unknown
}

/** Optional parts: of the prober (`probeMany`; `names`: it resolves DNS names) and of the harness. */
export type ProberExtra = 'probeMany' | 'names' | 'silent' | 'refusing' | 'breakTool'

/**
 * What every prober must do: evidence is exact, what is no evidence is a throw, and a call settles with its signal.
 * `create` makes a fresh prober for each rule.
 * @example for (const rule of proberContract(create, { without: ['probeMany', 'breakTool'] })) test(rule.name, rule.run)
 */
export function proberContract(
  create: () => ProberHarness | PromiseLike<ProberHarness>,
  options: KitOptions<ProberExtra> = {},
): ContractRule[] {
  return toRules(kit, create, options)
}

const kit: Kit<ProberHarness, ProberExtra> = {
  has: (harness, extra) => {
    if (extra === 'probeMany') return harness.prober.probeMany !== undefined
    if (extra === 'names') return null
    return extra === 'breakTool' ? harness.breakTool !== undefined && harness.mendTool !== undefined : harness[extra] !== undefined
  },
  rules: [
    {
      name: 'a prober has a name',
      run: async ({ prober }) => assert.match(prober.name, /^[\w:.-]{1,64}$/),
    },
    {
      name: 'a server that answers has an answer and a time for each packet, and no failure',
      run: async (harness, bench) => {
        for (const packets of [1, 3]) answers(await told(harness, living(harness, bench, packets), bench), packets)
      },
    },
    {
      name: 'checks at the same time do not disturb each other',
      run: async (harness, bench) => {
        const counts = [1, 2, 3, 1, 2]
        const calls = counts.map((packets) => attempt(() => told(harness, living(harness, bench, packets), bench)))
        const ends = await Promise.all(calls)
        for (const [index, end] of ends.entries()) answers(resolved(end), counts[index] as number)
      },
    },
    {
      name: 'a silent server is a result with a failure that names kind and layer, within the time that its packets have',
      needs: ['silent'],
      run: async (harness, bench) => {
        let tookMs = 0
        const result = await told(harness, at(harness.silent, { packets: 2, timeoutMs: 300 }), bench, (ms) => {
          tookMs = ms
        })
        fails(result, 2, ['no_reply', 'unreachable'])
        // Two packets at most 0.6 s apart, one after the other at worst, and a machine as busy as the rule's own time allows for.
        const mostMs = atMost(bench)
        assert.ok(tookMs < mostMs, `it took longer than ${mostMs} ms for 2 packets of 0.3 s`)
      },
    },
    {
      name: 'a refusal is told from silence, and at once',
      needs: ['refusing'],
      run: async (harness, bench) => {
        let tookMs = 0
        const result = await told(harness, at(harness.refusing, { packets: 1, timeoutMs: 60_000 }), bench, (ms) => {
          tookMs = ms
        })
        fails(result, 1, ['refused'])
        assert.ok(tookMs < atMost(bench), 'it waited for the time-out')
      },
    },
    {
      name: 'a name that does not resolve is `unknown_host`, and says nothing about a server',
      needs: ['names'],
      run: async (harness, { ctx }) => {
        const end = await attempt(() => harness.prober.probe(at({ ...harness.answering, host: 'no-such-server.invalid' }), ctx))
        throwsCode(end, ['unknown_host'])
      },
    },
    {
      name: 'a host that is none is `invalid_host`, whatever is in it, and reaches nobody',
      run: async (harness, { ctx }) => {
        for (const host of [
          '-h',
          '--help',
          '',
          ' ',
          '127.0.0.1\n-f',
          '\n127.0.0.1',
          '$(id).example',
          '127.0.0.1; id',
          'a\0b',
          '127.0.0.256',
        ])
          throwsCode(
            await attempt(() => harness.prober.probe(at({ ...harness.answering, host }), ctx)),
            ['invalid_host'],
            JSON.stringify(host),
          )
        for (const host of ['a'.repeat(10_240), 'a.'.repeat(5120)])
          throwsCode(
            await attempt(() => harness.prober.probe(at({ ...harness.answering, host }), ctx)),
            ['invalid_host'],
            'a host of 10 kB',
          )
      },
    },
    {
      name: 'a target out of range is `invalid_argument`',
      run: async (harness, { ctx }) => {
        const wrong = [
          { packets: 0 },
          { packets: 1.5 },
          { packets: 101 },
          { packets: Number.NaN },
          { timeoutMs: 0 },
          { timeoutMs: Number.NaN },
        ]
        for (const over of wrong)
          throwsCode(
            await attempt(() => harness.prober.probe(at(harness.answering, over), ctx)),
            ['invalid_argument'],
            JSON.stringify(over),
          )
      },
    },
    {
      name: 'a call whose signal has fired settles soon by throwing, and the next one is not the worse for it',
      run: async (harness, bench) => {
        const call = (ctx: CallContext) => harness.prober.probe(at(harness.answering), ctx)
        const end = await abortCall('probe', call, { promptMs: bench.promptMs, afterMs: 'beforehand' })
        throwsCode(end, ['aborted'])
        answers(await told(harness, living(harness, bench), bench), 1)
      },
    },
    {
      name: 'a call that waits settles soon after its signal fired, by throwing',
      needs: ['silent'],
      run: async (harness, bench) => {
        const call = (ctx: CallContext) => harness.prober.probe(at(harness.silent, { packets: 5, timeoutMs: 30_000 }), ctx)
        throwsCode(await abortCall('probe', call, { promptMs: bench.promptMs, afterMs: 150 }), ['aborted'])
        answers(await told(harness, living(harness, bench), bench), 1)
      },
    },
    {
      name: 'no listener is left on a signal that lives on',
      run: async (harness, bench) => {
        const { signal } = new AbortController()
        await Promise.all([1, 2, 3].map((packets) => told(harness, living(harness, bench, packets), { ...bench, ctx: { signal } })))
        assert.equal(getEventListeners(signal, 'abort').length, 0)
      },
    },
    {
      name: 'without its own means a prober throws and judges nobody, and works again when they are back',
      needs: ['breakTool'],
      run: async (harness, bench) => {
        await harness.breakTool?.()
        throwsCode(await attempt(() => harness.prober.probe(living(harness, bench), bench.ctx)), ['prober_unavailable'])
        await harness.mendTool?.()
        answers(await told(harness, living(harness, bench), bench), 1)
      },
    },
    {
      name: 'probeMany gives each target that could be probed one result, the same as probe would',
      needs: ['probeMany'],
      run: async (harness, bench) => {
        const { ctx } = bench
        const targets = [1, 3, 2].map((packets) => living(harness, bench, packets))
        const bad = at({ ...harness.answering, host: '-h' })
        const seen = await collect(harness, [bad, ...targets], ctx)
        assert.deepEqual(new Set(seen.keys()), new Set(targets), 'the targets with a result')
        for (const [target, result] of seen) answers(result, target.packets)
        assert.equal((await collect(harness, [], ctx)).size, 0)
      },
    },
    {
      name: 'probeMany tells of those that answer without waiting for a silent one',
      needs: ['probeMany', 'silent'],
      run: async (harness, bench) => {
        // The silent one has far more time than an answer takes, however busy the machine is.
        const leaving = new AbortController()
        const signal = AbortSignal.any([bench.ctx.signal, leaving.signal])
        const pair = [at(harness.silent, { timeoutMs: 60_000 }), living(harness, bench)] as const
        let first: ProbeTarget | undefined
        for await (const { target } of harness.prober.probeMany?.(pair, { signal }) ?? []) {
          first = target
          leaving.abort()
          break
        }
        assert.equal(first, pair[1], 'the silent one came first')
        const silent = at(harness.silent, { timeoutMs: 300 })
        const alone: Prober = { name: 'many', probe: async (target, ctx) => only(await collect(harness, [target], ctx)) }
        fails(await told({ prober: alone }, silent, bench), 1, ['no_reply', 'unreachable'])
      },
    },
    {
      name: 'probeMany ends soon after its signal fired, by throwing',
      needs: ['probeMany', 'silent'],
      run: async (harness, { promptMs }) => {
        const targets = [at(harness.silent, { timeoutMs: 30_000 }), at(harness.silent, { timeoutMs: 30_000 })]
        const end = await abortCall('probeMany', (ctx) => collect(harness, targets, ctx), { promptMs, afterMs: 150 })
        throwsCode(end, ['aborted'])
      },
    },
  ],
}

/** As the engine makes them: frozen, because a target is not the prober's to change. */
function at(server: ProbedServer | undefined, over: Partial<Pick<ProbeTarget, 'packets' | 'timeoutMs'>> = {}): ProbeTarget {
  assert.ok(server, 'there is no such server')
  return frozen({ serverId: 'contract' as ServerId, host: server.host, port: server.port ?? null, packets: 1, timeoutMs: 1000, ...over })
}

/** The server that answers at once: its packets have as much time as the rule can spare, so that a busy machine loses none. */
const living = ({ answering }: ProberHarness, { timeoutMs }: Bench, packets = 1): ProbeTarget =>
  at(answering, { packets, timeoutMs: Math.min(20_000, timeoutMs / 2) })

/** What takes longer than this has waited for something, milliseconds. Default 3 s; a rule that has more time has a slower machine. */
const atMost = ({ timeoutMs }: Bench): number => Math.min(20_000, (timeoutMs * 2) / 3)

/**
 * What a prober tells of a server. It may say that it could not judge, because this machine was too busy; the engine asks
 * again then, and so does the kit: a few times, and for half of the rule's time.
 */
async function told(
  { prober }: Pick<ProberHarness, 'prober'>,
  target: ProbeTarget,
  { ctx, timeoutMs }: Pick<Bench, 'ctx' | 'timeoutMs'>,
  took?: (ms: number) => void,
): Promise<ProbeResult> {
  const until = performance.now() + timeoutMs / 2
  for (let tries = 1; ; tries += 1) {
    const begun = performance.now()
    const end = await attempt(() => prober.probe(target, ctx))
    took?.(performance.now() - begun)
    if (end.ok) return end.value
    const isOver = tries >= 5 && performance.now() >= until
    if (isOver || (end.error as { readonly code?: string }).code !== 'prober_unavailable') throw end.error
    if (tries >= 5) await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** What the engine's parser would refuse, and more. */
function isExact(result: ProbeResult | undefined, packets: number): asserts result is ProbeResult {
  assert.ok(typeof result === 'object' && result !== null, `the result is ${String(result)}`)
  const { sent, received, rttMs } = result
  assert.equal(sent, packets, 'sent')
  assert.ok(Number.isInteger(received) && received >= 0 && received <= sent, `received ${String(received)} of ${sent}`)
  assert.ok(Array.isArray(rttMs) && rttMs.length === received, `${rttMs?.length} times for ${received} answers`)
  for (const ms of rttMs) assert.ok(typeof ms === 'number' && Number.isFinite(ms) && ms >= 0, `a round trip of ${String(ms)} ms`)
  const { failure = null } = result
  assert.deepEqual(JSON.parse(JSON.stringify({ sent, received, rttMs, failure })), { sent, received, rttMs, failure }, 'as JSON')
}

function answers(result: ProbeResult | undefined, packets: number): void {
  isExact(result, packets)
  assert.equal(result.received, packets, `received; the failure is ${JSON.stringify(result.failure)}`)
  assert.equal(result.failure ?? null, null, 'failure')
}

function fails(result: ProbeResult | undefined, packets: number, kinds: readonly string[]): void {
  isExact(result, packets)
  assert.equal(result.received, 0, 'received')
  assert.ok(result.failure, 'there is no failure')
  assert.ok(kinds.includes(result.failure.kind), `the failure is ${result.failure.kind}, not ${kinds.join(' or ')}`)
  assert.match(result.failure.layer, /^[a-z][a-z0-9-]{0,31}$/, 'the layer')
}

function throwsCode(end: Awaited<ReturnType<typeof attempt<unknown>>>, codes: readonly string[], of = 'the call'): void {
  assert.ok(!end.ok, `${of} resolved with ${end.ok ? JSON.stringify(end.value) : ''}`)
  const { code } = end.error as { readonly code?: string }
  assert.ok(codes.includes(code ?? ''), `${of}: ${shown(end.error)} instead of ${codes.join(' or ')}`)
}

function resolved<T>(end: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown }): T {
  assert.ok(end.ok, end.ok ? '' : shown(end.error))
  return end.value
}

function only(seen: ReadonlyMap<ProbeTarget, ProbeResult>): ProbeResult {
  const [result] = seen.values()
  // Targets that could not be judged are passed over.
  if (!result) throw new PintailError('prober_unavailable', 'probeMany passed over it')
  return result
}

async function collect(
  { prober }: ProberHarness,
  targets: readonly ProbeTarget[],
  ctx: Bench['ctx'],
): Promise<Map<ProbeTarget, ProbeResult>> {
  const seen = new Map<ProbeTarget, ProbeResult>()
  const results = prober.probeMany?.(targets, ctx)
  assert.ok(results, 'there is no probeMany')
  for await (const { target, result } of results) {
    assert.ok(targets.includes(target), 'a target that was not given')
    assert.ok(!seen.has(target), 'a target twice')
    seen.set(target, result)
  }
  return seen
}
