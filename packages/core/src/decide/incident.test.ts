import { expect, test } from 'vitest'
import { createFleet } from '../testing/index.ts'
import type { StatusWrite } from '../vocabulary.ts'
import { restoreStep } from './incident.ts'

const write: StatusWrite = {
  status: 'offline',
  previous: 'online',
  at: 1,
  confirmed: true,
  seenAt: 2,
  changedAt: null,
  restoredAt: null,
}

test('a status is taken back only while it is ours and still stands', () => {
  expect(restoreStep(write, 'offline', false)).toEqual({ do: 'restore', status: 'online' })
  expect(restoreStep({ ...write, changedAt: 3 }, 'offline', false).do).toBe('advise')
  expect(restoreStep(write, 'maintenance', true).do).toBe('advise')
  expect(restoreStep(null, 'offline', false).do).toBe('advise')
  expect(restoreStep(null, 'offline', true)).toEqual({ do: 'restore', status: 'online' })
  expect(restoreStep(write, 'online', false)).toEqual({ do: 'nothing' })
  expect(restoreStep(null, 'online', false)).toEqual({ do: 'nothing' })
})

test('a status that the registry never tells is taken back too, if it was written for certain', () => {
  expect(restoreStep({ ...write, seenAt: null }, 'online', false)).toEqual({ do: 'restore', status: 'online' })
  expect(restoreStep({ ...write, seenAt: null, confirmed: false }, 'online', false)).toEqual({ do: 'nothing' })
})

test('a registry whose rows have no status gets its server online again after an outage', async () => {
  const written: (readonly [string, string])[] = []
  const fleet = await createFleet({
    replace: ({ registry }) => ({
      registry: {
        listServers: async () => ['s1', 's2', 's3', 's4'].map((id) => ({ id, host: `10.0.0.${id[1]}`, capacity: 100 })),
        listConnections: registry.listConnections,
        setServerStatus: async (server, status) => void written.push([server.id, status]),
      },
    }),
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  expect(written).toEqual([['s1', 'offline']])
  fleet.revive('s1')
  await fleet.advance(60_000)
  expect(written).toEqual([
    ['s1', 'offline'],
    ['s1', 'online'],
  ])
  await fleet.stop()
})
