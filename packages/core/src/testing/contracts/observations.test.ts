import { expect, test } from 'vitest'
import type { ObservationSource, SampleInput } from '../../ports.ts'
import { parseSample } from '../../rows.ts'
import { type ObservationHarness, observationSourceContract } from './index.ts'

/** What lies between vantages and a source: a pipe, which may be cut. */
interface Pipe {
  readonly waiting: unknown[]
  isDown: boolean
  wake: () => void
}

type Make = (pipe: Pipe) => ObservationSource

/** A good source: parses, tells each once, and waits. */
function good(pipe: Pipe): ObservationSource {
  const last = new Map<string, number>()
  return {
    async *samples({ signal }) {
      const onAbort = (): void => pipe.wake()
      signal.addEventListener('abort', onAbort)
      try {
        while (!signal.aborted) {
          for (let one = pipe.waiting.shift(); one !== undefined; one = pipe.waiting.shift()) {
            const input = one as SampleInput
            if (!parseSample(input).ok) continue
            const key = JSON.stringify([input.vantage, input.serverId])
            if (input.sentAt <= (last.get(key) ?? 0)) continue
            last.set(key, input.sentAt)
            yield input
            if (signal.aborted) return
          }
          await new Promise<void>((resolve) => {
            pipe.wake = resolve
          })
        }
      } finally {
        signal.removeEventListener('abort', onAbort)
      }
    },
  }
}

const junk = [null, 7, 'x', {}, { serverId: 's1' }, { serverId: 's1', vantage: 'contract-1', sentAt: 1, sent: 1, received: 2 }]

function full(make: Make): ObservationHarness {
  const pipe: Pipe = { waiting: [], isDown: false, wake: () => {} }
  const send = (samples: readonly unknown[]): void => {
    if (!pipe.isDown) pipe.waiting.push(...samples)
    pipe.wake()
  }
  return {
    source: make(pipe),
    send,
    sendTwice: (samples) => send([...samples, ...samples]),
    sendJunk: () => send(junk),
    restart: () => make(pipe),
    goDown: () => {
      pipe.isDown = true
    },
    comeBack: () => {
      pipe.isDown = false
    },
  }
}

for (const rule of observationSourceContract(() => full(good))) test(`a good source: ${rule.name}`, rule.run)

const asItWas = 'a sample that was handed in is yielded, as it was'
const inOrder = 'each vantage speaks in its own name, and of one server in its order'
const twice = 'what arrives twice is no second observation'
const noSample = 'what is no sample is not yielded, and costs nobody else a sample'
const waits = 'one that waits ends soon after its signal fired, leaves no listener on it, and another one goes on'
const leaves = 'a reader that goes in the middle is let go, and the next one gets what comes then'

/** A good source whose samples are changed, left out or made more. */
const changed =
  (change: (sample: SampleInput, index: number) => readonly SampleInput[]): Make =>
  (pipe) => ({
    async *samples(ctx) {
      let index = 0
      for await (const one of good(pipe).samples(ctx)) yield* change(one, index++)
    },
  })

/** A source that yields what comes, whatever it is. */
const unchecked: Make = (pipe) => ({
  async *samples({ signal }) {
    while (!signal.aborted) {
      for (let one = pipe.waiting.shift(); one !== undefined; one = pipe.waiting.shift()) yield one as SampleInput
      await new Promise<void>((resolve) => {
        pipe.wake = resolve
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  },
})

const wrong: Record<string, { make: Make; caughtBy: string; alter?: (harness: ObservationHarness, pipe: Pipe) => ObservationHarness }> = {
  'forgets why a check failed': { make: changed(({ failure: _, ...rest }) => [rest]), caughtBy: asItWas },
  'tells the time of arrival': { make: changed((one) => [{ ...one, sentAt: Date.now() + 5 }]), caughtBy: asItWas },
  'tells one loss as all lost': {
    make: changed((one) => [one.sent > one.received ? { ...one, received: 0, rttMs: [] } : one]),
    caughtBy: asItWas,
  },
  'leaves canaries out': { make: changed((one) => (String(one.serverId).startsWith('canary:') ? [] : [one])), caughtBy: asItWas },
  'mends ids': {
    make: changed((one) => [{ ...one, serverId: String(one.serverId).replaceAll(' ', '_') }]),
    caughtBy: 'ids come back as they were: spaces, quotes, dots, stars, all of Unicode',
  },
  'gives all samples one name': { make: changed((one) => [{ ...one, vantage: 'contract-1' }]), caughtBy: inOrder },
  'tells the newest first': {
    make: (pipe) => ({
      async *samples(ctx) {
        const held: SampleInput[] = []
        for await (const one of good(pipe).samples(ctx)) {
          held.push(one)
          if (held.length >= 40) yield* held.splice(0).reverse()
        }
      },
    }),
    caughtBy: inOrder,
  },
  'keeps a thousand and forgets the rest': {
    make: (pipe) => ({
      samples: (ctx) => {
        let count = 0
        return changed((one) => (++count > 1000 ? [] : [one]))(pipe).samples(ctx)
      },
    }),
    caughtBy: 'of 2 000 samples each is yielded once, also to a reader that is slow',
  },
  'makes two observations of one': { make: changed((one) => [one, { ...one, sentAt: one.sentAt + 1 }]), caughtBy: twice },
  'yields whatever comes': { make: unchecked, caughtBy: noSample },
  'gives up at the first thing that is none': {
    make: (pipe) => ({
      async *samples(ctx) {
        for await (const one of unchecked(pipe).samples(ctx)) {
          if (!parseSample(one).ok) {
            pipe.waiting.length = 0
            await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve, { once: true }))
          }
          yield one
        }
      },
    }),
    caughtBy: noSample,
  },
  'looks at its signal between samples only': {
    make: (pipe) => ({
      async *samples() {
        while (true) {
          for (let one = pipe.waiting.shift(); one !== undefined; one = pipe.waiting.shift()) yield one as SampleInput
          await new Promise<void>((resolve) => {
            pipe.wake = resolve
          })
        }
      },
    }),
    caughtBy: waits,
  },
  'leaves a listener on its signal': {
    make: (pipe) => ({
      samples: (ctx) => {
        ctx.signal.addEventListener('change', () => {})
        ctx.signal.addEventListener('abort', () => {}, { once: false })
        return good(pipe).samples(ctx)
      },
    }),
    caughtBy: leaves,
  },
  'goes on for one that has stopped before it asked': {
    make: (pipe) => ({
      async *samples(ctx) {
        if (ctx.signal.aborted) yield { serverId: 's1', vantage: 'contract-1', prober: 'icmp', sentAt: Date.now(), sent: 1, received: 1 }
        else yield* good(pipe).samples(ctx)
      },
    }),
    caughtBy: 'a reader whose signal has fired gets nothing, and its iteration ends soon',
  },
  'can be asked once': {
    make: (pipe) => {
      let asked = 0
      return {
        async *samples(ctx) {
          if (asked++ === 0) yield* good(pipe).samples(ctx)
          else await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve, { once: true }))
        },
      }
    },
    caughtBy: leaves,
  },
  'tells its old ones again as new': {
    make: (() => {
      const kept = new WeakMap<Pipe, SampleInput[]>()
      return (pipe: Pipe) => ({
        async *samples(ctx) {
          const old = kept.get(pipe) ?? []
          kept.set(pipe, old)
          for (const one of old) yield { ...one, sentAt: Date.now() }
          for await (const one of good(pipe).samples(ctx)) {
            old.push(one)
            yield one
          }
        },
      })
    })(),
    caughtBy: 'after a restart what is old is not told as if it were new',
  },
  'fills a gap with what it expects': {
    make: (pipe) => ({
      async *samples(ctx) {
        for await (const one of good(pipe).samples(ctx)) {
          yield one
          if (one.serverId === 'after') yield { ...one, serverId: 'between' }
        }
      },
    }),
    caughtBy: 'while the way is cut nothing is made up, and when it is back samples come again',
  },
}

for (const [name, { make, caughtBy }] of Object.entries(wrong))
  test(`a source that ${name} is caught`, async () => {
    const rule = observationSourceContract(() => full(make), { timeoutMs: 1500, promptMs: 300 }).find((one) => one.name === caughtBy)
    expect(rule, caughtBy).toBeDefined()
    await expect(rule?.run()).rejects.toThrow(expect.objectContaining({ name: expect.stringContaining('AssertionError') }))
  })

test('what is not there is declared, and the rule says so', async () => {
  const create = () => {
    const { source, send } = full(good)
    return { source, send }
  }
  const without = ['sendTwice', 'sendJunk', 'restart', 'goDown'] as const
  const rules = observationSourceContract(create, { without })
  expect(rules.filter(({ notChecked }) => notChecked).map(({ notChecked }) => notChecked)).toEqual([
    'no sendTwice',
    'no sendJunk',
    'no restart',
    'no goDown',
  ])
  for (const rule of rules) await rule.run()
  await expect(
    observationSourceContract(create)
      .find(({ name }) => name === twice)
      ?.run(),
  ).rejects.toThrow(/there is no sendTwice/)
})
