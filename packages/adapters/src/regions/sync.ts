import type { Clock, Json, JsonObject, Logger } from '@pintail/core'
import type { WorkerBook } from './book.ts'
import { answerOf, type Call, failureOf } from './calls.ts'
import type { Tally } from './figures.ts'
import type { Access, Listed, RegionHandler } from './handler.ts'
import type { Lanes } from './lanes.ts'
import type { Command, Pair, SyncEntry, WorkerEventType } from './messages.ts'
import type { WholeSync } from './pages.ts'
import { isDrastic, type Known, type SyncPlan, syncPlan } from './rules.ts'

export interface SyncParts {
  readonly handler: RegionHandler
  readonly book: WorkerBook
  readonly lanes: Lanes
  readonly call: Call
  readonly clock: Clock
  readonly logger: Logger
  readonly figures: Tally
  tell(type: WorkerEventType, serverId: string, data: JsonObject): void
}

export interface SyncOutcome {
  readonly status: 'ok' | 'noop' | 'failed'
  readonly code: 'HELD' | 'INCOMPLETE' | null
  readonly payload: JsonObject
}

/** Calls of one sync at the same time. */
const atOnce = 8
const maxNamed = 20

/** Applies whole syncs; keeps what it needs to know from one to the next. */
export interface Syncs {
  /** @throws what `list` or `sync` of the handler throws */
  apply(command: Command, sync: WholeSync): Promise<SyncOutcome>
}

export function syncs(parts: SyncParts): Syncs {
  const heldSyncs = new Map<string, string>()
  const foreigners = new Map<string, number>()
  const work = async (command: Command, sync: WholeSync): Promise<SyncOutcome> => {
    const { handler, book, call, figures, tell } = parts
    const { serverId, traceId } = command
    const mark: Pair = { token: command.token, epoch: command.epoch }
    // In this order: whatever changes between both readings is noticed in its lane, by the book.
    const known = book.connections(serverId)
    const listed = handler.list ? await call(traceId, (ctx) => handler.list?.(serverId, ctx) as PromiseLike<readonly Listed[]>) : null
    const plan = syncPlan({ desired: sync.entries, leave: sync.leave, mark, known, listed })
    const isHeld = isDrastic(plan) && !heldSyncs.has(serverId)
    if (isHeld) heldSyncs.set(serverId, sync.syncId)
    else heldSyncs.delete(serverId)
    const revoke = isHeld ? [] : plan.revoke
    const done = handler.sync
      ? await applyAtOnce(parts, command, { ...plan, revoke })
      : await applyOneByOne(parts, command, { ...plan, revoke }, known)
    await learn(parts, serverId, plan, known)

    const { missing, changed, extra } = plan.figures
    figures.syncs += 1
    figures.driftMissing += missing
    figures.driftChanged += changed
    figures.driftExtra += revoke.length
    figures.foreign += plan.figures.foreign - (foreigners.get(serverId) ?? 0)
    foreigners.set(serverId, plan.figures.foreign)
    const named = [...plan.grant.map(({ connectionId }) => connectionId), ...plan.revoke].slice(0, maxNamed)
    const payload = {
      ...plan.figures,
      syncId: sync.syncId,
      failed: done.failed,
      overtaken: done.overtaken,
      held: isHeld ? plan.revoke.length : 0,
    }
    if (missing + changed + extra > 0) tell('sync.drift', serverId, { ...payload, connections: named })
    if (isHeld) {
      figures.syncsHeld += 1
      tell('sync.held', serverId, payload)
      return { status: 'failed', code: 'HELD', payload }
    }
    if (done.failed > 0) return { status: 'failed', code: 'INCOMPLETE', payload }
    return { status: missing + changed + extra > 0 ? 'ok' : 'noop', code: null, payload }
  }
  return { apply: work }
}

interface Done {
  readonly failed: number
  /** Left alone, because the worker has seen something newer since the plan was made. */
  readonly overtaken: number
}

async function applyOneByOne(parts: SyncParts, command: Command, plan: SyncPlan, before: ReadonlyMap<string, Known>): Promise<Done> {
  const { handler, book, lanes, call, clock } = parts
  const { serverId, traceId } = command
  const done = { failed: 0, overtaken: 0 }
  const change = async (access: Access, to: 'granted' | 'revoked'): Promise<void> => {
    const { connectionId, token, epoch } = access
    if (!isSame(book.connection(serverId, connectionId), before.get(connectionId) ?? null)) {
      done.overtaken += 1
      return
    }
    let answer: Json = null
    try {
      if (to === 'granted') answer = answerOf(await call(traceId, (ctx) => handler.grant(access, ctx)))
      else await call(traceId, (ctx) => handler.revoke(access, ctx))
    } catch (error) {
      // It may have had its effect all the same: what is older must not come after it.
      await book.record(serverId, connectionId, { token, epoch, done: null, hasAnswer: false, at: clock.now() })
      throw error
    }
    await book.record(serverId, connectionId, { token, epoch, done: to, hasAnswer: answer !== null, at: clock.now() })
  }
  // Grants before revokes: nobody is without access because the rest of the sync takes long.
  const grants = plan.grant.map((entry) => () => change(accessOf(serverId, entry), 'granted'))
  const revokes = plan.revoke.map((id) => () => change(revokedOf(command, id, before), 'revoked'))
  for (const [ids, works] of [
    [plan.grant.map(({ connectionId }) => connectionId), grants],
    [plan.revoke, revokes],
  ] as const) {
    await eachOf(works, async (one, index) => {
      try {
        await lanes.run(serverId, ids[index] as string, one)
      } catch (error) {
        done.failed += 1
        parts.logger.warn({ serverId, ...failureOf(error) }, 'a sync could not repair one connection: the next one tries again')
      }
    })
  }
  return done
}

async function applyAtOnce(parts: SyncParts, command: Command, plan: SyncPlan): Promise<Done> {
  const { handler, book, lanes, call, clock } = parts
  const { serverId, traceId } = command
  if (plan.grant.length + plan.revoke.length === 0) return { failed: 0, overtaken: 0 }
  return lanes.alone(serverId, async () => {
    const now = book.connections(serverId)
    const isNewer = (id: string, pair: Pair): boolean => {
      const known = now.get(id)
      return known !== undefined && (known.token > pair.token || (known.token === pair.token && known.epoch > pair.epoch))
    }
    const revoked = plan.revoke.filter((id) => !isNewer(id, command)).map((id) => revokedOf(command, id, now))
    const granted = [...plan.keep, ...plan.grant]
      .filter((entry) => !isNewer(entry.connectionId, entry))
      .map((entry) => accessOf(serverId, entry))
    await call(traceId, (ctx) => handler.sync?.({ serverId, granted, revoked }, ctx) as PromiseLike<unknown>)
    const at = clock.now()
    const record = ({ connectionId, token, epoch }: Access, to: 'granted' | 'revoked') =>
      book.record(serverId, connectionId, { token, epoch, done: to, hasAnswer: to === 'granted', at })
    await Promise.all([...granted.map((access) => record(access, 'granted')), ...revoked.map((access) => record(access, 'revoked'))])
    return { failed: 0, overtaken: plan.keep.length + plan.grant.length + plan.revoke.length - granted.length - revoked.length }
  })
}

/** What is right already is written down, unless somebody was faster. */
async function learn(
  { book, lanes, clock }: SyncParts,
  serverId: string,
  plan: SyncPlan,
  before: ReadonlyMap<string, Known>,
): Promise<void> {
  await Promise.all(
    plan.learn.map(({ connectionId, pair, done }) =>
      lanes.run(serverId, connectionId, async () => {
        if (!isSame(book.connection(serverId, connectionId), before.get(connectionId) ?? null)) return
        await book.record(serverId, connectionId, { ...pair, done, hasAnswer: done === 'granted', at: clock.now() })
      }),
    ),
  )
}

const accessOf = (serverId: string, { connectionId, token, epoch, payload }: SyncEntry): Access => ({
  serverId,
  connectionId,
  token,
  epoch,
  deadline: null,
  payload,
})

/** At the mark, or at what the worker knows where that is newer. */
function revokedOf({ serverId, token, epoch }: Command, connectionId: string, known: ReadonlyMap<string, Known>): Access {
  const mine = known.get(connectionId)
  const isNewer = mine && (mine.token > token || (mine.token === token && mine.epoch > epoch))
  const pair = isNewer ? { token: mine.token, epoch: mine.epoch } : { token, epoch }
  return { serverId, connectionId, ...pair, deadline: null, payload: null }
}

const isSame = (a: Known | null, b: Known | null): boolean => a?.token === b?.token && a?.epoch === b?.epoch && a?.done === b?.done

async function eachOf<T>(items: readonly T[], work: (item: T, index: number) => Promise<void>): Promise<void> {
  let next = 0
  const one = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) await work(items[index] as T, index)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, one))
}
