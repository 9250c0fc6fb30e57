import { expect, test } from 'vitest'
import type { EventType, PintailEvent, PintailEvents } from './events.ts'
import { createFleet } from './testing/index.ts'
import type { Connection, DecisionRecord, Evacuation, FleetStatus, Incident, Migration, MoveRecord, Plan, Token } from './vocabulary.ts'
import { migrationToWire, planToWire, statusToWire, toSnake, toWire, type Wire, type WireEvent, type WireMigration } from './wire.ts'

/** An id of whatever kind is wanted here. */
const id = <T extends string>(text: string) => text as T
const token = 7 as Token
const noon = Date.UTC(2025, 0, 14, 12)
const noonText = '2025-01-14T12:00:00.000Z'
const reason = { code: 'no_reply', message: '3 of 3 lost', values: { lostPackets: 3, lastSeenAt: 5 } } as const
const vote = { vantage: 'teh-1', verdict: 'down', since: noon, reason: 'no answer' } as const
const denial = { guard: 'mass_failure', message: '4 of 10', remedy: 'Look at the network.', values: { downServers: 4 } } as const

/**
 * Every event beside what goes over the wire. The compiler holds both columns against the types: a key that the type
 * has and the wire has not, or the other way round, does not compile; the test holds them against what happens.
 */
const cases: { readonly [T in EventType]: { readonly data: PintailEvents[T]; readonly wire: WireEvent<T>['data'] } } = {
  'server.added': { data: { serverId: id('s1'), name: 'Server 1' }, wire: { server_id: 's1', name: 'Server 1' } },
  'server.removed': { data: { serverId: id('s1'), name: 'Server 1' }, wire: { server_id: 's1', name: 'Server 1' } },
  'server.verdict_changed': {
    data: { serverId: id('s1'), audience: null, verdict: 'down', previous: 'suspect', reasons: [reason] },
    wire: { server_id: 's1', audience: null, verdict: 'down', previous: 'suspect', reasons: [reason] },
  },
  'server.status_set': {
    data: { serverId: id('s1'), status: 'offline', previous: 'online', incidentId: id('i1') },
    wire: { server_id: 's1', status: 'offline', previous: 'online', incident_id: 'i1' },
  },
  'server.damped': {
    data: { serverId: id('s1'), outagesLastHour: 4, until: noon, message: 'It is flapping.' },
    wire: { server_id: 's1', outages_last_hour: 4, until: noonText, message: 'It is flapping.' },
  },
  'server.undamped': { data: { serverId: id('s1'), verdict: 'up' }, wire: { server_id: 's1', verdict: 'up' } },
  'advice.given': {
    data: {
      reason: 'cost-optimization',
      serverId: id('s1'),
      mode: 'suggest',
      evacuationId: id('e1'),
      connections: 12,
      savingsEurHour: 0.15,
      savingsEurMonth: 109.5,
      message: 'giving back s1 saves 0.1500 EUR/h',
    },
    wire: {
      reason: 'cost-optimization',
      server_id: 's1',
      mode: 'suggest',
      evacuation_id: 'e1',
      connections: 12,
      savings_eur_hour: 0.15,
      savings_eur_month: 109.5,
      message: 'giving back s1 saves 0.1500 EUR/h',
    },
  },
  'advice.expired': {
    data: { reason: 'rebalancing', serverId: id('s1'), evacuationId: id('e1'), why: 's1 is cooler now' },
    wire: { reason: 'rebalancing', server_id: 's1', evacuation_id: 'e1', why: 's1 is cooler now' },
  },
  'incident.closed': {
    data: { incidentId: id('i1'), serverId: id('s1'), advice: 'It is gone.', audience: null },
    wire: { incident_id: 'i1', server_id: 's1', advice: 'It is gone.', audience: null },
  },
  'failback.changed': {
    data: { incidentId: id('i1'), serverId: id('s1'), state: 'running', evacuationId: id('e1'), connections: 2, moved: 3, message: 'x' },
    wire: { incident_id: 'i1', server_id: 's1', state: 'running', evacuation_id: 'e1', connections: 2, moved: 3, message: 'x' },
  },
  'vantage.lost': { data: { vantage: 'teh-1', region: 'ir', why: 'silent' }, wire: { vantage: 'teh-1', region: 'ir', why: 'silent' } },
  'vantage.returned': { data: { vantage: 'teh-1', region: null }, wire: { vantage: 'teh-1', region: null } },
  'domain.failed': {
    data: { failureDomain: 'rack-a', audience: null, servers: [id('s1')], incidentIds: [id('i1')], message: 'all down' },
    wire: { failure_domain: 'rack-a', audience: null, servers: ['s1'], incident_ids: ['i1'], message: 'all down' },
  },
  'domain.recovered': { data: { failureDomain: 'rack-a', audience: 'ir' }, wire: { failure_domain: 'rack-a', audience: 'ir' } },
  'server.cordoned': { data: { serverId: id('s1') }, wire: { server_id: 's1' } },
  'server.uncordoned': { data: { serverId: id('s1') }, wire: { server_id: 's1' } },
  'incident.opened': {
    data: {
      incidentId: id('i1'),
      serverId: id('s1'),
      suspectedAt: noon,
      reasons: [reason, { code: 'latency', message: 'slow' }],
      audience: 'ir',
      votes: [vote],
    },
    wire: {
      incident_id: 'i1',
      server_id: 's1',
      suspected_at: noonText,
      reasons: [reason, { code: 'latency', message: 'slow' }],
      audience: 'ir',
      votes: [{ ...vote, since: noonText }],
    },
  },
  'incident.held': {
    data: { incidentId: id('i1'), serverId: id('s1'), guards: [denial], audience: 'ir', wouldHave: 'would have moved 3 users off s1' },
    wire: { incident_id: 'i1', server_id: 's1', guards: [denial], audience: 'ir', would_have: 'would have moved 3 users off s1' },
  },
  'incident.released': { data: { incidentId: id('i1'), serverId: id('s1') }, wire: { incident_id: 'i1', server_id: 's1' } },
  'incident.acknowledged': { data: { incidentId: id('i1'), serverId: id('s1') }, wire: { incident_id: 'i1', server_id: 's1' } },
  'incident.recovered': {
    data: { incidentId: id('i1'), serverId: id('s1'), durationMs: 5000, statusRestored: false, advice: 'Set it online.', audience: null },
    wire: { incident_id: 'i1', server_id: 's1', duration_ms: 5000, status_restored: false, advice: 'Set it online.', audience: null },
  },
  'guard.denied': {
    data: { ...denial, serverId: null, incidentId: id('i1'), audience: 'ir', wouldHave: 'would have moved 3 users off s1' },
    wire: { ...denial, server_id: null, incident_id: 'i1', audience: 'ir', would_have: 'would have moved 3 users off s1' },
  },
  'guard.overridden': { data: { incidentId: id('i1'), until: noon }, wire: { incident_id: 'i1', until: noonText } },
  'decision.made': {
    data: { decisionId: id('d1'), incidentId: null, reason: 'server-down', mode: 'auto', connections: 3, placed: 2, unplaced: 1 },
    wire: { decision_id: 'd1', incident_id: null, reason: 'server-down', mode: 'auto', connections: 3, placed: 2, unplaced: 1 },
  },
  'evacuation.created': {
    data: {
      evacuationId: id('e1'),
      incidentId: id('i1'),
      fromServerIds: [id('s1'), id('S2')],
      status: 'running',
      connections: 3,
      migrations: 2,
      unplaced: 0,
    },
    wire: {
      evacuation_id: 'e1',
      incident_id: 'i1',
      from_server_ids: ['s1', 'S2'],
      status: 'running',
      connections: 3,
      migrations: 2,
      unplaced: 0,
    },
  },
  'evacuation.approved': { data: { evacuationId: id('e1') }, wire: { evacuation_id: 'e1' } },
  'evacuation.completed': {
    data: { evacuationId: id('e1'), moved: 3, unplaced: 0, durationMs: 900 },
    wire: { evacuation_id: 'e1', moved: 3, unplaced: 0, duration_ms: 900 },
  },
  'evacuation.cancelled': {
    data: { evacuationId: id('e1'), moved: 1, why: 'recovered' },
    wire: { evacuation_id: 'e1', moved: 1, why: 'recovered' },
  },
  'migration.created': {
    data: {
      id: id('m1'),
      serverId: id('s1'),
      status: 'suggested',
      fromServerId: id('s1'),
      toServerId: id('s2'),
      savingsEurHour: 0.15,
      evacuationId: id('e1'),
      reason: 'server-down',
      connections: 3,
    },
    wire: {
      id: 'm1',
      server_id: 's1',
      status: 'suggested',
      from_node: 's1',
      to_node: 's2',
      savings_eur_hour: 0.15,
      from_server_id: 's1',
      to_server_id: 's2',
      evacuation_id: 'e1',
      reason: 'server-down',
      connections: 3,
    },
  },
  'migration.rescheduled': { data: { id: id('m1'), notBefore: noon }, wire: { id: 'm1', not_before: noonText } },
  'migration.status_changed': {
    data: { id: id('m1'), oldStatus: 'scheduled', newStatus: 'preparing' },
    wire: { id: 'm1', old_status: 'scheduled', new_status: 'preparing', timestamp: noonText },
  },
  'migration.progress': {
    data: {
      id: id('m1'),
      status: 'transferring',
      progress: 75,
      message: 'Moving 3 of 4 connections to ams-2…',
      moved: 3,
      failed: 0,
      total: 4,
      expectedEndAt: noon,
    },
    wire: {
      id: 'm1',
      status: 'transferring',
      progress: 75,
      message: 'Moving 3 of 4 connections to ams-2…',
      moved: 3,
      failed: 0,
      total: 4,
      expected_end_at: noonText,
    },
  },
  'migration.completed': {
    data: { id: id('m1'), durationSeconds: 45, connectionsMoved: 3, connectionsFailed: 1, success: true },
    wire: { id: 'm1', duration_seconds: 45, players_transferred: 3, success: true, connections_moved: 3, connections_failed: 1 },
  },
  'migration.failed': {
    data: { id: id('m1'), error: 'the target is full', rollbackSuccess: null, residue: [id('c1')] },
    wire: { id: 'm1', error: 'the target is full', rollback_success: null, residue: ['c1'] },
  },
  'migration.cancelled': {
    data: { id: id('m1'), connectionsMoved: 2, why: 'asked' },
    wire: { id: 'm1', connections_moved: 2, why: 'asked' },
  },
  'migration.deleted': { data: { id: id('m1') }, wire: { id: 'm1' } },
  'move.started': {
    data: {
      key: 'm1/C1/1',
      migrationId: id('m1'),
      connectionId: id('C1'),
      fromServerId: id('s1'),
      toServerId: id('s2'),
      fencingToken: token,
    },
    wire: { key: 'm1/C1/1', migration_id: 'm1', connection_id: 'C1', from_server_id: 's1', to_server_id: 's2', fencing_token: 7 },
  },
  'connection.moved': {
    data: { key: 'm1/c1/1', migrationId: id('m1'), connectionId: id('c1'), fromServerId: id('s1'), toServerId: id('s2'), reason: 'manual' },
    wire: { key: 'm1/c1/1', migration_id: 'm1', connection_id: 'c1', from_server_id: 's1', to_server_id: 's2', reason: 'manual' },
  },
  'connection.move_failed': {
    data: {
      key: 'm1/c1/1',
      migrationId: id('m1'),
      connectionId: id('c1'),
      fromServerId: id('s1'),
      toServerId: id('s2'),
      reason: 'manual',
      permanent: true,
      rolledBack: true,
      error: 'no',
    },
    wire: {
      key: 'm1/c1/1',
      migration_id: 'm1',
      connection_id: 'c1',
      from_server_id: 's1',
      to_server_id: 's2',
      reason: 'manual',
      permanent: true,
      rolled_back: true,
      error: 'no',
    },
  },
  'connection.undelivered': {
    data: { migrationId: id('m1'), connectionId: id('c1'), serverId: id('s2'), error: 'no' },
    wire: { migration_id: 'm1', connection_id: 'c1', server_id: 's2', error: 'no' },
  },
  'connection.skipped': {
    data: { migrationId: id('m1'), connectionId: id('c1'), why: 'deleted by the host' },
    wire: { migration_id: 'm1', connection_id: 'c1', why: 'deleted by the host' },
  },
  'connection.unplaced': {
    data: { connectionId: id('c1'), serverId: id('s1'), code: 'no_capacity', message: 'all full', evacuationId: null },
    wire: { connection_id: 'c1', server_id: 's1', code: 'no_capacity', message: 'all full', evacuation_id: null },
  },
  'revoke.pending': {
    data: { serverId: id('s1'), connectionId: id('c1'), error: 'no' },
    wire: { server_id: 's1', connection_id: 'c1', error: 'no' },
  },
  'revoke.settled': { data: { serverId: id('s1'), connectionId: id('c1') }, wire: { server_id: 's1', connection_id: 'c1' } },
  'pause.set': {
    data: { scope: { serverId: id('s1') }, reason: 'night', until: noon },
    wire: { scope: { server_id: 's1' }, reason: 'night', until: noonText },
  },
  'pause.lifted': { data: { scope: 'all' }, wire: { scope: 'all' } },
  'policy.changed': { data: { version: 3 }, wire: { version: 3 } },
  'leader.acquired': { data: { token, holder: 'pintail-1' }, wire: { token: 7, holder: 'pintail-1' } },
  'leader.lost': { data: { token, holder: 'pintail-1' }, wire: { token: 7, holder: 'pintail-1' } },
  warning: {
    data: { code: 'invalid_row', message: 'skipped', remedy: 'Mend it.', serverId: id('s1'), count: 2 },
    wire: { code: 'invalid_row', message: 'skipped', remedy: 'Mend it.', server_id: 's1', count: 2 },
  },
}

test.each(Object.entries(cases))('%s goes over the wire as { type, data, seq, timestamp }', (type, { data, wire }) => {
  const event = { seq: 41, type, at: noon, data } as PintailEvent
  const before = structuredClone(event)
  const sent = toWire(event)
  expect(sent).toStrictEqual({ type, data: wire, seq: 41, timestamp: noonText })
  expect(Object.keys(sent)).toEqual(['type', 'data', 'seq', 'timestamp'])
  expect(JSON.parse(JSON.stringify(sent))).toEqual(sent)
  expect(event).toEqual(before)
})

/** The examples of seed 004, with its own values. */
test.each<[EventType, readonly string[]]>([
  ['migration.created', ['id', 'server_id', 'status', 'from_node', 'to_node', 'savings_eur_hour']],
  ['migration.status_changed', ['id', 'old_status', 'new_status', 'timestamp']],
  ['migration.progress', ['id', 'status', 'progress', 'message']],
  ['migration.completed', ['id', 'duration_seconds', 'players_transferred', 'success']],
  ['migration.failed', ['id', 'error', 'rollback_success']],
])('%s has every key of seed 004', (type, keys) => {
  const { data } = toWire({ seq: 1, type, at: noon, data: cases[type].data } as PintailEvent)
  expect(Object.keys(data)).toEqual(expect.arrayContaining([...keys]))
})

test('no key of an event has a capital letter, and no value is undefined', () => {
  const look = (value: unknown, path: string): void => {
    expect(value, path).toBeDefined()
    if (typeof value !== 'object' || value === null) return
    for (const [key, inner] of Object.entries(value)) {
      if (key === 'values') continue
      expect(key, path).toMatch(/^[a-z0-9_]+$/)
      look(inner, `${path}.${key}`)
    }
  }
  for (const [type, { data }] of Object.entries(cases)) look(toWire({ seq: 0, type, at: noon, data } as PintailEvent), type)
})

// -------------------------------------------------------------------------------------------------------------- records

const migration: Migration = {
  id: id('m1'),
  evacuationId: id('e1'),
  decisionId: id('d1'),
  fromServerId: id('s1'),
  fromServerName: 'Amsterdam 1',
  toServerId: id('s2'),
  toServerName: 'Amsterdam 2',
  status: 'completed',
  reason: 'server-down',
  triggeredBy: 'system',
  notes: null,
  savingsEurHour: 0.5,
  savingsEurMonth: 360,
  createdAt: noon,
  approvedAt: noon + 1,
  scheduledAt: noon + 2,
  startedAt: noon + 3.75,
  completedAt: null,
  notBefore: noon + 5000,
  cancelledWhy: null,
  connectionCountAtStart: 12,
  connectionsMoved: 10,
  connectionsFailed: 1,
  connectionsSkipped: 1,
  progress: 92,
  expectedEndAt: noon + 9000,
  retryCount: 1,
  maxRetries: 3,
  retryOf: id('m0'),
  errorMessage: null,
  rollbackSuccess: null,
  residue: [id('c9')],
  warnings: ['late'],
  version: 8,
}

test('a migration is the record of seed 004, its keys beside ours', () => {
  const wire: WireMigration = {
    id: 'm1',
    server_id: 's1',
    server_name: 'Amsterdam 1',
    from_node_id: 's1',
    from_node_name: 'Amsterdam 1',
    to_node_id: 's2',
    to_node_name: 'Amsterdam 2',
    from_server_id: 's1',
    from_server_name: 'Amsterdam 1',
    to_server_id: 's2',
    to_server_name: 'Amsterdam 2',
    status: 'completed',
    reason: 'server-down',
    savings_eur_hour: 0.5,
    savings_eur_month: 360,
    created_at: '2025-01-14T12:00:00.000Z',
    approved_at: '2025-01-14T12:00:00.001Z',
    scheduled_at: '2025-01-14T12:00:00.002Z',
    started_at: '2025-01-14T12:00:00.003Z',
    completed_at: null,
    not_before: '2025-01-14T12:00:05.000Z',
    cancelled_why: null,
    player_count_at_start: 12,
    connection_count_at_start: 12,
    data_sync_progress: 92,
    progress: 92,
    expected_end_at: '2025-01-14T12:00:09.000Z',
    error_message: null,
    retry_count: 1,
    max_retries: 3,
    retry_of: 'm0',
    triggered_by: 'system',
    notes: null,
    connections_moved: 10,
    connections_failed: 1,
    connections_skipped: 1,
    rollback_success: null,
    residue: ['c9'],
    evacuation_id: 'e1',
    decision_id: 'd1',
    version: 8,
    warnings: ['late'],
  }
  expect(migrationToWire(migration)).toStrictEqual(wire)
})

const verdict = { verdict: 'down', since: noon, reasons: [reason] } as const
const sample = {
  serverId: id<Incident['serverId']>('s1'),
  vantage: 'ams',
  prober: 'icmp',
  sentAt: noon,
  sent: 3,
  received: 0,
  rttMs: [],
  failure: { kind: 'no_reply', layer: 'icmp' },
} as const
const wireSample = {
  server_id: 's1',
  vantage: 'ams',
  prober: 'icmp',
  sent_at: noonText,
  sent: 3,
  received: 0,
  rtt_ms: [],
  failure: { kind: 'no_reply', layer: 'icmp' },
} as const

test('an incident: times at every depth are ISO 8601, also those not called `…At`', () => {
  const incident: Incident = {
    id: id('i1'),
    serverId: id('s1'),
    serverName: 'Amsterdam 1',
    status: 'open',
    suspectedAt: noon,
    openedAt: noon,
    recoveredAt: null,
    reasons: [reason],
    evidence: [sample],
    control: { host: 'one.example', at: noon },
    heldBy: [denial],
    decisionId: null,
    evacuationId: id('e1'),
    statusWrite: { status: 'offline', previous: 'online', at: noon, confirmed: true, seenAt: noon, changedAt: null, restoredAt: null },
    failback: { state: 'waiting', since: noon, evacuationId: null, batches: 1, batchSize: 2, moved: 2, nextAt: noon, why: 'x' },
    acknowledgedAt: null,
    overrideUntil: noon,
    version: 1,
  }
  const wire: Wire<Incident> = {
    id: 'i1',
    server_id: 's1',
    server_name: 'Amsterdam 1',
    status: 'open',
    suspected_at: noonText,
    opened_at: noonText,
    recovered_at: null,
    reasons: [reason],
    evidence: [wireSample],
    control: { host: 'one.example', at: noonText },
    held_by: [denial],
    decision_id: null,
    evacuation_id: 'e1',
    status_write: {
      status: 'offline',
      previous: 'online',
      at: noonText,
      confirmed: true,
      seen_at: noonText,
      changed_at: null,
      restored_at: null,
    },
    failback: {
      state: 'waiting',
      since: noonText,
      evacuation_id: null,
      batches: 1,
      batch_size: 2,
      moved: 2,
      next_at: noonText,
      why: 'x',
    },
    acknowledged_at: null,
    override_until: noonText,
    version: 1,
  }
  expect(toSnake(incident)).toStrictEqual(wire)
})

test('an evacuation, a decision and a move', () => {
  const evacuation: Pick<Evacuation, 'fromServerIds' | 'createdAt' | 'approvedAt' | 'nextLookAt' | 'unplaced'> = {
    fromServerIds: [id('s1')],
    createdAt: noon,
    approvedAt: null,
    nextLookAt: noon,
    unplaced: [{ connectionId: id('c1'), code: 'pinned', message: 'never' }],
  }
  expect(toSnake(evacuation)).toStrictEqual({
    from_server_ids: ['s1'],
    created_at: noonText,
    approved_at: null,
    next_look_at: noonText,
    unplaced: [{ connection_id: 'c1', code: 'pinned', message: 'never' }],
  })
  const decision: DecisionRecord = {
    id: id('d1'),
    at: noon,
    reason: 'server-down',
    mode: 'auto',
    incidentId: id('i1'),
    evacuationId: null,
    fromServerIds: [id('s1')],
    verdicts: [{ serverId: id('s1'), verdict }],
    evidence: [sample],
    control: null,
    guards: [{ guard: 'mass_failure', denial: null }],
    cohorts: [
      {
        cohort: 'eu',
        region: 'eu',
        connections: 3,
        candidates: [
          { serverId: id('s2'), score: 0.5, contributions: [{ factor: 'headroom', value: 0.5, weight: 30, note: 'half empty' }] },
          { serverId: id('s3'), excluded: 'full', message: '5 of 5' },
        ],
        exclusions: { not_online: 2 },
        placed: [{ serverId: id('s2'), connections: 3 }],
        unplaced: { no_capacity: 0 },
      },
    ],
    connections: 3,
    placed: 3,
    unplaced: 0,
    coverage: { kind: 'assigned', asOf: noon, remembered: true },
    policyVersion: 2,
    version: 1,
  }
  const wire: Wire<DecisionRecord> = {
    id: 'd1',
    at: noonText,
    reason: 'server-down',
    mode: 'auto',
    incident_id: 'i1',
    evacuation_id: null,
    from_server_ids: ['s1'],
    verdicts: [{ server_id: 's1', verdict: { verdict: 'down', since: noonText, reasons: [reason] } }],
    evidence: [wireSample],
    control: null,
    guards: [{ guard: 'mass_failure', denial: null }],
    cohorts: [
      {
        cohort: 'eu',
        region: 'eu',
        connections: 3,
        candidates: [
          { server_id: 's2', score: 0.5, contributions: [{ factor: 'headroom', value: 0.5, weight: 30, note: 'half empty' }] },
          { server_id: 's3', excluded: 'full', message: '5 of 5' },
        ],
        exclusions: { not_online: 2 },
        placed: [{ server_id: 's2', connections: 3 }],
        unplaced: { no_capacity: 0 },
      },
    ],
    connections: 3,
    placed: 3,
    unplaced: 0,
    coverage: { kind: 'assigned', as_of: noonText, remembered: true },
    policy_version: 2,
    version: 1,
  }
  expect(toSnake(decision)).toStrictEqual(wire)
  const state: MoveRecord['state'] = { state: 'moving', token, since: noon }
  const wireState: Wire<MoveRecord['state']> = { state: 'moving', token: 7, since: noonText }
  expect(toSnake(state)).toStrictEqual(wireState)
})

test('the status of the fleet has no time that is a number', () => {
  const status: Pick<FleetStatus, 'at' | 'leader' | 'counts' | 'migrations' | 'pauses' | 'registry' | 'lastCheckAt' | 'guards'> = {
    at: noon,
    leader: { holder: 'pintail-1', token, since: noon },
    counts: { up: 1, suspect: 0, down: 0, unknown: 0 },
    migrations: [migration],
    pauses: [{ scope: { serverId: id('s1') }, reason: null, until: noon }],
    registry: { listedAt: noon, stale: false, skippedRows: 0 },
    lastCheckAt: noon,
    guards: [{ guard: 'paused', servers: [id('s1')] }],
  }
  const wire = toSnake(status)
  expect(wire).toMatchObject({
    at: noonText,
    leader: { holder: 'pintail-1', token: 7, since: noonText },
    counts: { up: 1, suspect: 0, down: 0, unknown: 0 },
    pauses: [{ scope: { server_id: 's1' }, reason: null, until: noonText }],
    registry: { listed_at: noonText, stale: false, skipped_rows: 0 },
    last_check_at: noonText,
    guards: [{ guard: 'paused', servers: ['s1'] }],
  })
  expect(JSON.stringify(wire)).not.toContain(String(noon).slice(0, 9))
})

// ----------------------------------------------------------------------------------------------------- what stays as it is

test('the figures of a reason and the own JSON of an adapter keep their keys and their numbers', () => {
  const own = { camelCase: { nestedKey: 1 }, createdAt: noon, at: noon, __snake: null, 'Key With Spaces': [{ innerKey: noon }] }
  for (const key of ['values', 'meta'] as const) expect(toSnake({ outerKey: { [key]: own } })).toEqual({ outer_key: { [key]: own } })
})

test('the pieces of a fingerprint keep their names: they hold ids of servers', () => {
  const basis = { 'target AMS-1': 'up', 'source ams-1': 'down' }
  expect(toSnake({ basis } as unknown as Plan)).toEqual({ basis })
})

test('words as keys stay words: modes, exclusions and factors', () => {
  const words = { 'server-down': 'auto', is_source: 2, failure_domain: 5 }
  expect(toSnake({ exclusions: words })).toEqual({ exclusions: words })
})

test('only numbers are times: a text called `…At`, and a count, stay', () => {
  expect(toSnake({ createdAt: 'yesterday', startedAt: null, connectionCountAtStart: 5, at: ['x'], until: true })).toEqual({
    created_at: 'yesterday',
    started_at: null,
    connection_count_at_start: 5,
    at: ['x'],
    until: true,
  })
})

test('a time that no calendar knows is null instead of the end of the stream', () => {
  expect(toSnake({ at: Number.NaN, sentAt: Number.POSITIVE_INFINITY, dueAt: 8.64e15 + 1, since: 8.64e15 })).toEqual({
    at: null,
    sent_at: null,
    due_at: null,
    since: '+275760-09-13T00:00:00.000Z',
  })
})

test('hostile keys change nothing but themselves', () => {
  const hostile = JSON.parse('{"__proto__":{"pollutedKey":1},"constructor":{"prototype":{"polluted":1}},"toString":1,"hasOwnProperty":2}')
  const wire = toSnake({ data: hostile }) as { data: Record<string, unknown> }
  expect(JSON.parse(JSON.stringify(wire))).toEqual({
    data: JSON.parse('{"__proto__":{"polluted_key":1},"constructor":{"prototype":{"polluted":1}},"to_string":1,"has_own_property":2}'),
  })
  expect(Object.getPrototypeOf(wire.data)).toBe(Object.prototype)
  expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  expect(wire.data.pollutedKey).toBeUndefined()
  const sent = toWire({ seq: 0, type: 'warning', at: 0, data: hostile } as unknown as PintailEvent)
  expect(Object.getPrototypeOf(sent.data)).toBe(Object.prototype)
})

test('hostile texts are texts: nothing is cut out, added or read', () => {
  const text = '</script>\n\ndata: x\u2028\u0000"\\ üñ🦆'
  const { data } = toWire({ seq: 0, type: 'evacuation.cancelled', at: 0, data: { evacuationId: id(text), moved: 0, why: text } })
  expect(data).toEqual({ evacuation_id: text, moved: 0, why: text })
  // One line, so that a stream of events cannot be broken up.
  expect(JSON.stringify(data)).not.toContain('\n')
})

test('a plain value of any kind comes back as itself', () => {
  for (const value of [null, true, 0, 'aB', [], {}]) expect(toSnake(value)).toEqual(value)
  expect(toSnake({ nothing: undefined })).toEqual({ nothing: undefined })
})

test('needs, places and lists of a connection', () => {
  const needs: Connection['needs'] = { protocols: ['wireGuard'], countries: ['NL'] }
  const connection: Connection = {
    id: id('c1'),
    rawId: 1,
    userId: null,
    region: 'eu',
    needs,
    mobility: 'free',
    tier: 0,
    preferredServer: null,
    meta: { apiKey: 1 },
  }
  const wire: Wire<Connection> = {
    id: 'c1',
    raw_id: 1,
    user_id: null,
    region: 'eu',
    needs,
    mobility: 'free',
    tier: 0,
    preferred_server: null,
    meta: { apiKey: 1 },
  }
  expect(toSnake(connection)).toStrictEqual(wire)
})

// ------------------------------------------------------------------------------------------------- answers of the API

test('the whole picture has its migrations as records of seed 004, and a cursor', async () => {
  const fleet = await createFleet({ servers: 3, policy: { mode: 'suggest' } })
  await fleet.advance(20_000)
  const drained = fleet.pintail.drain('s1')
  await fleet.advance(1000)
  await drained
  const status = fleet.pintail.status()
  const wire = statusToWire(status)
  expect(wire.migrations.map(({ server_id, from_node_id, data_sync_progress }) => [server_id, from_node_id, data_sync_progress])).toEqual(
    status.migrations.map(() => ['s1', 's1', 0]),
  )
  expect(wire.migrations.length).toBeGreaterThan(0)
  expect(wire.last_seq).toBe(fleet.events.filter(({ seq }) => seq > 0).length)
  expect(wire.at).toBe(new Date(status.at).toISOString())
  expect(wire.servers[0]).toMatchObject({ server_id: 's1', cordoned: true })
  await fleet.stop()
})

test('a plan is counted, names the first of its connections, and never hands out what an adapter keeps', async () => {
  const row = (id: string) => ({ id, meta: { key: 'of an adapter' } })
  const fleet = await createFleet({
    servers: [
      { id: 'a', host: '10.0.0.1', capacity: 10 },
      { id: 'b', host: '10.0.0.2', capacity: 3 },
    ],
    connections: { a: ['u1', 'u2', 'u3', 'u4', 'u5', 'u6'].map(row) },
  })
  await fleet.advance(20_000)
  const planning = fleet.pintail.plan({ drain: ['a'] })
  await fleet.advance(1000)
  const plan = await planning
  const wire = planToWire(plan, 2)
  expect(wire.placements).toEqual([
    { from_server_id: 'a', to_server_id: 'b', connections: 2, connection_ids: ['u1', 'u2'], load_before: 0, load_after: 2, capacity: 3 },
  ])
  expect(wire).toMatchObject({ fingerprint: plan.fingerprint, unplaced_total: 4, from_server_ids: ['a'] })
  expect(wire.unplaced).toHaveLength(2)
  expect(JSON.stringify(wire)).not.toContain('of an adapter')
  await fleet.stop()
})
