// Checked by the compiler alone: what the code of a host sees.
import { expectTypeOf } from 'vitest'
import {
  type CallContext,
  type Connection,
  type ConnectionId,
  type ConnectionInput,
  type ConnectionMover,
  createPintail,
  type EventType,
  errorText,
  type FleetStatus,
  type GuardSource,
  isPintailError,
  type Migration,
  type MigrationStore,
  type Move,
  memoryLog,
  memoryMover,
  memoryRegistry,
  memoryStore,
  type Pintail,
  PintailError,
  type PintailEvent,
  type PintailEvents,
  type PintailOptions,
  type Plan,
  type PolicyView,
  type Prober,
  type Server,
  type ServerId,
  type ServerInput,
  type ServerRegistry,
  type VerdictKind,
} from './index.ts'
import { lastKnownGood, withFallback, withRetry } from './resilience/index.ts'
import { toWire } from './wire.ts'

/** Something within `T` is `any`. */
type HasAny<T, Depth extends 0[] = []> = 0 extends 1 & T
  ? true
  : // An id is a branded string, and the methods of strings take anything.
    T extends string | number
    ? false
    : Depth['length'] extends 6
      ? false
      : T extends (...args: infer Args) => infer Answer
        ? HasAny<Args, [...Depth, 0]> | HasAny<Answer, [...Depth, 0]>
        : T extends object
          ? { [K in keyof T]-?: HasAny<T[K], [...Depth, 0]> }[keyof T]
          : false
type IsFree<T> = true extends HasAny<T> ? false : true
// biome-ignore lint/suspicious/noExplicitAny: the check itself
expectTypeOf<IsFree<{ deep: readonly [{ odd: any }] }>>().toEqualTypeOf<false>()

expectTypeOf<IsFree<PintailEvents>>().toEqualTypeOf<true>()
expectTypeOf<IsFree<FleetStatus>>().toEqualTypeOf<true>()
expectTypeOf<IsFree<Plan>>().toEqualTypeOf<true>()
expectTypeOf<IsFree<PintailOptions['policy']>>().toEqualTypeOf<true>()
expectTypeOf<IsFree<PolicyView>>().toEqualTypeOf<true>()
expectTypeOf<IsFree<ServerInput | ConnectionInput>>().toEqualTypeOf<true>()

// --------------------------------------------------------------------------------------- the first block of the README

interface Row {
  id: number
  host: string
  region: string | null
  capacity: number | null
}
// biome-ignore lint/suspicious/noExplicitAny: many clients answer so
declare const untyped: { query(sql: string, values?: unknown[]): Promise<any[]> }
declare const typed: { query<T = Row>(sql: string, values?: unknown[]): Promise<T[]> }
declare const vpn: { grant(user: string, host: string, options: { key: string; signal: AbortSignal }): Promise<void> }

export const pintail = createPintail({
  registry: {
    listServers: () => untyped.query('select id, host, region, capacity from servers'),
    listConnections: (server) => untyped.query('select user_id as id, region from access where server_id = $1', [server.id]),
    setServerStatus: (server, status) => untyped.query('update servers set status = $2 where id = $1', [server.id, status]),
  },
  mover: { move: ({ connection, to, key }, { signal }) => vpn.grant(connection.id, to.host, { key, signal }) },
  policy: { mode: 'auto' },
})
expectTypeOf(pintail).toEqualTypeOf<Pintail>()
expectTypeOf(pintail.start()).toEqualTypeOf<Promise<void>>()

// The same with rows that have a type, and what the callbacks are given.
createPintail({
  registry: {
    listServers: () => typed.query('select id, host, region, capacity from servers'),
    listConnections: (server, ctx) => {
      expectTypeOf(server).toEqualTypeOf<Server>()
      expectTypeOf(ctx).toEqualTypeOf<CallContext>()
      return typed.query<{ id: number; region: string | null }>('select …', [server.rawId])
    },
  },
  mover: {
    move: async (move, ctx) => {
      expectTypeOf(move).toEqualTypeOf<Move>()
      expectTypeOf(move.connection).toEqualTypeOf<Connection>()
      expectTypeOf(move.to).toEqualTypeOf<Server>()
      expectTypeOf(ctx.signal).toEqualTypeOf<AbortSignal>()
    },
  },
  guards: [{ current: async () => [{ name: 'scaling', active: true, message: 'scaling out' }] }],
})

// ------------------------------------------------------------------- the second block: what the modules of a host export

class BillingRegistry implements ServerRegistry {
  async *listServers(): AsyncGenerator<readonly Row[]> {
    yield await typed.query('select …')
  }
  async listConnections(server: Server) {
    return [{ id: `${server.id}-1`, userId: 5, tier: null, needs: { protocols: ['wireguard'] } }]
  }
}
export const registry = new BillingRegistry()
export const mover: ConnectionMover = { move: async () => {} }
createPintail({ registry, mover, policy: { mode: 'suggest' } })

// --------------------------------------------------------------------------------------- the third block of the README

declare const app: { pintail: Pintail }
declare const gauge: { set(labels: { serverId: string }, value: number): void }
declare const hub: { cursor: number; publish(text: string): void }
declare const signal: AbortSignal
declare const migrationId: Migration['id']

app.pintail.on('server.verdict_changed', ({ serverId, verdict }) => gauge.set({ serverId }, verdict === 'up' ? 1 : 0))
export async function forward(): Promise<void> {
  for await (const event of app.pintail.events({ after: hub.cursor, signal })) hub.publish(JSON.stringify(toWire(event)))
}

// --------------------------------------------------------------------------------------------------------------- events

app.pintail.on('server.verdict_changed', (payload) => {
  expectTypeOf(payload).toEqualTypeOf<PintailEvents['server.verdict_changed']>()
  expectTypeOf(payload.serverId).toEqualTypeOf<ServerId>()
  expectTypeOf(payload.verdict).toEqualTypeOf<VerdictKind>()
  // @ts-expect-error not a verdict
  if (payload.verdict === 'offline') return
})
app.pintail.on('*', (event) => {
  expectTypeOf(event).toEqualTypeOf<PintailEvent>()
  expectTypeOf(event.type).toEqualTypeOf<EventType>()
  // The type of an event tells its data.
  if (event.type === 'migration.failed') expectTypeOf(event.data.residue).toEqualTypeOf<readonly ConnectionId[]>()
  if (event.type === 'server.added') expectTypeOf(event.data).toEqualTypeOf<PintailEvents['server.added']>()
})
expectTypeOf(app.pintail.on('warning', () => {})).toEqualTypeOf<Disposable>()
app.pintail.on('warning', async ({ remedy }) => expectTypeOf(remedy).toEqualTypeOf<string | undefined>())
// @ts-expect-error there is no such event
app.pintail.on('server.verdict_change', () => {})
// @ts-expect-error events tell, they are not told
app.pintail.emit('warning', {})
// @ts-expect-error a payload cannot be changed
app.pintail.on('migration.deleted', (payload) => (payload.id = migrationId))
expectTypeOf(app.pintail.events()).toEqualTypeOf<AsyncIterable<PintailEvent>>()

// ------------------------------------------------------------------------------------------------------------ ids, records

expectTypeOf(app.pintail.migrations.get('m1')).toEqualTypeOf<Promise<Migration>>()
expectTypeOf(app.pintail.status()).toEqualTypeOf<FleetStatus>()
declare const server: Server
declare const connection: Connection
// An id is a text for everybody, and a text is no id.
expectTypeOf(server.id).toExtend<string>()
// @ts-expect-error only a parser mints ids
const minted: ServerId = 's1'
// @ts-expect-error the id of a connection is none of a server
const mixed: ServerId = connection.id
export const used = [minted, mixed]
// Callers need no brand: texts and numbers will do.
app.pintail.cordon(3)
app.pintail.plan({ drain: ['s1', 3], connections: ['c1', 4] })
app.pintail.pause({ serverId: 's1' }, { forMs: 1000, reason: 'night' })
// @ts-expect-error a record cannot be changed
server.name = 'other'

// -------------------------------------------------------------------------------------------------------- what is refused

// @ts-expect-error a registry has listConnections too
createPintail({ registry: { listServers: async () => [] }, mover })
// @ts-expect-error a row has a host
createPintail({ registry: { ...registry, listServers: async () => [{ id: 1 }], listConnections: async () => [] }, mover })
// @ts-expect-error an id is no boolean
createPintail({ registry: { listServers: async () => [], listConnections: async () => [{ id: true }] }, mover })
// @ts-expect-error not a mode
createPintail({ registry, mover, policy: { mode: 'automatic' } })
// @ts-expect-error not a reason
createPintail({ registry, mover, policy: { mode: { 'server-up': 'auto' } } })
// @ts-expect-error it is checkIntervalMs
createPintail({ registry, mover, policy: { detect: { checkInterval: 5 } } })
// @ts-expect-error it is policy
createPintail({ registry, mover, policies: {} })
// @ts-expect-error a mover says enforced or none
createPintail({ registry, mover: { ...mover, fencing: 'yes' } })
createPintail({
  registry,
  mover,
  policy: { mode: { default: 'suggest', 'server-down': 'auto' }, detect: { confirm: null, preset: 'seed' } },
})

// ------------------------------------------------------------------------------------------------- errors, parts, wrappers

declare const thrown: unknown
if (isPintailError(thrown, 'target_full')) {
  expectTypeOf(thrown).toEqualTypeOf<PintailError>()
  expectTypeOf(thrown.remedy).toEqualTypeOf<string | undefined>()
}
expectTypeOf(errorText(thrown)).toEqualTypeOf<string>()
// @ts-expect-error there is no such code
new PintailError('no_such_code')

const memory = memoryRegistry({ servers: [{ id: 1, host: '192.0.2.1' }], connections: { 1: [{ id: 'c1' }] } })
expectTypeOf(memory).toExtend<ServerRegistry>()
expectTypeOf(memoryMover(memory)).toEqualTypeOf<ConnectionMover>()
expectTypeOf(memoryStore()).toEqualTypeOf<MigrationStore>()
createPintail({ registry: memory, mover: memoryMover(memory), log: memoryLog(), store: memoryStore() })

declare const guard: GuardSource
declare const prober: Prober
expectTypeOf(withRetry(mover)).toEqualTypeOf<ConnectionMover>()
expectTypeOf(withRetry(registry)).toEqualTypeOf<BillingRegistry>()
expectTypeOf(withRetry(guard, { tries: 2 })).toEqualTypeOf<GuardSource>()
expectTypeOf(withFallback(prober, prober, { mode: () => 'primary-with-fallback' })).toEqualTypeOf<Prober>()
expectTypeOf(lastKnownGood(registry).stale).toEqualTypeOf<boolean>()
createPintail({ registry: lastKnownGood(withRetry(registry)), mover: withRetry(memoryMover(memory)) })
// @ts-expect-error not a mode
withFallback(mover, mover, { mode: () => 'tertiary' })
// @ts-expect-error two ports of one kind
withFallback<ConnectionMover>(mover, guard, { mode: () => 'primary' })
