/** What became of each outage, from the kill to the recovery: a fold over Pintail's events, and the figures of it. */
import type { GuardDenial, MigrationStatus, PintailEvent } from '@pintail/core'

export interface Share {
  readonly id: string
  readonly to: string
  readonly users: number
  moved: number
  failed: number
  status: MigrationStatus
}

export interface Outage {
  readonly server: string
  readonly incidentId: string
  /** When the listener was closed; null: the server failed without being killed. */
  killedAt: number | null
  readonly suspectedAt: number
  readonly openedAt: number
  heldBy: readonly GuardDenial[]
  decisionId: string | null
  evacuationId: string | null
  approvedAt: number | null
  /** When the last guard let go, if that was before the first move. */
  releasedAt: number | null
  awaitsApproval: boolean
  users: number
  unplaced: number
  /** Milliseconds from the kill (else from the suspicion) to the new home, one a user. */
  readonly waits: number[]
  readonly shares: Share[]
  lastMoveAt: number | null
  endedAt: number | null
  cancelledWhy: string | null
  revivedAt: number | null
  recoveredAt: number | null
  statusRestored: boolean
  advice: string | null
}

export class Outages {
  /** Newest first. */
  readonly list: Outage[] = []
  readonly #kills = new Map<string, number>()

  killed(server: string, at: number): void {
    this.#kills.set(server, at)
  }

  revived(server: string, at: number): void {
    this.#kills.delete(server)
    const outage = this.of(server)
    if (outage) outage.revivedAt = at
  }

  /** The newest of this server. */
  of(server: string): Outage | undefined {
    return this.list.find((outage) => outage.server === server)
  }

  take({ type, data, at }: PintailEvent): void {
    switch (type) {
      case 'incident.opened':
        this.list.unshift(opened(data.serverId, data.incidentId, data.suspectedAt, at, this.#kills.get(data.serverId) ?? null))
        // A long session must not fill the memory.
        this.list.length = Math.min(this.list.length, 100)
        break
      case 'incident.held':
        this.#change('incidentId', data.incidentId, (outage) => (outage.heldBy = data.guards))
        break
      case 'incident.released':
        this.#change('incidentId', data.incidentId, (outage) => {
          outage.heldBy = []
          if (outage.lastMoveAt === null) outage.releasedAt = at
        })
        break
      case 'decision.made':
        this.#change('incidentId', data.incidentId, (outage) => (outage.decisionId ??= data.decisionId))
        break
      case 'evacuation.created':
        this.#change('incidentId', data.incidentId, (outage) => {
          outage.evacuationId = data.evacuationId
          outage.users = data.connections
          outage.unplaced = data.unplaced
          outage.awaitsApproval = data.status === 'suggested'
        })
        break
      case 'evacuation.approved':
        this.#change('evacuationId', data.evacuationId, (outage) => {
          outage.awaitsApproval = false
          outage.approvedAt = at
        })
        break
      case 'evacuation.completed':
        this.#change('evacuationId', data.evacuationId, (outage) => {
          outage.unplaced = data.unplaced
          outage.endedAt = at
        })
        break
      case 'evacuation.cancelled':
        this.#change('evacuationId', data.evacuationId, (outage) => {
          outage.cancelledWhy = data.why
          outage.awaitsApproval = false
          outage.endedAt = at
        })
        break
      case 'migration.created':
        this.#change('evacuationId', data.evacuationId, (outage) =>
          outage.shares.push({ id: data.id, to: data.toServerId, users: data.connections, moved: 0, failed: 0, status: data.status }),
        )
        break
      case 'migration.status_changed':
        this.#share(data.id, (share) => (share.status = data.newStatus))
        break
      case 'connection.move_failed':
        this.#share(data.migrationId, (share) => share.failed++)
        break
      case 'connection.moved':
        this.#share(data.migrationId, (share, outage) => {
          share.moved++
          outage.lastMoveAt = at
          outage.waits.push(at - (outage.killedAt ?? outage.suspectedAt))
        })
        break
      case 'incident.recovered':
        this.#change('incidentId', data.incidentId, (outage) => {
          outage.recoveredAt = at
          outage.statusRestored = data.statusRestored
          outage.advice = data.advice
          outage.heldBy = []
        })
    }
  }

  #change(key: 'incidentId' | 'evacuationId', id: string | null, change: (outage: Outage) => unknown): void {
    const outage = this.list.find((one) => id !== null && one[key] === id)
    if (outage) change(outage)
  }

  #share(id: string, change: (share: Share, outage: Outage) => unknown): void {
    for (const outage of this.list) for (const share of outage.shares) if (share.id === id) change(share, outage)
  }
}

function opened(server: string, incidentId: string, suspectedAt: number, openedAt: number, killedAt: number | null): Outage {
  return {
    server,
    incidentId,
    killedAt,
    suspectedAt,
    openedAt,
    heldBy: [],
    decisionId: null,
    evacuationId: null,
    approvedAt: null,
    releasedAt: null,
    awaitsApproval: false,
    users: 0,
    unplaced: 0,
    waits: [],
    shares: [],
    lastMoveAt: null,
    endedAt: null,
    cancelledWhy: null,
    revivedAt: null,
    recoveredAt: null,
    statusRestored: false,
    advice: null,
  }
}

export interface Figures {
  /** From the kill to the incident; null: nobody killed it. */
  readonly detectMs: number | null
  /** From the incident, or from the approval or release it waited for, to the last user's new home; null: nobody has moved. */
  readonly moveMs: number | null
  readonly moved: number
  readonly medianWaitMs: number | null
  readonly longestWaitMs: number | null
  /** Where to, most users first. */
  readonly targets: readonly { readonly server: string; readonly users: number }[]
  /** From the revival to the restored status. */
  readonly recoverMs: number | null
}

export function figuresOf(outage: Outage): Figures {
  const { killedAt, openedAt, approvedAt, releasedAt, lastMoveAt, revivedAt, recoveredAt, shares } = outage
  const waits = outage.waits.toSorted((a, b) => a - b)
  const users = new Map<string, number>()
  for (const { to, moved } of shares) if (moved > 0) users.set(to, (users.get(to) ?? 0) + moved)
  return {
    detectMs: killedAt === null ? null : openedAt - killedAt,
    moveMs: lastMoveAt === null ? null : lastMoveAt - (approvedAt ?? releasedAt ?? openedAt),
    moved: shares.reduce((sum, share) => sum + share.moved, 0),
    medianWaitMs: waits[Math.floor((waits.length - 1) / 2)] ?? null,
    longestWaitMs: waits.at(-1) ?? null,
    targets: [...users].map(([server, moved]) => ({ server, users: moved })).sort((a, b) => b.users - a.users),
    recoverMs: recoveredAt === null || revivedAt === null ? null : recoveredAt - revivedAt,
  }
}
