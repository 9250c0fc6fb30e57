import type { Cursor, JournalDraft, StoreKind, StoreRecords, StoreWrite } from '../../ports.ts'
import type {
  Connection,
  ConnectionId,
  DecisionId,
  Evacuation,
  EvacuationId,
  Failback,
  Incident,
  IncidentId,
  Migration,
  MigrationId,
  MoveRecord,
  OperatorWord,
  PendingRevoke,
  Server,
  ServerId,
  Token,
} from '../../vocabulary.ts'
import { frozen } from './rule.ts'

/** Whole records, as an engine writes them: what a rule does not care about is filled in. */

export const startOfTime = Date.UTC(2026, 0, 1)

const connection = (id: string): Connection => ({
  id: id as ConnectionId,
  rawId: id,
  userId: `user of ${id}`,
  region: 'eu',
  needs: {},
  mobility: 'free',
  tier: 0,
  preferredServer: null,
  meta: { note: 'ünï ☃ 🦆', deep: [null, { a: [[]] }] },
})

const server = (id: string): Server => ({
  id: id as ServerId,
  rawId: id,
  host: '192.0.2.1',
  name: id,
  status: 'online',
  port: null,
  region: null,
  country: null,
  coordinates: { latitude: 52.5, longitude: -13.4 },
  failureDomain: null,
  capacity: 100,
  load: 0,
  resources: { cpuPercent: null, memoryPercent: 12.5, diskPercent: null },
  protocols: ['wireguard'],
  features: ['p2p'],
  priceEurHour: 0.1,
  meta: null,
})

export function migrationOf(id: string, patch: Partial<Migration> = {}): Migration {
  return {
    id: id as MigrationId,
    evacuationId: 'e1' as EvacuationId,
    decisionId: 'd1' as DecisionId,
    fromServerId: 's1' as ServerId,
    fromServerName: 'ams-1',
    toServerId: 's2' as ServerId,
    toServerName: 'ams-2',
    status: 'suggested',
    reason: 'server-down',
    triggeredBy: 'system',
    notes: null,
    savingsEurHour: null,
    savingsEurMonth: 12.34,
    createdAt: startOfTime + 0.25,
    approvedAt: null,
    scheduledAt: null,
    startedAt: null,
    completedAt: null,
    notBefore: null,
    cancelledWhy: null,
    connectionCountAtStart: 3,
    connectionsMoved: 0,
    connectionsFailed: 0,
    connectionsSkipped: 0,
    progress: 0,
    expectedEndAt: null,
    retryCount: 0,
    maxRetries: 3,
    retryOf: null,
    errorMessage: null,
    rollbackSuccess: null,
    residue: [],
    warnings: [],
    version: 1,
    ...patch,
  }
}

export function moveOf(migrationId: string, connectionId: string, patch: Partial<MoveRecord> = {}): MoveRecord {
  return {
    id: `${migrationId}/${connectionId}`,
    migrationId: migrationId as MigrationId,
    connection: connection(connectionId),
    attempt: 1,
    state: { state: 'pending' },
    version: 1,
    ...patch,
  }
}

export function evacuationOf(id: string, patch: Partial<Evacuation> = {}): Evacuation {
  return {
    id: id as EvacuationId,
    incidentId: null,
    decisionId: 'd1' as DecisionId,
    fromServerIds: ['s1' as ServerId],
    onlyConnections: null,
    toServerId: null,
    reason: 'server-down',
    mode: 'auto',
    status: 'running',
    triggeredBy: 'system',
    notes: null,
    retryOf: null,
    createdAt: startOfTime,
    approvedAt: startOfTime,
    endedAt: null,
    cancelledWhy: null,
    connections: 3,
    moved: 0,
    progress: 0,
    expectedEndAt: null,
    unplaced: [{ connectionId: 'c9' as ConnectionId, code: 'no_capacity', message: 'nobody has room' }],
    emptyListings: 0,
    nextLookAt: startOfTime,
    version: 1,
    ...patch,
  }
}

export function incidentOf(id: string, patch: Partial<Incident> = {}): Incident {
  return {
    id: id as IncidentId,
    serverId: 's1' as ServerId,
    serverName: 'ams-1',
    status: 'open',
    suspectedAt: startOfTime,
    openedAt: startOfTime,
    recoveredAt: null,
    reasons: [{ code: 'no_reply', message: 'nothing came back', values: { sent: 3, received: 0 } }],
    evidence: [],
    control: { host: '192.0.2.9', at: startOfTime },
    heldBy: [],
    decisionId: null,
    evacuationId: null,
    statusWrite: null,
    failback: null,
    acknowledgedAt: null,
    overrideUntil: null,
    version: 1,
    ...patch,
  }
}

export const failbackOf = (state: Failback['state']): Failback => ({
  state,
  since: startOfTime,
  evacuationId: null,
  batches: 0,
  batchSize: null,
  moved: 0,
  nextAt: startOfTime,
  why: null,
})

export const cursorOf = (name: string, seq: number, version = 1): Cursor => ({ name, seq, version })

const revoke = (id: string): PendingRevoke => ({
  id,
  migrationId: 'm1' as MigrationId,
  effect: 'complete',
  serverId: 's1' as ServerId,
  move: {
    key: 'm1/c1/1',
    connection: connection('c1'),
    from: server('s1'),
    to: server('s2'),
    reason: 'server-down',
    attempt: 1,
    fencingToken: 1 as Token,
    epoch: 1,
    sourceAlive: false,
  },
  createdAt: startOfTime,
  dueAt: startOfTime,
  tries: 0,
  lastError: null,
  version: 1,
})

const word: OperatorWord = {
  kind: 'pause',
  scope: { serverId: 's1' as ServerId },
  reason: 'a 🦆',
  at: startOfTime,
  until: null,
  version: 1,
}

/** One record of every kind, with the id that it is kept under. */
export const oneOfEach: { readonly [K in StoreKind]: { readonly id: string; readonly value: StoreRecords[K] } } = {
  incident: { id: 'i1', value: incidentOf('i1') },
  evacuation: { id: 'e1', value: evacuationOf('e1') },
  migration: { id: 'm1', value: migrationOf('m1') },
  move: { id: 'm1/c1', value: moveOf('m1', 'c1') },
  decision: {
    id: 'd1',
    value: {
      id: 'd1' as DecisionId,
      at: startOfTime,
      reason: 'server-down',
      mode: 'auto',
      incidentId: 'i1' as IncidentId,
      evacuationId: 'e1' as EvacuationId,
      fromServerIds: ['s1' as ServerId],
      verdicts: [],
      evidence: [],
      control: null,
      guards: [{ guard: 'mass_failure', denial: null }],
      cohorts: [],
      connections: 3,
      placed: 3,
      unplaced: 0,
      coverage: { kind: 'assigned', asOf: startOfTime, remembered: false },
      policyVersion: 1,
      version: 1,
    },
  },
  revoke: { id: 'm1/c1/old', value: revoke('m1/c1/old') },
  word: { id: 'pause/s1', value: word },
  cursor: { id: 'log', value: cursorOf('log', 0) },
}

/** A write of this record over the version below its own. */
export function write<K extends StoreKind>(kind: K, id: string, value: StoreRecords[K]): StoreWrite {
  return frozen({ kind, id, expected: value.version - 1, value } as unknown as StoreWrite)
}

export const erase = (kind: StoreKind, id: string, expected: number): StoreWrite =>
  frozen({ kind, id, expected, value: null } as unknown as StoreWrite)

export const draft = (type: string, data: object = {}, at: number = startOfTime): JournalDraft => frozen({ at, type, data })
