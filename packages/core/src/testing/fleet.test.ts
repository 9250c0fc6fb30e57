import { expect, test } from 'vitest'
import { createFleet } from './index.ts'

test('a dead server is evacuated, and its status is put back when it returns', async () => {
  const fleet = await createFleet({ servers: 6, connections: 10 })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(fleet.events.filter(({ type }) => type === 'connection.moved')).toHaveLength(10)
  expect(fleet.pintail.status().servers.find(({ serverId }) => serverId === 's1')?.status).toBe('offline')
  fleet.revive('s1')
  await fleet.advance(60_000)
  expect(fleet.pintail.status().servers.find(({ serverId }) => serverId === 's1')?.status).toBe('online')
  expect(fleet.events.map(({ type }) => type)).toContain('incident.recovered')
  await fleet.stop()
  expect(fleet.clock.pending).toBe(0)
})
