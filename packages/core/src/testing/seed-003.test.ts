import { expect, test } from 'vitest'
import { createFleet } from './index.ts'

// What seed 003 asks of the engine: several regions, each with its users.

test('users of each region are moved within it while it has room, and a user who needs a region is moved to no other', async () => {
  const servers = ['de-1', 'de-2', 'nl-1', 'nl-2'].map((id, index) => ({
    id,
    host: `10.0.0.${index + 1}`,
    region: id.slice(0, 2),
    capacity: 20,
  }))
  const free = Array.from({ length: 6 }, (_, index) => ({ id: `free-${index}`, region: 'de' }))
  const bound = Array.from({ length: 6 }, (_, index) => ({ id: `bound-${index}`, region: 'de', needs: { regions: ['de'] } }))
  const fleet = await createFleet({ servers, connections: { 'de-1': [...free, ...bound] } })
  await fleet.advance(20_000)
  fleet.kill('de-1')
  await fleet.advance(60_000)
  expect(fleet.registry.on('de-2')).toHaveLength(12)

  fleet.kill('de-2')
  await fleet.advance(60_000)
  // Both servers of the region are gone: two of four is above what the mass-failure guard allows, until a person says so.
  expect(fleet.registry.on('de-2')).toHaveLength(12)
  const [incident] = fleet.pintail.status().incidents.filter(({ serverId }) => serverId === 'de-2')
  await fleet.pintail.incidents.overrideGuard(incident?.id ?? '')
  await fleet.advance(60_000)
  expect(fleet.registry.on('de-2').every((id) => id.startsWith('bound-'))).toBe(true)
  expect(fleet.registry.on('de-2')).toHaveLength(6)
  expect(fleet.registry.on('nl-1').length + fleet.registry.on('nl-2').length).toBe(6)
  await fleet.stop()
})
