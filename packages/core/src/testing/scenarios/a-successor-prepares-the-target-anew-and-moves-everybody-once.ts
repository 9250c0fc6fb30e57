import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a successor prepares the target anew and moves everybody once',
  { engines: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] } }, servers: 2 },
  async (world) => {
    world.crashAt('prepare', 'before')
    world.kill('s1')
    await world.seconds(20)
    assert.deepEqual([world.migrations[0]?.status, world.moved], ['preparing', 0])
    await world.minutes(1.5)
    assert.deepEqual([world.on('s2').length, world.moved, world.migrations.length], [4, 4, 1])
    assert.deepEqual(new Set(world.calls.flatMap(({ name, move }) => (name === 'move' ? move?.fencingToken : []))), new Set([2]))
  },
)
