import type { PintailClient } from '@pintail/client'
import type { WirePlan } from '@pintail/core/wire'
import type { Outcome } from '../session/requests.ts'
import { type Trouble, troubleOf } from '../session/trouble.ts'
import { movingOf } from './bars.ts'

/** What of a session the execution needs: each step is asked for as a person's single drain would be. */
export interface Performer {
  readonly client: Pick<PintailClient, 'plan'>
  perform(
    request:
      | { readonly action: 'servers:drain'; readonly serverId: string; readonly fingerprint?: string }
      | { readonly action: 'servers:cordon'; readonly serverId: string },
  ): Promise<Outcome>
}

/** How many a target gets, or how many find no place, where that differs from what was looked at. */
export interface Difference {
  /** Null: those without a place. */
  readonly serverId: string | null
  readonly before: number
  readonly now: number
}

export type Execution =
  /** All of it is under way. */
  | { readonly kind: 'begun'; readonly users: number }
  /**
   * The world has changed: `plan` is what would be done now with `remaining`, and nothing of that was begun. `began` servers
   * before them are being emptied. `texts`: the engine's words for what differs.
   */
  | {
      readonly kind: 'stale'
      readonly plan: WirePlan
      readonly remaining: readonly string[]
      readonly began: number
      readonly differences: readonly Difference[]
      readonly texts: readonly string[]
    }
  | { readonly kind: 'failed'; readonly outcome: Outcome & { readonly ok: false }; readonly began: number }

/** A drain's own reason: a plan for another one has another fingerprint. */
const drainReason = 'maintenance'

export const dryRun = (client: Pick<PintailClient, 'plan'>, servers: readonly string[], signal?: AbortSignal): Promise<WirePlan> =>
  client.plan({ drain: servers, reason: drainReason, limit: 5 }, signal ? { signal } : {})

/** Who arrives where, of those that leave these servers. */
function arrivals({ placements }: WirePlan, sources: readonly string[]): Map<string, number> {
  const found = new Map<string, number>()
  for (const { from_server_id: from, to_server_id: to, connections } of placements)
    if (sources.includes(from)) found.set(to, (found.get(to) ?? 0) + connections)
  return found
}

const sum = (numbers: Iterable<number>): number => [...numbers].reduce((all, one) => all + one, 0)

/** How two plans for these servers differ in numbers of users. */
function differencesOf(seen: WirePlan, now: WirePlan, servers: readonly string[]): readonly Difference[] {
  const [old, fresh] = [arrivals(seen, servers), arrivals(now, servers)]
  const found: Difference[] = []
  for (const serverId of new Set([...old.keys(), ...fresh.keys()])) {
    const [before, after] = [old.get(serverId) ?? 0, fresh.get(serverId) ?? 0]
    if (before !== after) found.push({ serverId, before, now: after })
  }
  const isWhole = seen.from_server_ids.every((id) => servers.includes(id))
  if (isWhole && seen.unplaced_total !== now.unplaced_total)
    found.push({ serverId: null, before: seen.unplaced_total, now: now.unplaced_total })
  return found
}

/**
 * Whether one server's own plan keeps to what was looked at for several: nobody more is left without a place, and no
 * target gets fuller than was shown. Which of them go to which target may differ: only the engine can plan both at once.
 */
function keepsTo(seen: WirePlan, own: WirePlan, serverId: string): boolean {
  const movesFewer = sum(arrivals(own, [serverId]).values()) < sum(arrivals(seen, [serverId]).values())
  if (movesFewer && own.unplaced_total > 0) return false
  const shown = new Map(seen.utilisation.map(({ server_id: id, load_after: load }) => [id, load]))
  return own.placements.every(({ to_server_id: to, load_after: load }) => load <= (shown.get(to) ?? -1))
}

const failed = (outcome: Outcome & { ok: false }, began: number): Execution => ({ kind: 'failed', outcome, began })

function unread(error: unknown, began: number): Execution {
  const why: Trouble = troubleOf(error)
  const kind =
    why.status === 401 ? 'signed-out' : why.status === 403 ? 'forbidden' : why.status === 0 || why.status >= 500 ? 'unreachable' : 'refused'
  return failed({ ok: false, kind, why }, began)
}

const isStale = (outcome: Outcome): outcome is Outcome & { ok: false } => !outcome.ok && outcome.why.code === 'plan_stale'

/**
 * Carries out what was looked at, and nothing else. One server: by the plan's fingerprint. Several: the API empties one at a time, so all
 * are cordoned first, which keeps them from being each other's targets; then each is planned alone, and begun by that plan's own
 * fingerprint if it keeps to what was looked at. What does not ends it, with the plan for those that remain.
 */
export async function execute(session: Performer, seen: WirePlan): Promise<Execution> {
  const servers = seen.from_server_ids
  const [only] = servers
  if (only !== undefined && servers.length === 1) {
    const outcome = await session.perform({ action: 'servers:drain', serverId: only, fingerprint: seen.fingerprint })
    if (outcome.ok) return { kind: 'begun', users: movingOf(seen) }
    return isStale(outcome) ? stale(session, seen, servers, 0, outcome.why.differences) : failed(outcome, 0)
  }
  for (const serverId of servers) {
    const outcome = await session.perform({ action: 'servers:cordon', serverId })
    if (!outcome.ok) return failed(outcome, 0)
  }
  for (const [began, serverId] of servers.entries()) {
    const remaining = servers.slice(began)
    let plan: WirePlan
    try {
      plan = await dryRun(session.client, [serverId])
    } catch (error) {
      return unread(error, began)
    }
    if (!keepsTo(seen, plan, serverId)) return stale(session, seen, remaining, began, [])
    const outcome = await session.perform({ action: 'servers:drain', serverId, fingerprint: plan.fingerprint })
    if (isStale(outcome)) return stale(session, seen, remaining, began, outcome.why.differences)
    if (!outcome.ok) return failed(outcome, began)
  }
  return { kind: 'begun', users: movingOf(seen) }
}

async function stale(
  session: Performer,
  seen: WirePlan,
  remaining: readonly string[],
  began: number,
  texts: readonly string[],
): Promise<Execution> {
  try {
    const plan = await dryRun(session.client, remaining)
    return { kind: 'stale', plan, remaining, began, differences: differencesOf(seen, plan, remaining), texts }
  } catch (error) {
    return unread(error, began)
  }
}
