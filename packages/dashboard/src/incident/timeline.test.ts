import { describe, expect, test } from 'vitest'
import { evacuationRecord, incidentRecord, migrationRecord } from '../../test/records.ts'
import { type Story, sortedIncidents, timeline } from './timeline.ts'

const t = (second: number): string => `2026-01-01T00:00:${String(second).padStart(2, '0')}.000Z`
const denial = { guard: 'mass_failure', message: 'too many', remedy: 'look' } as const
const states = (story: Partial<Story> & Pick<Story, 'incident'>): string[] =>
  timeline({ evacuation: null, migrations: [], decision: null, ...story }).map(({ state }) => state)

describe('the five steps of an incident', () => {
  test('begin with the first failing check and the confirmation', () => {
    const steps = timeline({ incident: incidentRecord({ id: 'i' }), evacuation: null, migrations: [], decision: null })
    expect(steps.map(({ stage }) => stage)).toEqual(['evidence', 'votes', 'decision', 'moves', 'outcome'])
    expect(steps.slice(0, 2).map(({ at }) => at)).toEqual([t(0), t(7)])
  })

  test('a guard that holds it is trouble at the decision', () => {
    expect(states({ incident: incidentRecord({ id: 'i', held_by: [denial] }) })).toEqual(['done', 'done', 'trouble', 'waiting', 'waiting'])
  })

  test('a suggestion waits for a person at the moves', () => {
    const incident = incidentRecord({ id: 'i', decision_id: 'd1', evacuation_id: 'e1' })
    expect(states({ incident, evacuation: evacuationRecord({ id: 'e1', status: 'suggested' }) })).toEqual([
      'done',
      'done',
      'done',
      'trouble',
      'waiting',
    ])
  })

  test('moves that run are now, and users without a place need somebody', () => {
    const incident = incidentRecord({ id: 'i', decision_id: 'd1', evacuation_id: 'e1' })
    expect(states({ incident, evacuation: evacuationRecord({ id: 'e1' }) })[3]).toBe('current')
    expect(states({ incident, evacuation: evacuationRecord({ id: 'e1', unplaced_total: 2 }) })[3]).toBe('trouble')
  })

  test('moves began with the first of them', () => {
    const story = {
      incident: incidentRecord({ id: 'i', decision_id: 'd1', evacuation_id: 'e1' }),
      evacuation: evacuationRecord({ id: 'e1', approved_at: t(8) }),
      migrations: [migrationRecord({ id: 'a', started_at: t(12) }), migrationRecord({ id: 'b', started_at: t(10) })],
      decision: null,
    }
    expect(timeline(story)[3]?.at).toBe(t(10))
  })

  test('an incident that nobody had to act on needed neither decision nor moves', () => {
    expect(states({ incident: incidentRecord({ id: 'i', status: 'recovered', recovered_at: t(30) }) })).toEqual([
      'done',
      'done',
      'none',
      'none',
      'done',
    ])
  })

  test('a status that was not set back is for the operator', () => {
    const write = {
      status: 'offline',
      previous: 'online',
      at: t(8),
      confirmed: true,
      seen_at: null,
      changed_at: t(9),
      restored_at: null,
    } as const
    expect(states({ incident: incidentRecord({ id: 'i', status: 'recovered', status_write: write }) })[4]).toBe('trouble')
    expect(states({ incident: incidentRecord({ id: 'i', status: 'recovered', status_write: { ...write, restored_at: t(40) } }) })[4]).toBe(
      'done',
    )
  })
})

test('held incidents come first, then open ones, then the newest', () => {
  const sorted = sortedIncidents([
    incidentRecord({ id: 'over', status: 'recovered', opened_at: t(50) }),
    incidentRecord({ id: 'open', opened_at: t(1) }),
    incidentRecord({ id: 'newer', opened_at: t(2) }),
    incidentRecord({ id: 'held', opened_at: t(0), held_by: [denial] }),
  ])
  expect(sorted.map(({ id }) => id)).toEqual(['held', 'newer', 'open', 'over'])
})
