// fping() inside the prober's namespace: `node lab/fpingProbe.ts '{"hosts":[…],"packets":3}'` probes all hosts at once
// and prints the outcomes as JSON, in their order, thrown errors too.
import { fping } from '@pintail/adapters/fping'
import { isPintailError, type ProbeResult } from '@pintail/core'

export interface Checks {
  readonly hosts: readonly string[]
  /** Of these hosts answers are waited for, however long they take: milliseconds. */
  readonly patience?: { readonly hosts: readonly string[]; readonly timeoutMs: number }
  /** Default 3. */
  readonly packets?: number
  /** Default 500. */
  readonly timeoutMs?: number
  /** Through `probeMany`: what has no result is null. Default false. */
  readonly many?: boolean
}

export type Outcome = (ProbeResult & { readonly tookMs: number }) | { readonly error: string; readonly remedy?: string } | null

const { hosts, patience, packets = 3, timeoutMs = 500, many = false } = JSON.parse(process.argv[2] ?? '{}') as Checks
// Brands are minted by parsers; a target of the lab is never anything but a target.
const targets = hosts.map((host) => ({
  ...{ serverId: host as never, host, port: null, packets },
  timeoutMs: patience?.hosts.includes(host) ? patience.timeoutMs : timeoutMs,
}))
const { signal } = new AbortController()
const prober = fping()
const startedAt = performance.now()
const tookMs = (): number => Math.round(performance.now() - startedAt)

async function single(target: (typeof targets)[number]): Promise<Outcome> {
  try {
    return { ...(await prober.probe(target, { signal })), tookMs: tookMs() }
  } catch (error) {
    if (!isPintailError(error)) throw error
    return { error: error.code, ...(error.remedy && { remedy: error.remedy }) }
  }
}

async function all(): Promise<Outcome[]> {
  const seen = new Map<string, Outcome>()
  for await (const { target, result } of prober.probeMany?.(targets, { signal }) ?? [])
    seen.set(target.host, { ...result, tookMs: tookMs() })
  return hosts.map((host) => seen.get(host) ?? null)
}

console.log(JSON.stringify(many ? await all() : await Promise.all(targets.map(single))))
