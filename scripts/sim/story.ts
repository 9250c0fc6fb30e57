import type { EventType, JournalEntry, PintailEvent, PintailEvents } from '@pintail/core'

/** One thing that happened, and to whom; what follows with the same words is told together with it. */
interface Told {
  readonly what: string
  readonly whom: string | null
  readonly why: string | null
}

interface Line {
  readonly told: Told
  readonly at: number
  until: number
  readonly whom: string[]
}

/** Of moves between two servers, until something else happens. */
interface Moves {
  readonly at: number
  until: number
  moved: number
  failed: number
  skipped: number
  error: string | null
}

/** So many are named; the rest is counted. */
const mostNamed = 6
/** A longer story is told by its beginning and its end. */
const mostLines = 600

const clock = (at: number): string => new Date(at).toISOString().slice(11, 23)
const day = (at: number): string => new Date(at).toISOString().slice(0, 10)
const short = (text: string): string => (text.length > 160 ? `${text.slice(0, 160)}…` : text)
const count = (many: number, what: string): string => `${many} ${what}${many === 1 ? '' : 's'}`

/** What a journal tells, for a reader: time, what, whom. Runs of equal things are one line. */
class Story {
  readonly #lines: Line[] = []
  readonly #moves = new Map<string, Moves>()
  readonly #names = new Map<string, string>()
  readonly #begun = new Map<string, PintailEvents['move.started']>()
  #last = 0

  take(entry: JournalEntry): void {
    const event = entry as PintailEvent
    this.#last = event.at
    if (this.#move(event)) return
    const tell = Object.hasOwn(this.#tells, event.type) ? this.#tells[event.type] : undefined
    const told = tell
      ? (tell as (data: unknown) => Told | null)(event.data)
      : { what: event.type, whom: short(JSON.stringify(event.data)), why: null }
    if (!told) return
    this.#flush()
    this.#say(told, event.at)
  }

  end(): string[] {
    this.#flush()
    for (const { connectionId, fromServerId, toServerId } of this.#begun.values())
      this.#say({ what: `no outcome is recorded of moves ${fromServerId} → ${toServerId}`, whom: connectionId, why: null }, this.#last)
    const out: string[] = []
    let date = ''
    for (const { told, at, until, whom } of this.#lines) {
      if (day(at) !== date) out.push(day(at))
      date = day(at)
      const named = whom.length > mostNamed ? `${whom.slice(0, mostNamed).join(', ')} and ${whom.length - mostNamed} more` : whom.join(', ')
      const span = until - at >= 1000 ? ` (until ${clock(until)})` : ''
      out.push(`${clock(at)}  ${told.what}${named ? `: ${named}` : ''}${told.why ? `: ${short(told.why)}` : ''}${span}`)
    }
    if (out.length <= mostLines) return out
    const half = mostLines / 2
    return [...out.slice(0, half), `  … ${out.length - mostLines} lines are left out …`, ...out.slice(-half)]
  }

  #say(told: Told, at: number): void {
    const last = this.#lines.at(-1)
    const isSame = last && last.told.what === told.what && (last.told.why === told.why || told.whom !== null) && day(last.at) === day(at)
    if (!isSame) {
      this.#lines.push({ told, at, until: at, whom: told.whom === null ? [] : [told.whom] })
      return
    }
    last.until = at
    if (told.whom !== null && !last.whom.includes(told.whom)) last.whom.push(told.whom)
  }

  // -------------------------------------------------------------------------------------------------------------- moves

  /** Moves come by the hundred, and from several migrations at once: they are counted. */
  #move({ type, at, data }: PintailEvent): boolean {
    if (type === 'move.started' || type === 'connection.moved' || type === 'connection.move_failed') {
      // What was begun is told by its outcome, and at the end if there is none.
      if (type === 'move.started') this.#begun.set(`${data.migrationId} ${data.connectionId}`, data)
      else this.#begun.delete(`${data.migrationId} ${data.connectionId}`)
      if (type === 'move.started') return true
      const moves = this.#between(`${data.fromServerId} → ${data.toServerId}`, at)
      if (type === 'connection.moved') moves.moved++
      else {
        moves.failed++
        moves.error = data.error
      }
      return true
    }
    if (type !== 'connection.skipped') return false
    this.#begun.delete(`${data.migrationId} ${data.connectionId}`)
    this.#between(this.#name(data.migrationId), at).skipped++
    return true
  }

  #between(ends: string, at: number): Moves {
    const moves = this.#moves.get(ends) ?? { at, until: at, moved: 0, failed: 0, skipped: 0, error: null }
    moves.until = at
    this.#moves.set(ends, moves)
    return moves
  }

  #flush(): void {
    for (const [ends, { at, until, moved, failed, skipped, error }] of this.#moves) {
      const parts = [
        ...(moved > 0 ? [`${moved} moved`] : []),
        ...(failed > 0 ? [`${failed} failed`] : []),
        ...(skipped > 0 ? [`${skipped} skipped`] : []),
      ]
      this.#lines.push({ told: { what: `${ends}: ${parts.join(', ')}`, whom: null, why: error }, at, until, whom: [] })
    }
    this.#moves.clear()
  }

  // -------------------------------------------------------------------------------------------------------------- words

  #name(id: string): string {
    return this.#names.get(id) ?? id
  }

  #scope(scope: PintailEvents['pause.set']['scope']): string {
    return scope === 'all' ? 'everything' : this.#name(Object.values(scope)[0] as string)
  }

  readonly #tells: { readonly [T in EventType]?: (data: PintailEvents[T]) => Told | null } = {
    'server.added': ({ serverId }) => ({ what: 'servers are known', whom: serverId, why: null }),
    'server.removed': ({ serverId }) => ({ what: 'gone from the registry', whom: serverId, why: null }),
    'vantage.lost': ({ vantage, why }) => ({ what: `vantage ${vantage} does not count any more`, whom: null, why }),
    'vantage.returned': ({ vantage }) => ({ what: `vantage ${vantage} counts again`, whom: null, why: null }),
    'domain.failed': ({ message }) => ({ what: 'A WHOLE FAILURE DOMAIN', whom: null, why: message }),
    'domain.recovered': ({ failureDomain }) => ({ what: `${failureDomain} is back`, whom: null, why: null }),
    'server.verdict_changed': ({ serverId, audience, verdict, previous, reasons }) => ({
      what: `${audience ? `for ${audience} ` : ''}${previous} → ${verdict}`,
      whom: serverId,
      why: verdict === 'up' ? null : (reasons?.[0]?.message ?? null),
    }),
    'server.status_set': ({ serverId, status }) => ({ what: `set ${status} in the registry`, whom: serverId, why: null }),
    'server.damped': ({ message }) => ({ what: message, whom: null, why: null }),
    'server.undamped': ({ serverId, verdict }) => ({ what: `no longer damped, and ${verdict}`, whom: serverId, why: null }),
    'server.cordoned': ({ serverId }) => ({ what: 'an operator cordons', whom: serverId, why: null }),
    'server.uncordoned': ({ serverId }) => ({ what: 'an operator lifts the cordon', whom: serverId, why: null }),
    'incident.opened': ({ incidentId, serverId, audience, reasons }) => {
      this.#names.set(incidentId, serverId)
      return { what: audience ? `INCIDENT for ${audience}` : 'INCIDENT', whom: serverId, why: reasons?.[0]?.message ?? null }
    },
    'incident.held': ({ serverId, guards }) => ({
      what: `held by ${guards.map(({ guard }) => guard).join(', ')}`,
      whom: serverId,
      why: guards[0]?.message ?? null,
    }),
    'incident.released': ({ serverId }) => ({ what: 'nothing holds any more', whom: serverId, why: null }),
    'incident.acknowledged': ({ serverId }) => ({ what: 'an operator acknowledges the incident', whom: serverId, why: null }),
    'incident.recovered': ({ serverId, statusRestored, advice }) => ({
      what: statusRestored ? 'RECOVERED, status restored' : 'RECOVERED',
      whom: serverId,
      why: advice,
    }),
    'incident.closed': ({ serverId, advice }) => ({ what: 'incident closed', whom: serverId, why: advice }),
    'failback.changed': ({ message }) => ({ what: message, whom: null, why: null }),
    'advice.given': ({ reason, serverId, message }) => ({ what: `advice (${reason})`, whom: serverId, why: message }),
    'advice.expired': ({ reason, serverId, why }) => ({ what: `advice expired (${reason})`, whom: serverId, why }),
    'guard.denied': ({ guard, serverId, message }) => ({ what: `guard ${guard} forbids`, whom: serverId, why: message }),
    'guard.overridden': ({ incidentId }) => ({ what: 'an operator overrides the guard', whom: this.#name(incidentId), why: null }),
    'decision.made': ({ reason, mode, placed, unplaced, incidentId }) => ({
      what: `decided (${reason}, ${mode}): ${placed} placed, ${unplaced} without a place`,
      whom: incidentId === null ? null : this.#name(incidentId),
      why: null,
    }),
    'evacuation.created': ({ evacuationId, fromServerIds, status, connections }) => {
      this.#names.set(evacuationId, `the evacuation of ${fromServerIds.join(', ')}`)
      return { what: `evacuation ${status}`, whom: `${fromServerIds.join(', ')} (${count(connections, 'user')})`, why: null }
    },
    'evacuation.approved': ({ evacuationId }) => ({ what: 'an operator approves', whom: this.#name(evacuationId), why: null }),
    'evacuation.completed': ({ evacuationId, moved, unplaced }) => ({
      what: 'completed',
      whom: `${this.#name(evacuationId)} (${moved} moved, ${unplaced} left)`,
      why: null,
    }),
    'evacuation.cancelled': ({ evacuationId, moved, why }) => ({
      what: 'cancelled',
      whom: `${this.#name(evacuationId)} (${moved} moved)`,
      why,
    }),
    'migration.created': ({ id, fromServerId, toServerId, status, connections }) => {
      this.#names.set(id, `${fromServerId} → ${toServerId}`)
      return { what: `migration ${status}`, whom: `${fromServerId} → ${toServerId} (${connections})`, why: null }
    },
    // How each begins and goes on is told by its moves and by its end.
    'migration.status_changed': ({ id, oldStatus, newStatus }) => {
      // What is open when it ends, or when it waits again, has not been asked for.
      for (const [key, { migrationId }] of this.#begun) if (migrationId === id) this.#begun.delete(key)
      if (newStatus === 'approved') return { what: 'approved', whom: this.#name(id), why: null }
      return newStatus === 'scheduled' && oldStatus !== 'approved'
        ? { what: `from ${oldStatus} back to wait for a retry`, whom: this.#name(id), why: null }
        : null
    },
    'migration.rescheduled': ({ id, notBefore }) => ({
      what: `an operator schedules it for ${clock(notBefore)}`,
      whom: this.#name(id),
      why: null,
    }),
    'migration.completed': ({ id, connectionsMoved, connectionsFailed }) => ({
      what: 'migration completed',
      whom: `${this.#name(id)} (${connectionsMoved} moved, ${connectionsFailed} failed)`,
      why: null,
    }),
    'migration.failed': ({ id, error, residue }) => ({
      what: residue.length > 0 ? `MIGRATION FAILED, residue of ${count(residue.length, 'user')}` : 'MIGRATION FAILED',
      whom: this.#name(id),
      why: error,
    }),
    'migration.cancelled': ({ id, why }) => ({ what: 'migration cancelled', whom: this.#name(id), why }),
    'migration.deleted': ({ id }) => ({ what: 'an operator deletes the record', whom: this.#name(id), why: null }),
    'connection.undelivered': ({ connectionId, error }) => ({ what: 'could not be told where to go', whom: connectionId, why: error }),
    'connection.unplaced': ({ connectionId, serverId, code }) => ({
      what: `no place (${code}) for users of ${serverId}`,
      whom: connectionId,
      why: null,
    }),
    'revoke.pending': ({ serverId, connectionId, error }) => ({
      what: `a grant on ${serverId} is still owed`,
      whom: connectionId,
      why: error,
    }),
    'revoke.settled': ({ serverId, connectionId }) => ({ what: `old grants on ${serverId} are taken back`, whom: connectionId, why: null }),
    'pause.set': ({ scope, reason }) => ({ what: 'an operator pauses', whom: this.#scope(scope), why: reason }),
    'pause.lifted': ({ scope }) => ({ what: 'a pause ends', whom: this.#scope(scope), why: null }),
    'policy.changed': ({ version }) => ({ what: `the policy changes to version ${version}`, whom: null, why: null }),
    'leader.acquired': ({ token }) => ({ what: `an engine leads, with token ${token}`, whom: null, why: null }),
  }
}

export function tellStory(entries: Iterable<JournalEntry>): string[] {
  const story = new Story()
  for (const entry of entries) story.take(entry)
  return story.end()
}
