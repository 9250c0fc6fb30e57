import { expect, test } from 'vitest'
import { en } from '../messages/en.ts'
import { emptyModel, type Model } from '../session/model.ts'
import { headline } from './headline.ts'

const at = Date.UTC(2026, 0, 1)
const iso = (ms: number): string => new Date(ms).toISOString()
const server = (verdict: string): object => ({ server_id: 's1', verdict: { verdict } })

function model(parts: Record<string, unknown> = {}): Model {
  const fleet = { store_trouble: null, registry: { stale: false }, leader: { since: iso(at - 3_600_000) }, last_check_at: iso(at - 1000) }
  return { ...emptyModel, fleet, servers: [server('up')], ...parts } as unknown as Model
}
const lines = (made: Model) => {
  const { isWrong, isDone, mustAct } = headline(made, en, at)
  return [isWrong.lines, isDone.lines, mustAct.lines]
}

test('a calm fleet: nothing is wrong, nothing moves, nothing is to be done', () => {
  expect(lines(model())).toEqual([['Nothing is wrong'], ['Nothing is moving'], ['You need not do anything']])
})

test('the worst is told first: that nothing can be written, then that nobody watches, then servers', () => {
  const made = model({
    servers: [server('down'), server('suspect')],
    fleet: { store_trouble: 'disk full', registry: { stale: true }, leader: null, last_check_at: null },
  })
  expect(headline(made, en, at).isWrong).toEqual({
    tone: 'bad',
    lines: [en.dashboard.wrongStore, en.dashboard.wrongBlind, '1 server down', '1 server suspect', en.dashboard.wrongRegistry],
  })
})

test('nobody watches: no check for two minutes, or for three times the pace of the policy', () => {
  const fleet = {
    store_trouble: null,
    registry: { stale: false },
    leader: { since: iso(at - 3_600_000) },
    last_check_at: iso(at - 300_000),
  }
  expect(headline(model({ fleet }), en, at).isWrong.lines).toEqual([en.dashboard.wrongBlind])
  const policy = { policy: { detect: { check_interval_ms: 300_000 } } }
  expect(headline(model({ fleet, policy }), en, at).isWrong.tone).toBe('good')
})

test('a leader that has just begun is not called blind', () => {
  const fleet = { store_trouble: null, registry: { stale: false }, leader: { since: iso(at - 5000) }, last_check_at: null }
  expect(headline(model({ fleet }), en, at).isWrong.tone).toBe('good')
})

test('what waits for a person is told: approvals, held incidents, failures of the last hour', () => {
  const failed = (ago: number): object => ({ status: 'failed', completed_at: iso(at - ago) })
  const made = model({
    evacuations: [{ status: 'suggested' }, { status: 'running' }],
    incidents: [
      { status: 'open', held_by: [{}] },
      { status: 'open', held_by: [] },
    ],
    migrations: [failed(60_000), failed(7_200_000)],
  })
  expect(headline(made, en, at).mustAct.lines).toEqual([
    '1 evacuation waits for your approval',
    '1 incident is held by a guard: look at it',
    '1 migration failed in the last hour',
  ])
})

test('what is being done counts those who have still to move, and a pause is told before it', () => {
  const migrations = [{ status: 'transferring', connection_count_at_start: 10, connections_moved: 4 }]
  expect(lines(model({ migrations }))[1]).toEqual(['1 migration under way, 6 users'])
  expect(lines(model({ migrations, pauses: [{ scope: 'all' }] }))[1]?.[0]).toBe(en.dashboard.doingPaused)
})
