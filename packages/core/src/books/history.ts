import type { AdvicePolicy, Evacuation, Incident, Migration, MigrationPolicy, ServerId } from '../vocabulary.ts'
import { notOver, type Records } from './records.ts'

/** After so many half-lives nothing is left of a penalty that could decide anything. */
const halfLives = 32
const hour = 3_600_000

/** What a new leader takes over. */
export interface Inheritance {
  /** Those that are not over, and all that a penalty is left of, oldest first. */
  readonly incidents: readonly Incident[]
  /** Open ones, and the completed ones of incidents that are open, oldest first. */
  readonly evacuations: readonly Evacuation[]
  /** All of these evacuations. */
  readonly migrations: readonly Migration[]
}

/** What is long over stays where it is: how much is read does not grow with what is kept. */
export async function inherited(records: Records, now: number, dampingHalfLifeMs: number): Promise<Inheritance> {
  const incidents = await records.all('incident', { since: now - Math.max(hour, halfLives * dampingHalfLifeMs) })
  const open = incidents.flatMap(({ id, status }) => (status === 'open' ? id : []))
  const watched = await records.all('evacuation', { of: open, status: ['completed'] })
  const running = await records.all('evacuation', { since: notOver })
  const evacuations = [...new Map([...watched, ...running].map((one) => [one.id, one])).values()].sort((a, b) => a.createdAt - b.createdAt)
  const migrations = await records.all('migration', { of: evacuations.map(({ id }) => id) })
  return { incidents, evacuations, migrations }
}

/** The migrations that advice looks back at: recent ones, those that a person declined lately, and the last that left an empty server. */
export async function adviceHistory(
  records: Records,
  now: number,
  { cooldownMs }: Pick<MigrationPolicy, 'cooldownMs'>,
  { declinedMs }: Pick<AdvicePolicy, 'declinedMs'>,
  isEmpty: (id: ServerId) => boolean,
): Promise<readonly Migration[]> {
  const recent = await records.all('migration', { since: now - cooldownMs })
  const declined = await records.all('migration', { since: now - declinedMs, status: ['cancelled'] })
  const forCost = await records.all('migration', { reason: 'cost-optimization' })
  const left = new Set(forCost.flatMap(({ fromServerId: id, connectionsMoved }) => (connectionsMoved > 0 && isEmpty(id) ? id : [])))
  const last = await Promise.all([...left].map((id) => lastLeft(records, id)))
  return [...new Map([...recent, ...declined, ...last.flatMap((one) => one ?? [])].map((one) => [one.id, one])).values()]
}

/** The newest migration that has brought somebody off this server; null: none has. */
async function lastLeft(records: Records, id: ServerId): Promise<Migration | null> {
  const limit = 50
  for (let offset = 0; ; offset += limit) {
    const page = await records.page('migration', { serverId: id, limit, offset })
    const found = page.records.find(({ fromServerId, connectionsMoved }) => fromServerId === id && connectionsMoved > 0)
    if (found || page.records.length < limit) return found ?? null
  }
}
