import { expect, test } from 'vitest'
import type { Migration, MigrationStatus } from '../vocabulary.ts'
import { backoffMs, isTerminal, step, type Trigger, transitions } from './migration.ts'

const migration = (status: MigrationStatus) => ({ status, startedAt: null, retryCount: 0, version: 4 }) as Migration
const statuses = Object.keys(transitions) as MigrationStatus[]
const triggers: Trigger[] = ['approve', 'schedule', 'start', 'prepared', 'transferred', 'complete', 'retry', 'fail', 'cancel']

// Written out from the diagram, not from the table under test.
const legal: Record<string, MigrationStatus> = {
  'suggested approve': 'approved',
  'suggested cancel': 'cancelled',
  'approved schedule': 'scheduled',
  'approved cancel': 'cancelled',
  'scheduled start': 'preparing',
  'scheduled cancel': 'cancelled',
  'preparing prepared': 'transferring',
  'preparing retry': 'scheduled',
  'preparing fail': 'failed',
  'preparing cancel': 'cancelled',
  'transferring transferred': 'completing',
  'transferring retry': 'scheduled',
  'transferring fail': 'failed',
  'transferring cancel': 'cancelled',
  'completing complete': 'completed',
}

test('every legal transition leads where the diagram says, and raises the version', () => {
  for (const status of statuses)
    for (const trigger of triggers) {
      const stepped = step(migration(status), trigger, 7)
      const to = legal[`${status} ${trigger}`]
      if (to === undefined) continue
      expect(stepped, `${status} ${trigger}`).toMatchObject({ ok: true, migration: { status: to, version: 5 } })
    }
})

test('every illegal transition is refused with what would be allowed', () => {
  let refused = 0
  for (const status of statuses)
    for (const trigger of triggers) {
      if (legal[`${status} ${trigger}`]) continue
      refused++
      const stepped = step(migration(status), trigger, 7)
      expect(stepped.ok, `${status} ${trigger}`).toBe(false)
      if (!stepped.ok) expect(stepped.allowed).toEqual(triggers.filter((other) => legal[`${status} ${other}`]).sort(byTable(status)))
    }
  expect(refused).toBe(statuses.length * triggers.length - Object.keys(legal).length)
})

const byTable = (status: MigrationStatus) => (a: Trigger, b: Trigger) =>
  Object.keys(transitions[status]).indexOf(a) - Object.keys(transitions[status]).indexOf(b)

test('completed, failed and cancelled are the ends, and nothing else is', () => {
  expect(statuses.filter(isTerminal)).toEqual(['completed', 'failed', 'cancelled'])
})

test('a retry raises the count and keeps the first start', () => {
  const begun = { ...migration('transferring'), startedAt: 3 }
  const retried = step(begun, 'retry', 9)
  expect(retried).toMatchObject({ ok: true, migration: { retryCount: 1, startedAt: 3 } })
  if (retried.ok) expect(step(retried.migration, 'start', 11)).toMatchObject({ ok: true, migration: { startedAt: 3 } })
})

test('the pause before a retry doubles, is never longer than the cap and a half, and is never the same for all', () => {
  expect(backoffMs(0, 1000, 60_000, 0.5)).toBe(1000)
  expect(backoffMs(3, 1000, 60_000, 0.5)).toBe(8000)
  expect(backoffMs(1000, 1000, 60_000, 0.999)).toBeLessThanOrEqual(90_000)
  expect(backoffMs(2, 1000, 60_000, 0)).toBeLessThan(backoffMs(2, 1000, 60_000, 0.9))
})
