// Checked by the compiler alone: what a client of the wire sees.
import { expectTypeOf } from 'vitest'
import type { EventType, PintailEvent } from './events.ts'
import type { Evacuation, FleetStatus, Incident, MigrationStatus, Plan, Reason, Server, Token } from './vocabulary.ts'
import { migrationToWire, toSnake, toWire, type Wire, type WireEvent, type WireMigration } from './wire.ts'

declare const event: PintailEvent
declare const created: Extract<PintailEvent, { type: 'migration.created' }>

// ------------------------------------------------------------------------------------------------------------- events

expectTypeOf(toWire(event)).toEqualTypeOf<WireEvent>()
expectTypeOf(toWire(created)).toEqualTypeOf<WireEvent<'migration.created'>>()
expectTypeOf<WireEvent['type']>().toEqualTypeOf<EventType>()
expectTypeOf<WireEvent['seq']>().toEqualTypeOf<number>()
expectTypeOf<WireEvent['timestamp']>().toEqualTypeOf<string>()

// The type of an event tells its data.
const wire = toWire(event)
if (wire.type === 'migration.created') {
  expectTypeOf(wire.data.from_node).toEqualTypeOf<string>()
  expectTypeOf(wire.data.to_node).toEqualTypeOf<string>()
  expectTypeOf(wire.data.from_server_id).toEqualTypeOf<string>()
  expectTypeOf(wire.data.savings_eur_hour).toEqualTypeOf<number | null>()
  expectTypeOf(wire.data.status).toEqualTypeOf<MigrationStatus>()
  // @ts-expect-error camel case is for code
  wire.data.fromServerId
  // @ts-expect-error a key of another event
  wire.data.players_transferred
} else if (wire.type === 'migration.status_changed') {
  expectTypeOf(wire.data.timestamp).toEqualTypeOf<string>()
  expectTypeOf(wire.data.old_status).toEqualTypeOf<MigrationStatus>()
} else if (wire.type === 'migration.completed') {
  expectTypeOf(wire.data.players_transferred).toEqualTypeOf<number>()
  expectTypeOf(wire.data.success).toEqualTypeOf<true>()
} else if (wire.type === 'migration.failed') {
  expectTypeOf(wire.data.residue).toEqualTypeOf<readonly string[]>()
  expectTypeOf(wire.data.rollback_success).toEqualTypeOf<boolean | null>()
} else if (wire.type === 'incident.opened') {
  // Not null: an incident always has a beginning.
  expectTypeOf(wire.data.suspected_at).toEqualTypeOf<string>()
  expectTypeOf(wire.data.reasons[0]?.values).toEqualTypeOf<Reason['values']>()
} else if (wire.type === 'pause.set') {
  expectTypeOf(wire.data.until).toEqualTypeOf<string | null>()
  expectTypeOf(wire.data.scope).toEqualTypeOf<
    'all' | { readonly server_id: string } | { readonly evacuation_id: string } | { readonly migration_id: string }
  >()
} else if (wire.type === 'leader.acquired') {
  expectTypeOf(wire.data.token).toEqualTypeOf<number>()
} else if (wire.type === 'warning') {
  expectTypeOf(wire.data.server_id).toEqualTypeOf<string | undefined>()
}

/** Nothing in `T` is `any`. */
type HasAny<T> = 0 extends 1 & T ? true : T extends object ? { [K in keyof T]-?: HasAny<T[K]> }[keyof T] : false
expectTypeOf<true extends HasAny<WireEvent> ? true : false>().toEqualTypeOf<false>()

// ------------------------------------------------------------------------------------------------------------ records

declare const migration: Parameters<typeof migrationToWire>[0]
expectTypeOf(migrationToWire(migration)).toEqualTypeOf<WireMigration>()
expectTypeOf<WireMigration['id']>().toEqualTypeOf<string>()
expectTypeOf<WireMigration['from_node_id']>().toEqualTypeOf<string>()
expectTypeOf<WireMigration['to_server_name']>().toEqualTypeOf<string>()
expectTypeOf<WireMigration['status']>().toEqualTypeOf<MigrationStatus>()
expectTypeOf<WireMigration['created_at']>().toEqualTypeOf<string>()
expectTypeOf<WireMigration['approved_at']>().toEqualTypeOf<string | null>()
expectTypeOf<WireMigration['not_before']>().toEqualTypeOf<string | null>()
expectTypeOf<WireMigration['player_count_at_start']>().toEqualTypeOf<number>()
expectTypeOf<WireMigration['connection_count_at_start']>().toEqualTypeOf<number>()
expectTypeOf<WireMigration['retry_of']>().toEqualTypeOf<string | null>()
expectTypeOf<WireMigration['warnings']>().toEqualTypeOf<readonly string[]>()
expectTypeOf<true extends HasAny<WireMigration> ? true : false>().toEqualTypeOf<false>()

type WireIncident = Wire<Incident>
expectTypeOf<WireIncident['override_until']>().toEqualTypeOf<string | null>()
expectTypeOf<NonNullable<WireIncident['control']>['at']>().toEqualTypeOf<string>()
expectTypeOf<NonNullable<WireIncident['status_write']>['seen_at']>().toEqualTypeOf<string | null>()
expectTypeOf<WireIncident['evidence'][number]['sent_at']>().toEqualTypeOf<string>()
expectTypeOf<Wire<Evacuation>['from_server_ids']>().toEqualTypeOf<readonly string[]>()
expectTypeOf<Wire<FleetStatus>['at']>().toEqualTypeOf<string>()
expectTypeOf<NonNullable<Wire<FleetStatus>['leader']>>().toEqualTypeOf<{
  readonly holder: string
  readonly token: number
  readonly since: string
}>()
expectTypeOf<Wire<Plan>['basis']>().toEqualTypeOf<Plan['basis']>()
expectTypeOf<Wire<Plan>['coverage']['as_of']>().toEqualTypeOf<string>()
expectTypeOf<Wire<Server>['meta']>().toEqualTypeOf<Server['meta']>()
expectTypeOf<Wire<Server>['raw_id']>().toEqualTypeOf<string | number>()
expectTypeOf<Wire<Token>>().toEqualTypeOf<number>()
expectTypeOf(toSnake({ fooBar: 1, startedAt: 5, list: [{ innerKey: 'x' as const }] })).toEqualTypeOf<{
  readonly foo_bar: number
  readonly started_at: string
  readonly list: readonly { readonly inner_key: 'x' }[]
}>()
