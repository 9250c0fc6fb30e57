import type { Logger, ProbeResult, Prober, SampleInput } from '@pintail/core'

/** What the network is like from one place: which servers answer there. */
export interface Sight {
  /** Servers that do not answer there. */
  readonly dead: Set<string>
  /** Nobody answers there. */
  isCut: boolean
  probes: number
}

export const newSight = (): Sight => ({ dead: new Set(), isCut: false, probes: 0 })

/** A prober of a world without packets: a server answers in 20 ms unless this place does not see it. By address. */
export function proberOf(sight: Sight): Prober {
  return {
    name: 'sight',
    probe: async ({ host, packets }): Promise<ProbeResult> => {
      sight.probes++
      // A turn of the event loop, as every real one takes.
      await new Promise((resolve) => setImmediate(resolve))
      return sight.isCut || sight.dead.has(host)
        ? { sent: packets, received: 0, rttMs: [], failure: { kind: 'no_reply', layer: 'icmp' } }
        : { sent: packets, received: packets, rttMs: Array.from({ length: packets }, () => 20) }
    },
  }
}

/** What was logged, by level. */
export function noted(): Logger & { readonly lines: { readonly level: string; readonly message: string; readonly data: object }[] } {
  const lines: { level: string; message: string; data: object }[] = []
  const at = (level: string) => (data: object, message: string) => void lines.push({ level, message, data })
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** Reads a source into a list, until the signal fires. */
export function gathered(source: { samples(ctx: { signal: AbortSignal }): AsyncIterable<SampleInput> }) {
  const stopping = new AbortController()
  const samples: SampleInput[] = []
  const done = (async () => {
    for await (const sample of source.samples({ signal: stopping.signal })) samples.push(sample)
  })()
  done.catch(() => {})
  return {
    samples,
    of: (vantage: string) => samples.filter((one) => one.vantage === vantage),
    stop: async () => {
      stopping.abort()
      await done
    },
  }
}
