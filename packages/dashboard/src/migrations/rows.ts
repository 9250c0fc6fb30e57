import type { WireEvacuation, WireMigration } from '@pintail/core/wire'
import type { Tone } from '../base/states.ts'
import { toneOfStatus } from '../base/states.ts'
import { isEnded } from '../session/model.ts'
import { type Filter, isAnything, matches, matchesEvacuation } from './filter.ts'

/** One line of the list: a migration, or an evacuation that unfolds into those of its migrations that match. */
export type Row =
  | { readonly kind: 'migration'; readonly id: string; readonly migration: WireMigration }
  | {
      readonly kind: 'evacuation'
      readonly id: string
      readonly evacuation: WireEvacuation
      readonly migrations: readonly WireMigration[]
    }

/** Seed 004's dot and check, and a cross for what failed. Always beside the word. */
export type Mark = 'dot' | 'ring' | 'check' | 'cross' | 'dash'

export function markOf(status: WireMigration['status']): Mark {
  if (status === 'completed') return 'check'
  if (status === 'failed') return 'cross'
  if (status === 'cancelled') return 'dash'
  return status === 'suggested' ? 'ring' : 'dot'
}

export const markOfEvacuation = ({ status }: WireEvacuation): Mark =>
  ({ suggested: 'ring', running: 'dot', completed: 'check', cancelled: 'dash' })[status] as Mark

export const toneOfEvacuation = ({ status }: WireEvacuation): Tone =>
  ({ suggested: 'waiting', running: 'busy', completed: 'good', cancelled: 'idle' })[status] as Tone

export const toneOfMigration = ({ status }: WireMigration): Tone => toneOfStatus[status]

const isOpen = ({ ended_at }: WireEvacuation): boolean => ended_at === null
const newest = (a: { created_at: string; id: string }, b: { created_at: string; id: string }): number =>
  a.created_at < b.created_at ? 1 : a.created_at > b.created_at ? -1 : a.id < b.id ? 1 : -1

function byEvacuation(migrations: readonly WireMigration[]): Map<string, WireMigration[]> {
  const groups = new Map<string, WireMigration[]>()
  for (const one of migrations) {
    const group = groups.get(one.evacuation_id)
    if (group) group.push(one)
    else groups.set(one.evacuation_id, [one])
  }
  return groups
}

/**
 * What is under way or waits. Whatever waits for a person comes first, then the newest. An open evacuation is one row with all that is
 * known of it, so that its row stays where it is while one migration after the other ends.
 */
export function openRows(migrations: readonly WireMigration[], evacuations: readonly WireEvacuation[], filter: Filter): readonly Row[] {
  const groups = byEvacuation(migrations)
  const rows: Row[] = []
  for (const evacuation of evacuations) {
    if (!isOpen(evacuation)) continue
    const all = groups.get(evacuation.id) ?? []
    groups.delete(evacuation.id)
    const shown = isAnything(filter) ? all : all.filter((one) => matches(one, filter))
    if (shown.length > 0 || (all.length === 0 && matchesEvacuation(evacuation, filter)))
      rows.push({ kind: 'evacuation', id: evacuation.id, evacuation, migrations: [...shown].sort(newest) })
  }
  for (const group of groups.values())
    for (const migration of group)
      if (!isEnded(migration) && matches(migration, filter)) rows.push({ kind: 'migration', id: migration.id, migration })
  const record = (row: Row): WireEvacuation | WireMigration => (row.kind === 'migration' ? row.migration : row.evacuation)
  const waits = (row: Row): number => (record(row).status === 'suggested' ? 0 : 1)
  return rows.sort((a, b) => waits(a) - waits(b) || newest(record(a), record(b)))
}

/**
 * What is over, newest first. Several migrations of one ended evacuation on the same page are one row; those of an open
 * one stand under it already.
 */
export function finishedRows(page: readonly WireMigration[], evacuations: readonly WireEvacuation[]): readonly Row[] {
  const known = new Map(evacuations.map((one) => [one.id, one]))
  const rows: Row[] = []
  for (const [id, group] of byEvacuation([...page].sort(newest))) {
    const evacuation = known.get(id)
    if (evacuation && isOpen(evacuation)) continue
    if (evacuation && group.length > 1) rows.push({ kind: 'evacuation', id, evacuation, migrations: group })
    else for (const migration of group) rows.push({ kind: 'migration', id: migration.id, migration })
  }
  return rows
}

/** Where an evacuation goes, by what is known: each target once, by name. */
export function targetsOf(migrations: readonly WireMigration[]): readonly { readonly id: string; readonly name: string }[] {
  const names = new Map(migrations.map((one) => [one.to_server_id, one.to_server_name]))
  return [...names].map(([id, name]) => ({ id, name })).sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Sum of what its migrations save; null: none of them has such a figure. */
export function savingsOf(migrations: readonly WireMigration[]): { readonly hour: number; readonly month: number } | null {
  const having = migrations.filter(({ savings_eur_hour: hour }) => hour !== null)
  if (having.length === 0) return null
  return {
    hour: having.reduce((sum, { savings_eur_hour: hour }) => sum + (hour ?? 0), 0),
    month: having.reduce((sum, { savings_eur_month: month }) => sum + (month ?? 0), 0),
  }
}

/** Which time says the most about a migration now. */
export function momentOf(one: WireMigration): {
  readonly word: 'created' | 'scheduled' | 'started' | 'completed' | 'failedAt' | 'cancelledAt'
  readonly at: string
} {
  const { status, created_at: created, scheduled_at: scheduled, started_at: started, completed_at: ended } = one
  if (ended !== null && status === 'completed') return { word: 'completed', at: ended }
  if (ended !== null && status === 'failed') return { word: 'failedAt', at: ended }
  if (ended !== null && status === 'cancelled') return { word: 'cancelledAt', at: ended }
  if (started !== null && status !== 'scheduled') return { word: 'started', at: started }
  if (scheduled !== null) return { word: 'scheduled', at: scheduled }
  return { word: 'created', at: created }
}

export type MigrationAction = 'approve' | 'cancel' | 'retry'

/** What a person can do with it now. */
export function actionsOf(one: WireMigration): readonly MigrationAction[] {
  if (one.status === 'failed') return ['retry']
  if (isEnded(one) || one.cancelled_why !== null) return []
  return one.status === 'suggested' ? ['approve', 'cancel'] : ['cancel']
}

export function actionsOfEvacuation(one: WireEvacuation): readonly Exclude<MigrationAction, 'retry'>[] {
  if (!isOpen(one) || one.cancelled_why !== null) return []
  return one.status === 'suggested' ? ['approve', 'cancel'] : ['cancel']
}
