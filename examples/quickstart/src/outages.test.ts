import type { PintailEvent } from '@pintail/core'
import { expect, test } from 'vitest'
import { figuresOf, Outages } from './outages.ts'

let seq = 0
const event = (at: number, type: PintailEvent['type'], data: object): PintailEvent =>
  ({ seq: ++seq, type, at, data }) as unknown as PintailEvent

/** ams-1 is killed at 1 000, found at 3 000, three users move, it is back at 9 000. */
function outages(...more: PintailEvent[]): Outages {
  const all = new Outages()
  all.killed('ams-1', 1000)
  const opened = [
    event(3000, 'incident.opened', { incidentId: 'i', serverId: 'ams-1', suspectedAt: 1500, reasons: [] }),
    event(3000, 'decision.made', { decisionId: 'd', incidentId: 'i' }),
    event(3000, 'evacuation.created', { evacuationId: 'e', incidentId: 'i', status: 'running', connections: 3, unplaced: 0 }),
    event(3000, 'migration.created', { id: 'm', evacuationId: 'e', toServerId: 'fra-1', connections: 1, status: 'scheduled' }),
    event(3000, 'migration.created', { id: 'n', evacuationId: 'e', toServerId: 'ams-2', connections: 2, status: 'scheduled' }),
  ]
  for (const one of [...opened, ...more]) all.take(one)
  return all
}
const moved = (at: number, migrationId: string) => event(at, 'connection.moved', { migrationId, fromServerId: 'ams-1' })
const figures = (all: Outages) => figuresOf(all.list[0] ?? expect.fail('no outage'))

test('detecting takes from the kill to the incident, moving from the incident to the last new home', () => {
  const all = outages(moved(3200, 'm'), moved(3100, 'n'), moved(3700, 'n'))
  expect(figures(all)).toMatchObject({ detectMs: 2000, moveMs: 700, moved: 3, medianWaitMs: 2200, longestWaitMs: 2700 })
})

test('targets are told by what has arrived there, most first', () => {
  expect(figures(outages(moved(3100, 'n'))).targets).toEqual([{ server: 'ams-2', users: 1 }])
  expect(figures(outages(moved(3100, 'm'), moved(3100, 'n'), moved(3100, 'n'))).targets.map(({ server }) => server)).toEqual([
    'ams-2',
    'fra-1',
  ])
})

test('waiting for a person or for a guard is not time to move', () => {
  const approved = event(8000, 'evacuation.approved', { evacuationId: 'e' })
  expect(figures(outages(approved, moved(8400, 'm'))).moveMs).toBe(400)
  const released = event(7000, 'incident.released', { incidentId: 'i', serverId: 'ams-1' })
  expect(figures(outages(released, moved(7100, 'm'))).moveMs).toBe(100)
})

test('a server that failed without being killed has no time to detect', () => {
  const all = outages()
  all.take(event(4000, 'incident.opened', { incidentId: 'j', serverId: 'fra-1', suspectedAt: 3500, reasons: [] }))
  expect(figures(all).detectMs).toBeNull()
})

test('recovery is counted from the revival, and an outage of the same server afterwards is another one', () => {
  const all = outages()
  all.revived('ams-1', 8000)
  all.take(event(9000, 'incident.recovered', { incidentId: 'i', serverId: 'ams-1', durationMs: 0, statusRestored: true, advice: null }))
  expect(figures(all)).toMatchObject({ recoverMs: 1000 })
  all.killed('ams-1', 20_000)
  all.take(event(22_000, 'incident.opened', { incidentId: 'k', serverId: 'ams-1', suspectedAt: 20_500, reasons: [] }))
  expect(all.list.map(({ incidentId, killedAt }) => [incidentId, killedAt])).toEqual([
    ['k', 20_000],
    ['i', 1000],
  ])
  expect(figures(all)).toMatchObject({ detectMs: 2000, recoverMs: null })
})

test('what happens to somebody else changes nothing', () => {
  const before = structuredClone(outages(moved(3100, 'm')).list)
  const all = outages(
    moved(3100, 'm'),
    moved(3300, 'another'),
    event(3300, 'evacuation.completed', { evacuationId: 'another', unplaced: 9 }),
  )
  expect(all.list).toEqual(before)
})
