import type { WireEvacuation, WireIncident, WireMigration } from '@pintail/core/wire'

/** A running migration of ten users as the API gives it, with what a test wants to be different. */
export function migrationRecord(patch: Partial<WireMigration> & { readonly id: string }): WireMigration {
  const base = {
    evacuation_id: `e-${patch.id}`,
    decision_id: 'd1',
    from_server_id: 's1',
    from_server_name: 'fra-1',
    to_server_id: 's2',
    to_server_name: 'ams-2',
    status: 'transferring',
    reason: 'manual',
    triggered_by: 'admin',
    notes: null,
    savings_eur_hour: null,
    savings_eur_month: null,
    created_at: '2026-01-01T00:00:00.000Z',
    approved_at: null,
    scheduled_at: null,
    started_at: null,
    completed_at: null,
    not_before: null,
    cancelled_why: null,
    connection_count_at_start: 10,
    connections_moved: 0,
    connections_failed: 0,
    connections_skipped: 0,
    progress: 0,
    expected_end_at: null,
    retry_count: 0,
    max_retries: 3,
    retry_of: null,
    error_message: null,
    rollback_success: null,
    residue: [],
    warnings: [],
    version: 1,
  } as const
  const record = { ...base, ...patch }
  return {
    ...record,
    server_id: record.from_server_id,
    server_name: record.from_server_name,
    from_node_id: record.from_server_id,
    from_node_name: record.from_server_name,
    to_node_id: record.to_server_id,
    to_node_name: record.to_server_name,
    player_count_at_start: record.connection_count_at_start,
    data_sync_progress: record.progress,
  }
}

/** A running evacuation of `s1`. */
export function evacuationRecord(patch: Partial<WireEvacuation> & { readonly id: string }): WireEvacuation {
  return {
    incident_id: null,
    audience: null,
    decision_id: 'd1',
    from_server_ids: ['s1'],
    only_connections: null,
    to_server_id: null,
    reason: 'manual',
    mode: 'auto',
    status: 'running',
    triggered_by: 'admin',
    notes: null,
    retry_of: null,
    created_at: '2026-01-01T00:00:00.000Z',
    approved_at: null,
    ended_at: null,
    cancelled_why: null,
    connections: 10,
    moved: 0,
    progress: 0,
    expected_end_at: null,
    unplaced: [],
    unplaced_total: 0,
    only_connections_total: null,
    empty_listings: 0,
    next_look_at: '2026-01-01T00:00:00.000Z',
    version: 1,
    ...patch,
  }
}

/** An open incident of `s1`, confirmed seven seconds after the first failing check. */
export function incidentRecord(patch: Partial<WireIncident> & { readonly id: string }): WireIncident {
  return {
    server_id: 's1',
    server_name: 'fra-1',
    audience: null,
    failure_domain: null,
    status: 'open',
    suspected_at: '2026-01-01T00:00:00.000Z',
    opened_at: '2026-01-01T00:00:07.000Z',
    recovered_at: null,
    reasons: [{ code: 'no_reply', message: 'nothing came back' }],
    evidence: [],
    control: null,
    held_by: [],
    decision_id: null,
    evacuation_id: null,
    status_write: null,
    failback: null,
    acknowledged_at: null,
    override_until: null,
    version: 1,
    ...patch,
  }
}
