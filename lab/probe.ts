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
  /** How long the look may take, milliseconds: one that takes longer was held up, and another one is taken. Default: any time. */
  readonly withinMs?: number
  /** What the fastest reply must stay below, milliseconds: likewise. Default: any time. */
  readonly fastestMs?: number
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

/** How long a busy machine may hold up one look after the other: a bound for what is not so on any machine. */
const patienceMs = 60_000

/**
 * The machine was in the way, not the network: the event loop was blocked, ping has not got as far as to send all packets or to say
 * a word of its own, or the look took longer than on any machine that lets it run. Of two probers the one that could not look is named in the
 * answer of the other.
 */
function wasHeldUp({ packets = 3, withinMs = Infinity, fastestMs = Infinity }: Check, outcome: Outcome): boolean {
  if ('error' in outcome) return /event loop was blocked|ping (?:ended with|had to be killed)[^:]*: (?!ping6?: )/.test(outcome.message)
  if (outcome.failure?.detail?.includes('could not try') || outcome.sent < packets || outcome.tookMs >= withinMs) return true
  return outcome.received > 0 && Math.min(...outcome.rttMs) >= fastestMs
}

/** A prober that was held up says that it could not look, which is no evidence; as the engine does, it is asked again. */
async function checkAgain(asked: Check): Promise<Outcome> {
  for (const begun = performance.now(); ; ) {
    const outcome = await check(asked)
    if (!wasHeldUp(asked, outcome) || performance.now() - begun > patienceMs) return outcome
  }
}

const checks = process.argv.slice(2).map((text) => JSON.parse(text) as Check)
console.log(JSON.stringify(await Promise.all(checks.map(checkAgain))))
