import type { WireIncident, WireServer } from '@pintail/core/wire'

type WireSample = WireIncident['evidence'][number]

/** One check as it is drawn. */
export interface Point {
  /** Milliseconds. */
  readonly at: number
  /** Mean round trip, milliseconds; null: nothing came back. */
  readonly rttMs: number | null
  /** 0–1. */
  readonly loss: number
}

/** What one vantage saw of one server, oldest first. */
export interface Lane {
  readonly vantage: string
  readonly points: readonly Point[]
}

const most = { servers: 60, vantages: 12, points: 150 }

export function pointOf({ sent_at: sentAt, sent, received, rtt_ms: rtts }: WireSample): Point {
  const mean = rtts.length > 0 ? rtts.reduce((sum, one) => sum + one, 0) / rtts.length : null
  return { at: Date.parse(sentAt), rttMs: received > 0 ? mean : null, loss: sent > 0 ? Math.min(1, Math.max(0, 1 - received / sent)) : 0 }
}

/** The same check comes with each picture: its place is found by its time. */
function added(points: readonly Point[], point: Point): readonly Point[] {
  if (!Number.isFinite(point.at)) return points
  let place = points.length
  while (place > 0 && (points[place - 1] as Point).at > point.at) place--
  if (place > 0 && (points[place - 1] as Point).at === point.at) return points
  return points.toSpliced(place, 0, point).slice(-most.points)
}

/**
 * Samples that were seen while the page was open: the API gives the newest of each vantage only. Kept of servers in trouble and of the
 * one that is looked at, bounded in every direction.
 */
export class Traces {
  readonly #servers = new Map<string, Map<string, readonly Point[]>>()

  /** @param wanted a server that is kept whatever its state */
  take(servers: readonly WireServer[], wanted: string | null): void {
    const concerned = servers.filter(
      ({ server_id: id, verdict }) => verdict.verdict === 'down' || verdict.verdict === 'suspect' || id === wanted,
    )
    const ids = new Set(concerned.map(({ server_id: id }) => id))
    for (const one of concerned) {
      const lanes = this.#servers.get(one.server_id) ?? this.#begin(one.server_id, ids, wanted)
      if (!lanes) continue
      for (const sample of one.last_sample ? [one.last_sample, ...one.samples] : one.samples) {
        const { vantage } = sample
        if (lanes.has(vantage) || lanes.size < most.vantages) lanes.set(vantage, added(lanes.get(vantage) ?? [], pointOf(sample)))
      }
    }
  }

  /** Room is made by who is well again; where all are in trouble those that came first are kept, as half a history of each is none. */
  #begin(id: string, concerned: ReadonlySet<string>, wanted: string | null): Map<string, readonly Point[]> | null {
    if (this.#servers.size >= most.servers) {
      const known = [...this.#servers.keys()]
      const leaving = known.find((one) => !concerned.has(one)) ?? (id === wanted ? known[0] : undefined)
      if (leaving === undefined) return null
      this.#servers.delete(leaving)
    }
    const lanes = new Map<string, readonly Point[]>()
    this.#servers.set(id, lanes)
    return lanes
  }

  /** What was seen live, with the evidence that the incident has kept; a lane each vantage. */
  lanes(serverId: string, evidence: readonly WireSample[]): readonly Lane[] {
    const lanes = new Map(this.#servers.get(serverId))
    for (const sample of evidence) {
      if (!lanes.has(sample.vantage) && lanes.size >= most.vantages) continue
      lanes.set(sample.vantage, added(lanes.get(sample.vantage) ?? [], pointOf(sample)))
    }
    return [...lanes].map(([vantage, points]) => ({ vantage, points })).sort((a, b) => (a.vantage < b.vantage ? -1 : 1))
  }
}
