import { fping } from '@pintail/adapters/fping'
import { http, tls } from '@pintail/adapters/probers'
import { errorText, icmp, isPintailError, type ProbeResult, type Prober, parseHost, type ServerId, systemClock, tcp } from '@pintail/core'
import type { Terminal } from './io.ts'
import { count, Exit, paintFor, table } from './terminal.ts'

export interface CheckOptions {
  readonly hosts: readonly string[]
  /** Ports that are opened beside ping. */
  readonly tcp: readonly number[]
  readonly icmp: boolean
  /** Beside ping, or in its place: all hosts in one process. */
  readonly fping: boolean
  /** Ports on which a TLS handshake is made. */
  readonly tls: readonly number[]
  /** Ports that are asked for `/` over HTTPS. */
  readonly https: readonly number[]
  readonly packets: number
  readonly timeoutMs: number
  readonly lossPercent: number
  readonly latencyMs: number
  readonly json: boolean
  readonly signal: AbortSignal
}

/** What one prober says of one host. `unknown`: it could not try, which says nothing about the host. */
interface Layer {
  readonly layer: string
  readonly verdict: 'up' | 'down' | 'unknown'
  readonly sent: number
  readonly received: number
  /** The mean, milliseconds. */
  readonly rttMs: number | null
  /** Of each answer, milliseconds. */
  readonly rtts: readonly number[]
  /** In a word or two; null: it is up. */
  readonly fault: string | null
  /** Why it is not up; null: it is. */
  readonly why: string | null
  readonly remedy: string | null
}

interface HostReport {
  readonly host: string
  readonly verdict: Layer['verdict']
  /** The first layer that is not up; null: all are. */
  readonly failed: string | null
  readonly layers: readonly Layer[]
}

/** Hosts that are looked at together. */
const atOnce = 64

/** One look at a fleet. @returns 0: all are up; 1: one is down, or could not be looked at */
export async function check(options: CheckOptions, terminal: Terminal): Promise<number> {
  const hosts = validHosts(options.hosts)
  const layers = layersOf(options)
  const reports: HostReport[] = Array.from({ length: hosts.length })
  let next = 0
  const worker = async (): Promise<void> => {
    for (let index = next++; index < hosts.length; index = next++) reports[index] = await look(hosts[index] as string, layers, options)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, hosts.length) }, worker))
  terminal.out(options.json ? `${JSON.stringify(reports.map(toJson), null, 2)}\n` : reportText(reports, layers, terminal))
  return reports.every(({ verdict }) => verdict === 'up') ? 0 : 1
}

/** Every host once, all wrong ones in one answer. */
function validHosts(given: readonly string[]): string[] {
  const wrong: string[] = []
  let remedy = ''
  const hosts = given.flatMap((host) => {
    try {
      return [parseHost(host)]
    } catch (error) {
      wrong.push(`  ${errorText(error)}`)
      if (isPintailError(error) && error.remedy) remedy = error.remedy
      return []
    }
  })
  if (wrong.length === 0) return [...new Set(hosts)]
  throw new Exit(2, `pintail check: ${count(wrong.length, 'host')} cannot be checked; nothing was sent.\n${wrong.join('\n')}\n${remedy}\n`)
}

type Named = { readonly layer: string; readonly prober: Prober }

function layersOf({ icmp: ping, fping: flood, tcp: opened, tls: secured, https }: CheckOptions): Named[] {
  return [
    ...(ping ? [{ layer: 'icmp', prober: icmp() }] : []),
    ...(flood ? [{ layer: 'fping', prober: fping() }] : []),
    ...opened.map((port) => ({ layer: `tcp:${port}`, prober: tcp({ port }) })),
    ...secured.map((port) => ({ layer: `tls:${port}`, prober: tls({ port }) })),
    ...https.map((port) => ({ layer: `https:${port}`, prober: http({ port }) })),
  ]
}

async function look(host: string, layers: readonly Named[], options: CheckOptions): Promise<HostReport> {
  const seen = await Promise.all(layers.map((one) => probe(host, one, options)))
  const failed = seen.find(({ verdict }) => verdict === 'down') ?? seen.find(({ verdict }) => verdict === 'unknown')
  return { host, verdict: failed?.verdict ?? 'up', failed: failed?.layer ?? null, layers: seen }
}

async function probe(host: string, { layer, prober }: Named, options: CheckOptions): Promise<Layer> {
  const { packets, timeoutMs, signal } = options
  try {
    const result = await prober.probe({ serverId: host as ServerId, host, port: null, packets, timeoutMs }, { signal })
    return judged(layer, result, options)
  } catch (error) {
    if (isPintailError(error, 'aborted')) throw error
    const remedy = isPintailError(error) ? remedyHere(error.remedy) : null
    // A name that nobody knows is a fault of the host's entry, not of the prober.
    const verdict = isPintailError(error, 'unknown_host') ? 'down' : 'unknown'
    const fault = verdict === 'down' ? 'no such name' : 'could not try'
    return { layer, verdict, sent: 0, received: 0, rttMs: null, rtts: [], fault, why: errorText(error), remedy }
  }
}

/** The probers' remedies speak to programmers. */
function remedyHere(remedy: string | undefined): string | null {
  return remedy?.replace('use icmp() or tcp()', 'check without --fping').replace('use tcp()', 'check with --no-icmp --tcp PORT') ?? null
}

/** The rule of the engine: loss at the limit or above fails, and so does a mean above the latency limit. */
function judged(layer: string, { sent, received, rttMs, failure }: ProbeResult, { lossPercent, latencyMs }: CheckOptions): Layer {
  const mean = rttMs.length === 0 ? null : rttMs.reduce((sum, one) => sum + one, 0) / rttMs.length
  const lost = ((sent - received) * 100) / sent
  const about = { layer, sent, received, rttMs: mean, rtts: rttMs, remedy: null }
  const down = (fault: string, why: string): Layer => ({ ...about, verdict: 'down', fault, why })
  if (received === 0) return down(failure?.kind.replaceAll('_', ' ') ?? 'no reply', failure?.detail ?? 'nothing came back')
  if (lost >= lossPercent) return down('lossy', `${sent - received} of ${sent} lost (limit ${lossPercent} %)`)
  if (mean !== null && mean > latencyMs) return down('slow', `${mean.toFixed(0)} ms (limit ${latencyMs} ms)`)
  return { ...about, verdict: 'up', fault: null, why: null }
}

// ------------------------------------------------------------------------------------------------------------- showing

function reportText(reports: readonly HostReport[], layers: readonly Named[], terminal: Terminal): string {
  const paint = paintFor(terminal)
  const colors = { up: paint.green, down: paint.red, unknown: paint.yellow }
  const cell = ({ verdict, sent, received, rttMs, fault }: Layer): string => {
    const lost = received < sent ? ` ${received}/${sent}` : ''
    return colors[verdict](rttMs === null ? (fault ?? '') : `${ms(rttMs)} ms${lost}`)
  }
  const rows = reports.map(({ host, verdict, failed, layers: seen }) => [
    host,
    colors[verdict](verdict),
    ...seen.map(cell),
    whyOf(seen.find(({ layer }) => layer === failed)),
  ])
  const shown = table({ head: ['host', 'verdict', ...layers.map(({ layer }) => layer), 'failed'], rows, paint })
  const count = (verdict: Layer['verdict']): number => reports.filter((one) => one.verdict === verdict).length
  const counts = (['up', 'down', 'unknown'] as const)
    .filter((verdict) => count(verdict) > 0)
    .map((verdict) => `${count(verdict)} ${verdict}`)
  return `${shown}\n${counts.join(', ')}\n${evidence(reports)}${remedies(reports)}`
}

/** A loopback answers in hundredths of a millisecond. */
const ms = (value: number): string => value.toFixed(value < 1 ? 2 : 1)

/** Of each host that is not up, what every layer has seen: the samples behind the verdict. */
function evidence(reports: readonly HostReport[]): string {
  const blocks = reports.flatMap(({ host, verdict, layers }) => {
    if (verdict === 'up') return []
    const width = Math.max(...layers.map(({ layer }) => layer.length))
    const lines = layers.map(({ layer, sent, received, rtts, why }) => {
      const seen = sent === 0 ? 'nothing sent' : `${received} of ${sent} answered`
      const times = rtts.length === 0 ? '' : `: ${rtts.slice(0, 20).map(ms).join(' ')} ms`
      return `  ${layer.padEnd(width)}  ${seen}${times}${why === null ? '' : `; ${why}`}`
    })
    return [`${host}\n${lines.join('\n')}`]
  })
  return blocks.length === 0 ? '' : `\n${blocks.slice(0, 20).join('\n')}\n`
}

const whyOf = (failed: Layer | undefined): string => (failed ? `${failed.layer} ${failed.fault}: ${failed.why}` : '')

/** What to do about it, each once. */
function remedies(reports: readonly HostReport[]): string {
  const all = new Map<string, Set<string>>()
  for (const { layer, remedy } of reports.flatMap(({ layers }) => layers))
    if (remedy) all.set(remedy, (all.get(remedy) ?? new Set()).add(layer))
  const lines = [...all].slice(0, 10).map(([remedy, layers]) => `  ${[...layers].join(', ')}: ${remedy}`)
  return lines.length === 0 ? '' : `\n${lines.join('\n')}\n`
}

function toJson({ host, verdict, failed, layers }: HostReport): object {
  return {
    host,
    verdict,
    failed_layer: failed,
    checked_at: new Date(systemClock.now()).toISOString(),
    layers: layers.map(({ layer, verdict, sent, received, rttMs, rtts, fault, why, remedy }) => ({
      layer,
      verdict,
      sent,
      received,
      rtt_ms: rttMs === null ? null : Number(rttMs.toFixed(3)),
      rtts_ms: rtts.map((value) => Number(value.toFixed(3))),
      fault,
      why,
      remedy,
    })),
  }
}
