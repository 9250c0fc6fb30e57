import {
  type ConnectionMover,
  createPintail,
  errorText,
  isPintailError,
  type MigrationReason,
  type Pintail,
  PintailError,
  type Plan,
  type ServerRegistry,
  systemClock,
} from '@pintail/core'
import { toSnake } from '@pintail/core/wire'
import type { Terminal } from './io.ts'
import { type Listed, openListing } from './listed.ts'
import { collect } from './listing.ts'
import { planText } from './planText.ts'
import { proberFor } from './probers.ts'
import type { Resolved } from './settings/resolve.ts'
import { Exit, paintFor } from './terminal.ts'

export interface PlanOptions {
  readonly drain: readonly string[]
  readonly to?: string
  readonly users?: readonly string[]
  readonly reason: MigrationReason
  /** How long to look at the servers before planning, milliseconds. */
  readonly lookMs: number
  readonly all: boolean
  readonly json: boolean
  readonly signal: AbortSignal
}

/** The dry run of a drain against the real database service. Nothing that it does can change anything. */
export async function plan(resolved: Resolved, options: PlanOptions, terminal: Terminal): Promise<number> {
  const { values, policy } = resolved
  await using listed = await openListing(values)
  const { registry } = listed
  const engine = createPintail({
    registry: readOnly(registry),
    mover: nobodyMoves,
    probers: [proberFor(values)],
    policy: { ...policy, mode: 'observe', startupDelayMs: 0, detect: { ...policy.detect, checkIntervalMs: 1000, jitter: 0 } },
  })
  try {
    await reachable(listed, options.signal)
    await engine.start()
    await judged(engine, options)
    const made = await engine.plan({
      drain: options.drain,
      reason: options.reason,
      ...(options.to !== undefined && { to: options.to }),
      ...(options.users && { connections: options.users }),
    })
    const { servers } = engine.status()
    const { fillLimit } = engine.policy.get().policy.placement
    const text = { plan: made, servers, fillLimit, all: options.all, columns: terminal.columns, paint: paintFor(terminal) }
    terminal.out(options.json ? planJson(made) : planText(text))
    return 0
  } catch (error) {
    throw asExit(error, engine)
  } finally {
    await engine.stop({ timeoutMs: 1000 })
  }
}

/** The registry without its writing method: there is nothing left to write with. */
function readOnly(registry: ServerRegistry): ServerRegistry {
  return {
    listServers: (ctx) => registry.listServers(ctx),
    listConnections: (server, ctx) => registry.listConnections(server, ctx),
    ...(registry.coverage && { coverage: registry.coverage }),
  }
}

const nobodyMoves: ConnectionMover = {
  move: async () => {
    throw new PintailError('rejected', 'a dry run moves nobody')
  },
}

async function reachable({ registry, listedBy }: Listed, signal: AbortSignal): Promise<void> {
  try {
    await collect(registry.listServers({ signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]) }))
  } catch (error) {
    const remedy = (isPintailError(error) && error.remedy) || listedBy.remedy
    throw new Exit(1, `pintail plan: ${listedBy.name} did not list its servers: ${errorText(error)}\n  ${remedy}\n`)
  }
}

/** Until each server has been judged, or the time is up: a server that nobody has looked at is no target. */
async function judged(engine: Pintail, { lookMs, signal }: PlanOptions): Promise<void> {
  const until = systemClock.now() + lookMs
  while (systemClock.now() < until && !signal.aborted) {
    const { registry, counts } = engine.status()
    if (registry.listedAt !== null && counts.unknown + counts.suspect === 0) return
    await new Promise<void>((resolve) => systemClock.setTimeout(resolve, 50))
  }
  if (signal.aborted) throw new Exit(130)
}

function asExit(error: unknown, engine: Pintail): unknown {
  if (!isPintailError(error)) return error
  const { servers } = engine.status()
  const known = servers
    .slice(0, 20)
    .map(({ serverId, name }) => (name === serverId ? serverId : `${serverId} (${name})`))
    .join(', ')
  const listed = error.code === 'not_found' && known ? `\n  Servers: ${known}${servers.length > 20 ? ', …' : ''}` : ''
  const remedy = listed || (error.remedy ? `\n  ${error.remedy}` : '')
  return new Exit(1, `pintail plan: ${errorText(error)}${remedy}\n`)
}

function planJson(plan: Plan): string {
  const { placements, basis: _, ...rest } = plan
  // Ids only: rows of the registry may hold more than a plan needs.
  const slim = placements.map(({ connections, ...one }) => ({ ...one, connections: connections.map(({ id }) => id) }))
  return `${JSON.stringify({ ...toSnake(rest), placements: toSnake(slim), changed: false }, null, 2)}\n`
}
