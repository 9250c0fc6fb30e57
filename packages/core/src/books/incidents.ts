import type { Incident, IncidentId, ServerId } from '../vocabulary.ts'

/** A server, or a server for one audience: what can be down, and has one open incident at most. */
export interface Case {
  readonly serverId: ServerId
  /** Null: for everybody. */
  readonly audience: string | null
}

/** One text for each case. No region begins with `*`, and none has a line break in it that another's name could hide. */
export const caseKey = ({ serverId, audience }: Case): string => JSON.stringify([serverId, audience])

export const caseOf = ({ serverId, audience = null }: Pick<Incident, 'serverId' | 'audience'>): Case => ({ serverId, audience })

/** The open incidents: of each server one for everybody, and one for each audience. */
export class Incidents {
  readonly #cases = new Map<ServerId, Map<string | null, Incident>>()

  put(incident: Incident): void {
    const cases = this.#cases.get(incident.serverId) ?? new Map<string | null, Incident>()
    this.#cases.set(incident.serverId, cases)
    cases.set(incident.audience ?? null, incident)
  }

  delete({ serverId, audience }: Case): void {
    const cases = this.#cases.get(serverId)
    if (cases?.delete(audience) && cases.size === 0) this.#cases.delete(serverId)
  }

  /** @param audience default: for everybody */
  of(server: ServerId, audience: string | null = null): Incident | undefined {
    return this.#cases.get(server)?.get(audience)
  }

  /** What stands open against a server for users of this audience: their own incident, or that of everybody. */
  covering(server: ServerId, audience: string | null): Incident | undefined {
    return this.of(server, audience) ?? this.of(server)
  }

  /** Whether any is open, for everybody or for some. */
  has(server: ServerId): boolean {
    return this.#cases.has(server)
  }

  on(server: ServerId): Incident[] {
    return [...(this.#cases.get(server)?.values() ?? [])]
  }

  byId(id: IncidentId): Incident | undefined {
    return this.values().find((incident) => incident.id === id)
  }

  values(): Incident[] {
    return [...this.#cases.values()].flatMap((cases) => [...cases.values()])
  }
}
