import type {
  WireActiveMigrations,
  WireDecision,
  WireEvacuation,
  WireEvacuationPage,
  WireHealth,
  WireIncident,
  WireIncidentPage,
  WireMigration,
  WireMigrationPage,
  WirePlan,
  WireProblem,
  WireServer,
  WireServerPage,
  WireServices,
  WireStats,
  WireStatus,
} from '@pintail/core/wire'
import { z } from 'zod'

/*
 * What goes over the wire, as schemas. The compiler holds them against the types of core/wire, the tests hold every answer
 * against them: no key is missing, and none is there that the document does not tell of.
 */

// ------------------------------------------------------------------------------------------------------------- words

const statuses = [
  'suggested',
  'approved',
  'scheduled',
  'preparing',
  'transferring',
  'completing',
  'completed',
  'failed',
  'cancelled',
] as const
const reasons = [
  'server-down',
  'degraded',
  'cost-optimization',
  'manual',
  'rebalancing',
  'maintenance',
  'failback',
  'user-request',
] as const
const verdicts = ['up', 'suspect', 'down', 'unknown'] as const
const serverStatuses = ['online', 'offline', 'maintenance'] as const
const evacuationStatuses = ['suggested', 'running', 'completed', 'cancelled'] as const
const incidentStatuses = ['open', 'recovered', 'closed'] as const
const engineStates = ['idle', 'standby', 'leading', 'stopping', 'stopped'] as const

const time = z.string().meta({ format: 'date-time', description: 'ISO 8601' })
const id = z.string()
const text = z.string()
const count = z.int().min(0)
const figures = z.record(z.string(), z.union([z.number(), z.string()]))
export const reason = z.enum(reasons)
const mode = z.enum(['observe', 'suggest', 'auto'])
const triggeredBy = z.enum(['system', 'admin', 'user'])

// ------------------------------------------------------------------------------------------------------------ records

export const migration = z.strictObject({
  id,
  server_id: id.meta({ description: 'The source; the same as from_server_id' }),
  server_name: text,
  from_node_id: id.meta({ description: 'The same as from_server_id' }),
  from_node_name: text,
  to_node_id: id.meta({ description: 'The same as to_server_id' }),
  to_node_name: text,
  from_server_id: id,
  from_server_name: text,
  to_server_id: id,
  to_server_name: text,
  evacuation_id: id,
  decision_id: id,
  status: z.enum(statuses),
  reason,
  triggered_by: triggeredBy,
  notes: text.nullable(),
  savings_eur_hour: z.number().nullable(),
  savings_eur_month: z.number().nullable(),
  created_at: time,
  approved_at: time.nullable(),
  scheduled_at: time.nullable(),
  started_at: time.nullable(),
  completed_at: time.nullable(),
  not_before: time.nullable(),
  cancelled_why: text.nullable(),
  player_count_at_start: count.meta({ description: 'The same as connection_count_at_start' }),
  connection_count_at_start: count,
  connections_moved: count,
  connections_failed: count,
  connections_skipped: count,
  data_sync_progress: z.number().min(0).max(100).meta({ description: 'The same as progress' }),
  progress: z.number().min(0).max(100),
  expected_end_at: time.nullable(),
  retry_count: count,
  max_retries: count,
  retry_of: id.nullable(),
  error_message: text.nullable(),
  rollback_success: z.boolean().nullable().meta({ description: 'What happened; null while there was nothing to roll back' }),
  residue: z.array(id).meta({ description: 'Connections that may hold a grant on the target after a failed migration' }),
  warnings: z.array(text),
  version: count,
}) satisfies z.ZodType<WireMigration>

const unplaced = z.strictObject({
  connection_id: id,
  code: z.enum(['pinned', 'no_capacity', 'no_candidate', 'refused_everywhere', 'being_moved']),
  message: text,
})

export const evacuation = z.strictObject({
  id,
  incident_id: id.nullable(),
  audience: text.nullable().exactOptional(),
  decision_id: id,
  from_server_ids: z.array(id),
  only_connections: z.array(id).nullable().meta({ description: 'Only these are to move, the first of them; null: everybody' }),
  only_connections_total: count.nullable(),
  to_server_id: id.nullable(),
  reason,
  mode,
  status: z.enum(evacuationStatuses),
  triggered_by: triggeredBy,
  notes: text.nullable(),
  retry_of: id.nullable(),
  created_at: time,
  approved_at: time.nullable(),
  ended_at: time.nullable(),
  cancelled_why: text.nullable(),
  connections: count,
  moved: count,
  progress: z.number().min(0).max(100),
  expected_end_at: time.nullable(),
  unplaced: z.array(unplaced).meta({ description: 'Who found no place, the first of them' }),
  unplaced_total: count,
  empty_listings: count,
  next_look_at: time,
  version: count,
}) satisfies z.ZodType<WireEvacuation>

const why = z.strictObject({ code: text, message: text, values: figures.exactOptional() })
const vote = z.strictObject({ vantage: text, verdict: z.enum(verdicts), since: time, reason: text })
const reasonsGiven = z.array(why).min(1)
const verdict = z.strictObject({ verdict: z.enum(verdicts), since: time, reasons: reasonsGiven, votes: z.array(vote).exactOptional() })
const failure = z.strictObject({ kind: text, layer: text, detail: text.exactOptional() })
const sample = z.strictObject({
  server_id: id,
  vantage: text,
  prober: text,
  sent_at: time,
  sent: count,
  received: count,
  rtt_ms: z.array(z.number()),
  failure: failure.nullable(),
})
const denial = z.strictObject({ guard: text, message: text, remedy: text, values: figures.exactOptional() })
const control = z.strictObject({ host: text, at: time })

export const incident = z.strictObject({
  id,
  server_id: id,
  server_name: text,
  audience: text.nullable().exactOptional(),
  failure_domain: text.nullable().exactOptional(),
  status: z.enum(incidentStatuses),
  suspected_at: time,
  opened_at: time,
  recovered_at: time.nullable(),
  reasons: reasonsGiven,
  votes: z.array(vote).exactOptional(),
  evidence: z.array(sample),
  control: control.nullable(),
  held_by: z.array(denial),
  decision_id: id.nullable(),
  evacuation_id: id.nullable(),
  status_write: z
    .strictObject({
      status: z.enum(serverStatuses),
      previous: z.enum(serverStatuses),
      at: time,
      confirmed: z.boolean(),
      seen_at: time.nullable(),
      changed_at: time.nullable(),
      restored_at: time.nullable(),
    })
    .nullable(),
  failback: z
    .strictObject({
      state: z.enum(['waiting', 'running', 'done', 'abandoned']),
      since: time,
      evacuation_id: id.nullable(),
      batches: count,
      batch_size: count.nullable(),
      moved: count,
      next_at: time,
      why: text.nullable(),
    })
    .nullable(),
  acknowledged_at: time.nullable(),
  override_until: time.nullable(),
  version: count,
})

const server = z.strictObject({
  server_id: id,
  name: text,
  host: text,
  region: text.nullable(),
  status: z.enum(serverStatuses),
  verdict,
  audiences: z.array(z.strictObject({ audience: text, verdict, incident_id: id.nullable() })),
  samples: z.array(sample),
  cordoned: z.boolean(),
  load: count.nullable(),
  reserved: count,
  capacity: count.nullable(),
  rtt_ms: z.number().nullable(),
  last_sample: sample.nullable(),
  incident_id: id.nullable(),
  penalty: z.number(),
})

const counts = z.strictObject({ up: count, suspect: count, down: count, unknown: count })
const scope = z.union([
  z.literal('all'),
  z.strictObject({ server_id: id }),
  z.strictObject({ evacuation_id: id }),
  z.strictObject({ migration_id: id }),
])
const pause = z.strictObject({ scope, reason: text.nullable(), until: time.nullable() })
export const pauses = z.strictObject({ pauses: z.array(pause) })

export const status = z.strictObject({
  state: z.enum(engineStates),
  at: time,
  leader: z.strictObject({ holder: text, token: z.int(), since: time }).nullable(),
  servers: z.array(server),
  vantages: z.array(
    z.strictObject({
      name: text,
      region: text.nullable(),
      is_own: z.boolean(),
      healthy: z.boolean(),
      why: text.nullable(),
      heard_at: time.nullable(),
      usual_ms: z.number(),
      samples: count,
    }),
  ),
  observations: z.strictObject({ taken: count, refused: z.record(z.string(), count) }),
  failing_domains: z.array(z.strictObject({ failure_domain: text, audience: text.nullable(), since: time, servers: z.array(id) })),
  counts,
  incidents: z.array(incident),
  evacuations: z.array(evacuation),
  migrations: z.array(migration),
  guards: z.array(z.strictObject({ guard: text, audience: text.exactOptional(), servers: z.array(id) })),
  pauses: z.array(pause),
  registry: z.strictObject({ listed_at: time.nullable(), stale: z.boolean(), skipped_rows: count }),
  store_trouble: text.nullable(),
  last_check_at: time.nullable(),
  pending_revokes: count,
  last_seq: count.meta({ description: 'The cursor of the events that come after this picture' }),
})

const factor = z.enum(['headroom', 'latency', 'stability', 'region', 'failure_domain', 'cost', 'preference'])
const candidate = z.union([
  z.strictObject({
    server_id: id,
    score: z.number(),
    contributions: z.array(z.strictObject({ factor, value: z.number(), weight: z.number(), note: text })),
  }),
  z.strictObject({ server_id: id, excluded: text, message: text }),
])
const cohort = z.strictObject({
  cohort: text,
  region: text.nullable(),
  connections: count,
  candidates: z.array(candidate),
  exclusions: z.record(z.string(), count),
  placed: z.array(z.strictObject({ server_id: id, connections: count })),
  unplaced: z.record(z.string(), count),
})
const coverage = z.strictObject({ kind: z.enum(['assigned', 'active']), as_of: time, remembered: z.boolean() })

export const decision = z.strictObject({
  id,
  at: time,
  reason,
  mode,
  incident_id: id.nullable(),
  evacuation_id: id.nullable(),
  from_server_ids: z.array(id),
  verdicts: z.array(z.strictObject({ server_id: id, verdict })),
  evidence: z.array(sample),
  control: control.nullable(),
  guards: z.array(z.strictObject({ guard: text, denial: denial.nullable() })),
  cohorts: z.array(cohort),
  connections: count,
  placed: count,
  unplaced: count,
  coverage,
  policy_version: count,
  version: count,
})

export const plan = z.strictObject({
  fingerprint: text.meta({ description: 'Carries out exactly this plan: hand it to drain, or to POST /migrations' }),
  created_at: time,
  reason,
  from_server_ids: z.array(id),
  only_connections: z.array(id).nullable(),
  to_server_id: id.nullable(),
  placements: z.array(
    z.strictObject({
      from_server_id: id,
      to_server_id: id,
      connections: count,
      connection_ids: z.array(id).meta({ description: 'The first of them' }),
      load_before: count,
      load_after: count,
      capacity: count.nullable(),
    }),
  ),
  unplaced: z.array(unplaced),
  unplaced_total: count,
  cohorts: z.array(cohort),
  coverage,
  schedule: z.strictObject({
    expected_ms: z.number().nullable().meta({ description: 'If nothing is held and nothing else moves; null: not known' }),
    call_ms: z.number().nullable(),
    waves: z.array(z.strictObject({ starts_after_ms: z.number(), ends_after_ms: z.number(), connections: count, targets: count })),
  }),
  utilisation: z.array(
    z.strictObject({
      server_id: id,
      load_before: count.nullable(),
      load_after: count.nullable(),
      capacity: count.nullable(),
      share_before: z.number().nullable(),
      share_after: z.number().nullable(),
    }),
  ),
  shortfalls: z.array(
    z.strictObject({
      places: count,
      needs: z.record(z.string(), z.array(text)),
      not_on: z.array(id),
      only_on: id.nullable(),
      message: text,
    }),
  ),
})

export const stats = z.strictObject({
  total: count,
  by_status: z.strictObject(Object.fromEntries(statuses.map((one) => [one, count])) as Record<(typeof statuses)[number], typeof count>),
  success_rate: z.number().min(0).max(1).nullable().meta({ description: 'completed / (completed + failed)' }),
  average_duration_seconds: z.number().nullable().meta({ description: 'From start to completion, mean of the completed ones' }),
  total_savings_eur_hour: z.number(),
  total_savings_eur_month: z.number(),
  failures_by_reason: z.partialRecord(reason, count),
  failures: z.array(z.strictObject({ error: text, count })),
}) satisfies z.ZodType<WireStats>

// -------------------------------------------------------------------------------------------------------------- pages

const page = { total: count, limit: z.int().min(1).max(200), offset: count }
export const migrationPage = z.strictObject({ migrations: z.array(migration), ...page }) satisfies z.ZodType<WireMigrationPage>
export const evacuationPage = z.strictObject({ evacuations: z.array(evacuation), ...page }) satisfies z.ZodType<WireEvacuationPage>
export const incidentPage = z.strictObject({ incidents: z.array(incident), ...page })
export const serverPage = z.strictObject({
  servers: z.array(server),
  ...page,
  state: z.enum(engineStates),
  at: time,
  counts,
  last_seq: count,
})
export const activeMigrations = z.strictObject({
  migration: migration.nullable().meta({ description: 'The oldest open one' }),
  migrations: z.array(migration),
}) satisfies z.ZodType<WireActiveMigrations>

export const policyView = z.strictObject({
  policy: z.record(z.string(), z.unknown()),
  sources: z.record(z.string(), z.enum(['default', 'preset', 'code', 'patch'])),
  version: count,
})
export const cordoned = z.strictObject({ server_id: id, cordoned: z.boolean() })

const part = z.strictObject({ status: z.enum(['ok', 'failing', 'unknown']), since: time.nullable(), note: text })
export const services = z.strictObject({
  status: z.enum(['ok', 'failing']),
  services: z.record(z.string(), part),
}) satisfies z.ZodType<WireServices>
export type Services = z.infer<typeof services>

export const health = z.strictObject({
  status: z.enum(['ok', 'failing']),
  state: z.enum(engineStates),
  reasons: z.array(z.enum(['start_failed', 'not_started', 'stopping', 'stopped', 'no_checks', 'store_trouble'])),
  last_check_at: time.nullable(),
  last_check_age_seconds: z.number().nullable(),
}) satisfies z.ZodType<WireHealth>

export const problem = z.strictObject({
  type: text.meta({ description: 'Stable: urn:pintail:problem:… with the code at its end' }),
  title: text,
  status: z.int(),
  detail: text,
  code: text,
  remedy: text.exactOptional(),
  errors: z.array(z.strictObject({ path: text, message: text, remedy: text.exactOptional() })).exactOptional(),
  differences: z.array(text).exactOptional(),
  request_id: text.exactOptional().meta({ description: 'By which the log of the server knows the request' }),
}) satisfies z.ZodType<WireProblem>

// ----------------------------------------------------------------------------------------------------------- requests

const refText = z.string().min(1).max(200)
/** An id as callers may give it: `3` and `"3"` are one. */
export const ref = z.union([refText, z.int()])
export const idParams = z.strictObject({ id: refText })
/** `a,b`, each of these words. */
const listOf = (words: readonly string[]) => z.string().regex(new RegExp(`^(${words.join('|')})(,(${words.join('|')}))*$`))
export const statusList = listOf(statuses).meta({ description: 'One or several states, separated by commas' })
export const evacuationStatusList = listOf(evacuationStatuses)
export const incidentStatusList = listOf(incidentStatuses)
export const verdictList = listOf(verdicts)
export const serverStatusList = listOf(serverStatuses)
export const refList = z.string().min(1).max(8000).meta({ description: 'Ids, separated by commas' })
export const refQuery = refText
export const openQuery = z.boolean().meta({ description: 'True: what is not over. False: what is' })
export const paging = {
  limit: z.int().min(1).max(200).default(50),
  offset: z.int().min(0).max(Number.MAX_SAFE_INTEGER).default(0),
}
export const notes = z.string().min(1).max(2000)
export const fingerprint = z.string().min(1).max(200)
export const pauseScope = z.union([
  z.literal('all'),
  z.strictObject({ server_id: ref }),
  z.strictObject({ evacuation_id: refText }),
  z.strictObject({ migration_id: refText }),
])

// Where words of the engine are free text here, so that a new one is no breaking change, the type is the narrower one.
type Loose<T> = { readonly [K in keyof T]: unknown }
incident satisfies z.ZodType<Loose<WireIncident>>
server satisfies z.ZodType<Loose<WireServer>>
status satisfies z.ZodType<Loose<WireStatus>>
decision satisfies z.ZodType<Loose<WireDecision>>
plan satisfies z.ZodType<Loose<WirePlan>>
incidentPage satisfies z.ZodType<Loose<WireIncidentPage>>
serverPage satisfies z.ZodType<Loose<WireServerPage>>
