import { isPintailError } from '../errors.ts'
import type { CallContext, CallOutcome, Clock, MetricLabels, MetricName, Metrics, ProbeResult, Prober } from '../ports.ts'

/** Hands figures on, with the names and labels that there are; what the host's `Metrics` throws hurts nobody. */
export interface Teller {
  count<K extends MetricName>(name: K, labels: MetricLabels[K], by?: number): void
  gauge<K extends MetricName>(name: K, labels: MetricLabels[K], value: number): void
  observe<K extends MetricName>(name: K, labels: MetricLabels[K], value: number): void
}

export function teller(metrics: Metrics, failed: (error: unknown) => void): Teller {
  const safely =
    (tell: (name: string, labels: Readonly<Record<string, string>>, value: number) => void) =>
    (name: string, labels: object, value = 1): void => {
      try {
        tell(name, labels as Record<string, string>, value)
      } catch (error) {
        failed(error)
      }
    }
  return {
    count: safely((...figure) => metrics.count(...figure)),
    gauge: safely((...figure) => metrics.gauge(...figure)),
    observe: safely((...figure) => metrics.observe(...figure)),
  }
}

const told: readonly string[] = ['rejected', 'unavailable', 'timeout', 'aborted', 'fenced', 'conflict'] satisfies CallOutcome[]
/** They have no end that could be timed. */
const streams: readonly PropertyKey[] = ['watch', 'samples', 'probe', 'probeMany']

function outcomeOf(error: unknown): CallOutcome {
  return isPintailError(error) && told.includes(error.code) ? (error.code as CallOutcome) : 'error'
}

/** The port, each call of which is timed: to its end, or to the moment in which its signal gives it up. */
export function timed<T extends object>(port: T, name: string, tell: Teller, clock: Clock): T {
  const start = (method: string, { signal }: CallContext) => {
    const begunAt = clock.now()
    const end = (outcome: CallOutcome): void => {
      signal.removeEventListener('abort', onAbort)
      tell.observe('pintail_call_duration_seconds', { port: name, method, outcome }, (clock.now() - begunAt) / 1000)
    }
    const onAbort = () => once(outcomeOf(signal.reason))
    let isOver = false
    const once = (outcome: CallOutcome): void => {
      if (!isOver) end(outcome)
      isOver = true
    }
    signal.addEventListener('abort', onAbort, { once: true })
    return once
  }
  return substitute(port, (method, call) => (...args) => {
    const ctx = args.at(-1) as CallContext | undefined
    if (streams.includes(method) || typeof ctx?.signal?.addEventListener !== 'function') return call(...args)
    const ended = start(method, ctx)
    try {
      const answer = call(...args)
      if (isPaged(answer)) return pagesTimed(answer, ended)
      return Promise.resolve(answer).then(
        (value) => {
          ended('ok')
          return value
        },
        (error) => {
          ended(outcomeOf(error))
          throw error
        },
      )
    } catch (error) {
      ended(outcomeOf(error))
      throw error
    }
  })
}

/** What can be awaited is one answer, also where it could be iterated over. */
function isPaged(answer: unknown): answer is AsyncIterable<unknown> {
  return typeof answer === 'object' && answer !== null && Symbol.asyncIterator in answer && !('then' in answer)
}

async function* pagesTimed(pages: AsyncIterable<unknown>, ended: (outcome: CallOutcome) => void): AsyncGenerator<unknown> {
  try {
    yield* pages
    ended('ok')
  } catch (error) {
    ended(outcomeOf(error))
    throw error
  } finally {
    // Whoever reads has had enough of it.
    ended('aborted')
  }
}

/** The prober, whose results are counted. */
export function counted(prober: Prober, tell: Teller): Prober {
  const result = (one: ProbeResult): void => {
    const labels = { prober: prober.name }
    tell.count('pintail_probes_total', { ...labels, outcome: one.received > 0 ? 'answered' : 'silent' })
    tell.count('pintail_probe_packets_total', { ...labels, result: 'received' }, Math.max(0, one.received))
    tell.count('pintail_probe_packets_total', { ...labels, result: 'lost' }, Math.max(0, one.sent - one.received))
    for (const ms of one.rttMs) tell.observe('pintail_probe_rtt_seconds', labels, ms / 1000)
  }
  const failed = (error: unknown): never => {
    tell.count('pintail_probes_total', { prober: prober.name, outcome: 'error' })
    throw error
  }
  return substitute(prober, (method, call) => {
    if (method === 'probe')
      return (...args) =>
        new Promise<ProbeResult>((resolve) => resolve(call(...args) as PromiseLike<ProbeResult>)).then((one) => {
          result(one)
          return one
        }, failed)
    if (method !== 'probeMany') return call
    return async function* (...args) {
      try {
        for await (const one of call(...args) as AsyncIterable<{ readonly result: ProbeResult }>) {
          result(one.result)
          yield one
        }
      } catch (error) {
        failed(error)
      }
    }
  })
}

type Method = (...args: unknown[]) => unknown

/** The port with other methods. Not a proxy of the port itself: of a frozen one that would have to hand out its own methods. */
function substitute<T extends object>(port: T, by: (method: string, call: Method) => Method): T {
  return new Proxy(Object.create(port) as T, {
    get: (_, key) => {
      const value: unknown = Reflect.get(port, key)
      if (typeof value !== 'function' || typeof key !== 'string' || key === 'constructor') return value
      return by(key, (...args) => Reflect.apply(value, port, args))
    },
  })
}
