import { describe, expect, test } from 'vitest'
import { evacuationRecord as evacuation, migrationRecord as migration } from '../../test/records.ts'
import { anything, matches } from './filter.ts'
import { actionsOf, actionsOfEvacuation, finishedRows, markOf, momentOf, openRows, savingsOf, targetsOf } from './rows.ts'

const at = (minute: number): string => `2026-01-01T00:${String(minute).padStart(2, '0')}:00.000Z`

describe('open rows', () => {
  test('an open evacuation is one row with all of its migrations, ended ones too', () => {
    const rows = openRows(
      [migration({ id: 'm1', evacuation_id: 'e1' }), migration({ id: 'm2', evacuation_id: 'e1', status: 'completed' })],
      [evacuation({ id: 'e1' })],
      anything,
    )
    expect(rows).toHaveLength(1)
    expect(rows[0]).toMatchObject({ kind: 'evacuation', id: 'e1' })
    expect(rows[0]?.kind === 'evacuation' && rows[0].migrations.map(({ id }) => id).sort()).toEqual(['m1', 'm2'])
  })

  test('whatever waits for a person comes first, then the newest', () => {
    const rows = openRows(
      [
        migration({ id: 'old', created_at: at(1) }),
        migration({ id: 'new', created_at: at(3) }),
        migration({ id: 'asks', created_at: at(0), status: 'suggested' }),
      ],
      [],
      anything,
    )
    expect(rows.map(({ id }) => id)).toEqual(['asks', 'new', 'old'])
  })

  test('an evacuation whose users all wait for room is a row without migrations', () => {
    expect(openRows([], [evacuation({ id: 'e1', unplaced_total: 4 })], anything)).toHaveLength(1)
    expect(openRows([], [evacuation({ id: 'e1', unplaced_total: 4 })], { ...anything, state: 'transferring' })).toHaveLength(0)
  })

  test('what has ended without an open evacuation is not open', () => {
    expect(openRows([migration({ id: 'm1', status: 'failed' })], [], anything)).toEqual([])
  })

  test('five hundred running migrations of four evacuations are four rows', () => {
    const many = Array.from({ length: 500 }, (_, n) => migration({ id: `m${n}`, evacuation_id: `e${n % 4}` }))
    const evacuations = Array.from({ length: 4 }, (_, n) => evacuation({ id: `e${n}` }))
    expect(openRows(many, evacuations, anything)).toHaveLength(4)
  })
})

describe('finished rows', () => {
  test('several of one ended evacuation are one row, a single one stands for itself', () => {
    const rows = finishedRows(
      [
        migration({ id: 'm1', evacuation_id: 'e1', status: 'completed', created_at: at(2) }),
        migration({ id: 'm2', evacuation_id: 'e1', status: 'failed', created_at: at(2) }),
        migration({ id: 'm3', evacuation_id: 'e2', status: 'completed', created_at: at(3) }),
      ],
      [evacuation({ id: 'e1', status: 'completed', ended_at: at(5) }), evacuation({ id: 'e2', status: 'completed', ended_at: at(5) })],
    )
    expect(rows.map(({ kind, id }) => `${kind} ${id}`)).toEqual(['migration m3', 'evacuation e1'])
  })

  test('those of an open evacuation stand under it, and not here again', () => {
    expect(finishedRows([migration({ id: 'm1', evacuation_id: 'e1', status: 'completed' })], [evacuation({ id: 'e1' })])).toEqual([])
  })
})

describe('filter', () => {
  const one = migration({ id: 'm1', reason: 'failback', status: 'failed', error_message: 'Target is FULL', notes: 'by Ann' })
  test.each([
    [{ state: 'failed' }, true],
    [{ state: 'completed' }, false],
    [{ server: 's2' }, true],
    [{ server: 's1' }, true],
    [{ server: 's3' }, false],
    [{ reason: 'failback' }, true],
    [{ reason: 'manual' }, false],
    [{ text: '  full ' }, true],
    [{ text: 'AMS' }, true],
    [{ text: 'ann' }, true],
    [{ text: 'nobody' }, false],
    [{ text: 'ams', state: 'completed' }, false],
  ] as const)('%o: %s', (patch, expected) => {
    expect(matches(one, { ...anything, ...patch })).toBe(expected)
  })
})

test('each state has its sign: a dot or ring while open, a check, a cross or a dash at the end', () => {
  expect((['suggested', 'approved', 'transferring', 'completed', 'failed', 'cancelled'] as const).map(markOf)).toEqual([
    'ring',
    'dot',
    'dot',
    'check',
    'cross',
    'dash',
  ])
})

test('what a person can do follows from the state', () => {
  expect(actionsOf(migration({ id: 'm', status: 'suggested' }))).toEqual(['approve', 'cancel'])
  expect(actionsOf(migration({ id: 'm' }))).toEqual(['cancel'])
  expect(actionsOf(migration({ id: 'm', cancelled_why: 'asked' }))).toEqual([])
  expect(actionsOf(migration({ id: 'm', status: 'failed' }))).toEqual(['retry'])
  expect(actionsOf(migration({ id: 'm', status: 'completed' }))).toEqual([])
  expect(actionsOfEvacuation(evacuation({ id: 'e', status: 'suggested' }))).toEqual(['approve', 'cancel'])
  expect(actionsOfEvacuation(evacuation({ id: 'e', ended_at: at(1), status: 'completed' }))).toEqual([])
})

test('the time that is told is the last that matters', () => {
  const times = { created_at: at(1), scheduled_at: at(2), started_at: at(3), completed_at: at(4) }
  expect(momentOf(migration({ id: 'm', ...times, status: 'completed' }))).toEqual({ word: 'completed', at: at(4) })
  expect(momentOf(migration({ id: 'm', ...times, completed_at: null }))).toEqual({ word: 'started', at: at(3) })
  // After a failed try it waits again, though it had started once.
  expect(momentOf(migration({ id: 'm', ...times, completed_at: null, status: 'scheduled' }))).toEqual({ word: 'scheduled', at: at(2) })
  expect(momentOf(migration({ id: 'm', created_at: at(1), status: 'suggested' }))).toEqual({ word: 'created', at: at(1) })
})

test('savings are summed up, and none is not zero', () => {
  expect(savingsOf([migration({ id: 'a' })])).toBeNull()
  expect(
    savingsOf([
      migration({ id: 'a', savings_eur_hour: 0.1, savings_eur_month: 73 }),
      migration({ id: 'b', savings_eur_hour: 0.05, savings_eur_month: 36.5 }),
    ])?.month,
  ).toBe(109.5)
})

test('each target is named once', () => {
  expect(
    targetsOf([migration({ id: 'a' }), migration({ id: 'b' }), migration({ id: 'c', to_server_id: 's9', to_server_name: 'a-1' })]),
  ).toEqual([
    { id: 's9', name: 'a-1' },
    { id: 's2', name: 'ams-2' },
  ])
})
