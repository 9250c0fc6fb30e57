// Checked by the compiler alone: what an application sees of the client.
import type {
  WireDecision,
  WireEvacuation,
  WireEvent,
  WireIncident,
  WireMigration,
  WireMigrationPage,
  WirePlan,
  WirePolicy,
  WireServerPage,
  WireStats,
  WireStatus,
} from '@pintail/core/wire'
import { expectTypeOf } from 'vitest'
import { ApiError, type ClientMessage, createClient, type Health, type PintailClient, type Services } from './index.ts'

const client = createClient({ baseUrl: 'https://panel.example/pintail', token: async () => 'token' })
expectTypeOf(client).toEqualTypeOf<PintailClient>()

// ------------------------------------------------------------------------------------------------------------- answers

expectTypeOf(client.snapshot()).resolves.toEqualTypeOf<WireStatus>()
expectTypeOf(client.servers.list({ verdict: ['down'], limit: 10 })).resolves.toEqualTypeOf<WireServerPage>()
expectTypeOf(client.servers.drain('a', { fingerprint: 'x' })).resolves.toEqualTypeOf<WireEvacuation>()
expectTypeOf(client.migrations.list({ status: ['failed'] })).resolves.toEqualTypeOf<WireMigrationPage>()
expectTypeOf(client.migrations.get('m')).resolves.toEqualTypeOf<WireMigration>()
expectTypeOf(client.migrations.delete('m')).resolves.toEqualTypeOf<void>()
expectTypeOf(client.incidents.acknowledge('i')).resolves.toEqualTypeOf<WireIncident>()
expectTypeOf(client.plan({ drain: ['a', 3] })).resolves.toEqualTypeOf<WirePlan>()
expectTypeOf(client.decision('d')).resolves.toEqualTypeOf<WireDecision>()
expectTypeOf(client.stats()).resolves.toEqualTypeOf<WireStats>()
expectTypeOf(client.policy.get()).resolves.toEqualTypeOf<WirePolicy>()
expectTypeOf(client.health()).resolves.toEqualTypeOf<Health>()
expectTypeOf(client.services()).resolves.toEqualTypeOf<Services>()
expectTypeOf(client.etagOf({})).toEqualTypeOf<string | undefined>()

declare const migration: WireMigration
declare const evacuation: WireEvacuation
client.migrations.approve(migration)
client.migrations.approve('m', { ifMatch: '*' })
client.policy.update({ mode: 'auto' }, { ifMatch: '"3"' })
// @ts-expect-error an evacuation is no migration
client.migrations.approve(evacuation)
// @ts-expect-error a status that there is not
client.migrations.list({ status: ['done'] })
// @ts-expect-error the server to leave is needed
client.migrations.create({ to_node_id: 'b' })
// @ts-expect-error the names of the wire, not of code
client.migrations.create({ serverId: 'a' })
// @ts-expect-error two operators must not overwrite each other
client.policy.update({ mode: 'auto' }, {})
// @ts-expect-error where the API is must be said
createClient({ token: 'x' })

// -------------------------------------------------------------------------------------------------------------- events

export async function follow(signal: AbortSignal): Promise<void> {
  for await (const message of client.events({ after: 7, signal })) {
    expectTypeOf(message).toEqualTypeOf<ClientMessage>()
    // The type of a message tells its data.
    if (message.type === 'snapshot') expectTypeOf(message.data).toEqualTypeOf<WireStatus>()
    else if (message.type === 'stream.reset') expectTypeOf(message.data.reason).toEqualTypeOf<'cursor_too_old' | 'cursor_unknown'>()
    else if (message.type === 'migration.completed') {
      expectTypeOf(message.data.players_transferred).toEqualTypeOf<number>()
      expectTypeOf(message.data.success).toEqualTypeOf<true>()
    } else expectTypeOf(message).toExtend<WireEvent>()
    // @ts-expect-error told to the client alone, which comes again by itself
    if (message.type === 'stream.closed') return
  }
}

// -------------------------------------------------------------------------------------------------------------- errors

export function explain(error: unknown): string {
  if (!(error instanceof ApiError)) return 'no answer'
  expectTypeOf(error.status).toEqualTypeOf<number>()
  expectTypeOf(error.type).toEqualTypeOf<string>()
  expectTypeOf(error.remedy).toEqualTypeOf<string | undefined>()
  expectTypeOf(error.differences).toEqualTypeOf<readonly string[] | undefined>()
  return `${error.title}: ${error.detail} ${error.remedy ?? ''}`
}

/** Nothing in `T` is `any`. */
type HasAny<T, Depth extends 1[] = []> = 0 extends 1 & T
  ? true
  : Depth['length'] extends 8
    ? false
    : T extends (...args: infer A) => infer R
      ? HasAny<A, [...Depth, 1]> | HasAny<R, [...Depth, 1]>
      : T extends object
        ? { [K in keyof T]-?: HasAny<T[K], [...Depth, 1]> }[keyof T]
        : false
type Answers = {
  readonly [K in keyof PintailClient]: PintailClient[K] extends (...args: never[]) => infer R ? Awaited<R> : PintailClient[K]
}
expectTypeOf<true extends HasAny<ClientMessage> ? true : false>().toEqualTypeOf<false>()
expectTypeOf<true extends HasAny<Awaited<ReturnType<PintailClient['snapshot']>>> ? true : false>().toEqualTypeOf<false>()
expectTypeOf<
  true extends HasAny<Pick<Answers, 'stats' | 'plan' | 'decision' | 'pause' | 'health' | 'services'>> ? true : false
>().toEqualTypeOf<false>()
expectTypeOf<true extends HasAny<Omit<ApiError, 'cause'>> ? true : false>().toEqualTypeOf<false>()
