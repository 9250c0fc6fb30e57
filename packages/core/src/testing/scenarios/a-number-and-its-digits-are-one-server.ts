import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a number and its digits are one server',
  { servers: [{ id: '1' }, { id: '2' }, { id: '3' }, { id: '4' }], registry: { mixesIds: true } },
  async (world) => {
    await world.minutes(1)
    world.kill('1')
    await world.minutes(1)
    assert.deepEqual(world.on('1'), [])
    assert.deepEqual(
      world.told('server.added').map(({ serverId }) => serverId),
      ['1', '2', '3', '4'],
    )
    assert.deepEqual(world.told('server.removed'), [])
  },
)
