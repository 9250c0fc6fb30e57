import type { JournalEntry, PintailEvent } from '@pintail/core'
import type { Script } from '@pintail/core/testing'

type Timed = Script['acts'][number]

export interface DerivedServers {
  /** There from the beginning on. */
  readonly first: readonly string[]
  /** Added while it was recorded. */
  readonly later: readonly { readonly id: string; readonly at: number }[]
  readonly acts: readonly Timed[]
  /** Outages that were judged by something else than silence. */
  readonly lossy: number
  readonly slow: number
  readonly outages: number
  /** How often a verdict was lost because nothing could be probed. */
  readonly untested: number
}

/** Servers that are listed within this time after the first one belong to the first list, milliseconds. */
const firstListMs = 1000
/** A server that the list misses is dropped with the second list; so it was missing for about one and a half. */
const lists = 1.5

interface Pace {
  readonly checkIntervalMs: number
  readonly recoveryThreshold: number
  readonly registryRefreshMs: number
}

/** When each server was there, failed and came back, by the verdicts of the engine that watched it. */
class Servers {
  readonly later: { readonly id: string; readonly at: number }[] = []
  readonly acts: Timed[] = []
  readonly known = new Set<string>()
  /** Not there in the beginning. */
  readonly strangers = new Set<string>()
  readonly #ever = new Set<string>()
  readonly #wasDown = new Set<string>()
  readonly #pace: Pace
  readonly #ill = new Map<string, { act: Timed; index: number }>()
  #firstListAt: number | null = null
  lossy = 0
  slow = 0
  outages = 0
  untested = 0

  constructor(pace: Pace) {
    this.#pace = pace
  }

  take({ type, at, data }: PintailEvent): void {
    if (type === 'leader.acquired') this.#firstListAt = null
    if (type === 'server.added') this.#added(data.serverId, at)
    else if (type === 'server.removed') {
      this.acts.push({ at: at - lists * this.#pace.registryRefreshMs, do: 'server.is_removed', server: data.serverId })
      this.known.delete(data.serverId)
    } else if (type === 'server.verdict_changed' && !data.audience) this.#verdict(data, at)
    else if (type === 'incident.opened' && !data.audience) this.#dated(data.serverId, data.suspectedAt)
  }

  #added(id: string, at: number): void {
    this.#firstListAt ??= at
    if (!this.known.has(id) && at > this.#firstListAt + firstListMs) {
      this.later.push({ id, at: at - this.#pace.registryRefreshMs / 2 })
      if (!this.#ever.has(id)) this.strangers.add(id)
    }
    this.#know(id)
  }

  #know(id: string): void {
    this.known.add(id)
    this.#ever.add(id)
  }

  #verdict({ serverId: server, verdict, reasons }: Extract<PintailEvent, { type: 'server.verdict_changed' }>['data'], at: number): void {
    this.#know(server)
    const ill = this.#ill.get(server)
    if (verdict === 'unknown') this.untested++
    if (verdict === 'up' && ill) {
      // It has answered as often in a row as it takes; after a mere suspicion once.
      const checks = ill.act.at === at ? 0 : this.#wasDown.delete(server) ? this.#pace.recoveryThreshold - 0.5 : 0
      this.acts.push({ at: Math.max(ill.act.at + 1, at - 100 - checks * this.#pace.checkIntervalMs), do: 'server.is_well', server })
      this.#ill.delete(server)
    }
    if (verdict === 'down') this.#wasDown.add(server)
    if ((verdict !== 'suspect' && verdict !== 'down') || ill) return
    const code = reasons?.[0]?.code
    const how = code === 'packet_loss' ? 'server.loses_packets' : code === 'latency' ? 'server.slows' : 'server.dies'
    if (how === 'server.loses_packets') this.lossy++
    if (how === 'server.slows') this.slow++
    this.outages++
    const act: Timed = { at: at - this.#pace.checkIntervalMs / 2, do: how, server }
    this.#ill.set(server, { act, index: this.acts.push(act) - 1 })
  }

  /** When the first failing check was sent is known now: it failed about half a check before. */
  #dated(server: string, suspectedAt: number): void {
    this.#know(server)
    const ill = this.#ill.get(server)
    if (!ill) return
    const act = { ...ill.act, at: Math.min(ill.act.at, suspectedAt - this.#pace.checkIntervalMs / 2) }
    this.acts[ill.index] = act
    this.#ill.set(server, { ...ill, act })
  }
}

export function deriveServers(entries: Iterable<JournalEntry>, pace: Pace): DerivedServers {
  const servers = new Servers(pace)
  const named = new Set<string>()
  for (const entry of entries) {
    servers.take(entry as PintailEvent)
    const data = entry.data as Readonly<Record<string, unknown>>
    for (const field of ['serverId', 'fromServerId', 'toServerId']) if (typeof data[field] === 'string') named.add(data[field])
  }
  const { later, acts, lossy, slow, outages, untested, strangers } = servers
  const first = [...named].filter((id) => !strangers.has(id))
  return { first, later, acts, lossy, slow, outages, untested }
}
