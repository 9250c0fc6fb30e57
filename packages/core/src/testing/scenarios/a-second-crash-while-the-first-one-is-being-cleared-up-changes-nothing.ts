import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a second crash while the first one is being cleared up changes nothing',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] } }, users: 1 },
  async (world) => {
    world.crashAt('move', 'after')
    world.kill('s1')
    await world.seconds(40)
    world.crashAt('locate', 'after')
    await world.minutes(4)
    const names = world.calls.map(({ name }) => name)
    assert.equal(names.slice(0, names.indexOf('complete')).filter((name) => name === 'locate').length, 2)
    assert.deepEqual([world.keys.length, world.moved], [1, 1])
    assert.equal(world.told('connection.moved').length, 1)
    assert.deepEqual(world.on('s1'), [])
  },
)
