// One check inside the prober's namespace: `node lab/probe.ts '{"prober":"icmp","host":"10.99.0.1"}'` prints its outcome
// as JSON, thrown errors too.
import { isPintailError, type ProbeResult } from '@pintail/core'
import { type ProbeKeys, type ProberName, probers } from './probers.ts'

export interface Check {
  readonly prober: ProberName
  readonly host: string
  readonly port?: number
  /** Default 3. */
  readonly packets?: number
  /** Default 500. */
  readonly timeoutMs?: number
  /** The keys, for the probers that need some; the public ones by host. */
  readonly keys?: ProbeKeys
}

export type Outcome =
  | (ProbeResult & { readonly tookMs: number })
  | { readonly error: string; readonly message: string; readonly remedy?: string; readonly tookMs: number }

async function check({ prober, host, port, keys, packets = 3, timeoutMs = 500 }: Check): Promise<Outcome> {
  // Brands are minted by parsers; a target of the lab is never anything but a target.
  const target = { serverId: host as never, host, port: port ?? null, packets, timeoutMs }
  const startedAt = performance.now()
  const took = () => Math.round(performance.now() - startedAt)
  try {
    const result = await probers[prober](keys).probe(target, { signal: new AbortController().signal })
    return { ...result, tookMs: took() }
  } catch (error) {
    if (!isPintailError(error)) throw error
    const remedy = error.remedy === undefined ? {} : { remedy: error.remedy }
    return { error: error.code, message: error.message, ...remedy, tookMs: took() }
  }
}

/** Of two probers the one that could not look is named in the answer of the other. */
function wasHeldUp(outcome: Outcome): boolean {
  if ('error' in outcome) return outcome.message.includes('event loop was blocked')
  return outcome.failure?.detail?.includes('could not try') ?? false
}

/** A prober that was held up says that it could not look, which is no evidence; as the engine does, it is asked again. */
async function checkAgain(asked: Check): Promise<Outcome> {
  for (let look = 1; ; look++) {
    const outcome = await check(asked)
    if (look === 5 || !wasHeldUp(outcome)) return outcome
  }
}

const checks = process.argv.slice(2).map((text) => JSON.parse(text) as Check)
console.log(JSON.stringify(await Promise.all(checks.map(checkAgain))))
