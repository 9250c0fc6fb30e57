import type { FleetStatus, PintailEvent } from '@pintail/core'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Entry, Narrator } from './words.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function narrator() {
  const told: Entry[] = []
  const failure = { kind: 'refused', layer: 'tcp', detail: 'icmp ok, tcp refused' }
  const servers = [
    { serverId: 'ams-1', name: 'ams-1', host: '127.0.0.11', lastSample: { failure } },
    { serverId: 'ams-2', name: 'ams-2', host: '127.0.0.12', lastSample: { failure: null } },
  ]
  const incidents = [{ id: 'i', control: { host: '127.0.0.12', at: 0 } }]
  const look = () => ({ servers, incidents, migrations: [] }) as unknown as FleetStatus
  return { told, words: new Narrator(look, (entry) => told.push(entry)) }
}
const event = (type: PintailEvent['type'], data: object): PintailEvent => ({ seq: 1, type, at: 5, data }) as unknown as PintailEvent

test('a swarm is one line, told when it is over', () => {
  const { told, words } = narrator()
  for (let n = 0; n < 47; n++) {
    words.take(event('revoke.pending', { serverId: 'ams-1', connectionId: `${n}` }))
    vi.advanceTimersByTime(100)
  }
  expect(told).toEqual([])
  vi.advanceTimersByTime(1000)
  expect(told.map(({ text }) => text)).toEqual([expect.stringMatching(/^47 old grants on ams-1/)])
})

test('what is held back is told on a flush, and no timer is left', () => {
  const { told, words } = narrator()
  words.take(event('connection.unplaced', { serverId: 'ams-1', code: 'no_capacity', message: 'no room left' }))
  words.flush()
  words.flush()
  expect(told.map(({ text }) => text)).toEqual(['no room for 1 user of ams-1: no room left'])
  expect(vi.getTimerCount()).toBe(0)
})

test('a failure names the layers: what answers and what does not', () => {
  const { told, words } = narrator()
  const reasons = [{ code: 'no_reply', message: 'no answer', values: { failures: 14, forMs: 1500 } }]
  words.take(event('server.verdict_changed', { serverId: 'ams-1', verdict: 'down', previous: 'suspect', reasons }))
  expect(told[0]).toMatchObject({ tag: 'DOWN', text: 'ams-1: icmp ok, tcp refused; 14 failing checks in 1.5 s' })
})

test('an incident says who answered meanwhile, so that the prober is trusted', () => {
  const { told, words } = narrator()
  words.take(event('incident.opened', { incidentId: 'i', serverId: 'ams-1', suspectedAt: 0, reasons: [] }))
  expect(told[0]?.text).toBe('opened; ams-2 answers, so the prober is not the broken one')
})

test('what forbids moving is told with its remedy', () => {
  const { told, words } = narrator()
  const guards = [{ guard: 'mass_failure', message: '3 down', remedy: 'Look.' }]
  words.take(event('incident.held', { incidentId: 'i', serverId: 'ams-1', guards }))
  expect(told[0]).toMatchObject({ text: 'ams-1: nobody is moved: 3 down', remedy: 'Look.' })
})

test('single moves and internals are not news', () => {
  const { told, words } = narrator()
  for (const type of ['move.started', 'connection.moved', 'migration.progress', 'server.added'] as const) words.take(event(type, {}))
  vi.advanceTimersByTime(5000)
  expect(told).toEqual([])
})

test('every tag fits its column', () => {
  const { told, words } = narrator()
  const data = {
    serverId: 'ams-1',
    guards: [{ message: '', remedy: '' }],
    reasons: [{ code: 'no_reply', message: '' }],
    fromServerIds: ['ams-1'],
  }
  const types = [
    'leader.acquired',
    'leader.lost',
    'incident.held',
    'incident.released',
    'incident.recovered',
    'evacuation.approved',
    'evacuation.completed',
    'evacuation.cancelled',
    'migration.failed',
    'server.cordoned',
    'server.status_set',
    'pause.set',
    'pause.lifted',
    'warning',
  ] as const
  for (const type of types) words.take(event(type, { ...data, moved: 1, unplaced: 1 }))
  for (const status of ['suggested', 'running']) words.take(event('evacuation.created', { ...data, status }))
  for (const verdict of ['suspect', 'down', 'unknown']) words.take(event('server.verdict_changed', { ...data, verdict, previous: 'up' }))
  expect(told).toHaveLength(types.length + 5)
  for (const { tag } of told) expect(tag.length, tag).toBeLessThanOrEqual(8)
})
