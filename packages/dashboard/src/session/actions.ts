import type { PintailClient } from '@pintail/client'
import type { WireEvacuation, WireMigration } from '@pintail/core/wire'
import type { Books } from './books.ts'
import type { ActionRequest, Outcome } from './requests.ts'
import { type Trouble, troubleOf } from './trouble.ts'

/** @throws ApiError */
async function ask(client: PintailClient, books: Books, request: ActionRequest): Promise<Outcome> {
  switch (request.action) {
    case 'migrations:approve':
    case 'migrations:cancel':
    case 'migrations:retry': {
      const now = await client.migrations.get(request.seen.id)
      books.putMigration(now)
      if (!sameMigration(now, request.seen)) return changed(now)
      const verb = request.action.slice('migrations:'.length) as 'approve' | 'cancel' | 'retry'
      books.putMigration(await client.migrations[verb](now))
      return { ok: true }
    }
    case 'evacuations:approve':
    case 'evacuations:cancel': {
      const now = await client.evacuations.get(request.seen.id)
      books.putEvacuation(now)
      if (now.status !== request.seen.status) return changed(now)
      const verb = request.action.slice('evacuations:'.length) as 'approve' | 'cancel'
      books.putEvacuation(await client.evacuations[verb](now))
      return { ok: true }
    }
    case 'servers:cordon':
      await client.servers.cordon(request.serverId)
      return { ok: true }
    case 'servers:uncordon':
      await client.servers.uncordon(request.serverId)
      return { ok: true }
    case 'servers:drain':
      books.putEvacuation(
        await client.servers.drain(request.serverId, request.fingerprint === undefined ? {} : { fingerprint: request.fingerprint }),
      )
      return { ok: true }
    case 'fleet:pause': {
      const { scope, reason, forMs } = request
      const body = { scope, ...(reason !== undefined && { reason }), ...(forMs !== undefined && { for_ms: forMs }) }
      books.putPauses((await client.pause(body)).pauses)
      return { ok: true }
    }
    case 'fleet:resume':
      books.putPauses((await client.resume({ scope: request.scope })).pauses)
      return { ok: true }
    case 'incidents:acknowledge':
      books.putIncident(await client.incidents.acknowledge(request.incidentId))
      return { ok: true }
    case 'incidents:override-guard':
      books.putIncident(
        await client.incidents.overrideGuard(request.incidentId, request.forMs === undefined ? {} : { for_ms: request.forMs }),
      )
      return { ok: true }
    default:
      return request satisfies never
  }
}

/** Does what was asked, and says what came of it. Never rejects. */
export async function perform(client: PintailClient, books: Books, request: ActionRequest): Promise<Outcome> {
  try {
    return await ask(client, books, request)
  } catch (error) {
    const why = troubleOf(error)
    if (why.status === 401) return { ok: false, kind: 'signed-out', why }
    if (why.status === 403) return { ok: false, kind: 'forbidden', why }
    if (why.status === 412 || why.status === 428) return changedBy(client, books, request, why)
    return { ok: false, kind: why.status === 0 || why.status >= 500 ? 'unreachable' : 'refused', why }
  }
}

/** Somebody was faster between our reading and our asking. */
async function changedBy(client: PintailClient, books: Books, request: ActionRequest, why: Trouble): Promise<Outcome> {
  if (!('seen' in request)) return { ok: false, kind: 'refused', why }
  try {
    if (request.action.startsWith('migrations:')) {
      const now = await client.migrations.get(request.seen.id)
      books.putMigration(now)
      return { ok: false, kind: 'changed', now, why }
    }
    const now = await client.evacuations.get(request.seen.id)
    books.putEvacuation(now)
    return { ok: false, kind: 'changed', now, why }
  } catch {
    return { ok: false, kind: 'changed', now: null, why }
  }
}

const running: readonly WireMigration['status'][] = ['preparing', 'transferring', 'completing']

/** For a decision: one more user who has moved, or the next step of the same way, makes no other one. */
function sameMigration(now: WireMigration, seen: WireMigration): boolean {
  const phase = ({ status }: WireMigration): string => (running.includes(status) ? 'running' : status)
  return phase(now) === phase(seen) && (now.cancelled_why === null) === (seen.cancelled_why === null)
}

const changed = (now: WireMigration | WireEvacuation): Outcome => ({
  ok: false,
  kind: 'changed',
  now,
  why: { code: 'changed', status: 0, title: '', detail: '', remedy: null, differences: [] },
})
