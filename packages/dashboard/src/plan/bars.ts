import type { WirePlan } from '@pintail/core/wire'

/** How full a server is before and after, for a bar. */
export interface Bar {
  readonly serverId: string
  readonly isSource: boolean
  /** Users; null: not known. */
  readonly before: number | null
  readonly after: number | null
  readonly capacity: number | null
  /** How many come (positive) or go (negative). */
  readonly change: number
  /** Shares of the bar's whole length, 0–1: what stays as it is, and what comes or goes. */
  readonly kept: number
  readonly changed: number
  /** Where the capacity ends on the bar, 0–1; null: not known. */
  readonly limit: number | null
  readonly isTooFull: boolean
}

function barOf(
  { server_id: serverId, load_before: before, load_after: after, capacity }: WirePlan['utilisation'][number],
  sources: readonly string[],
  longest: number,
): Bar {
  const [first, last] = [before ?? 0, after ?? 0]
  // A server that gets more than it holds is drawn beyond its limit, and not cut off at it.
  const length = capacity === null ? longest : Math.max(capacity, first, last)
  const share = (users: number): number => (length > 0 ? users / length : 0)
  return {
    serverId,
    isSource: sources.includes(serverId),
    before,
    after,
    capacity,
    change: before !== null && after !== null ? after - before : 0,
    kept: share(Math.min(first, last)),
    changed: share(Math.abs(last - first)),
    limit: capacity === null ? null : share(capacity),
    isTooFull: capacity !== null && last > capacity,
  }
}

/** Those that are left first, then who gets the most. */
export function barsOf({ utilisation, from_server_ids: sources }: Pick<WirePlan, 'utilisation' | 'from_server_ids'>): readonly Bar[] {
  const longest = utilisation.reduce((most, { load_before: before, load_after: after }) => Math.max(most, before ?? 0, after ?? 0), 0)
  return utilisation
    .map((one) => barOf(one, sources, longest))
    .sort((a, b) => Number(b.isSource) - Number(a.isSource) || b.change - a.change || (a.serverId < b.serverId ? -1 : 1))
}

export interface Staying {
  readonly code: WirePlan['unplaced'][number]['code']
  /** Of those that the answer names. */
  readonly named: number
  readonly message: string
  /** The first few. */
  readonly examples: readonly string[]
}

/** Who stays, by why. The plan names only the first of them; `unplaced_total` counts all. */
export function stayingOf({ unplaced }: Pick<WirePlan, 'unplaced'>): readonly Staying[] {
  const groups = new Map<string, { code: Staying['code']; named: number; message: string; examples: string[] }>()
  for (const { code, message, connection_id: id } of unplaced) {
    const group = groups.get(code) ?? { code, named: 0, message, examples: [] }
    group.named++
    if (group.examples.length < 5) group.examples.push(id)
    groups.set(code, group)
  }
  return [...groups.values()].sort((a, b) => b.named - a.named || (a.code < b.code ? -1 : 1))
}

export const movingOf = ({ placements }: Pick<WirePlan, 'placements'>): number =>
  placements.reduce((sum, { connections }) => sum + connections, 0)

export const targetsOf = ({ placements }: Pick<WirePlan, 'placements'>): number =>
  new Set(placements.map(({ to_server_id: id }) => id)).size
