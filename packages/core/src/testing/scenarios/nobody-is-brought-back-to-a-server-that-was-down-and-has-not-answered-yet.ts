import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

// By this seed the new leader is sure of the target's failure before it is sure of the source's.
export const it = scenario(
  'nobody is brought back to a server that was down and has not answered yet',
  { seed: 2, servers: 6, users: 12, policy: { mode: 'auto', migration: { rates: { overall: { perSecond: 0.1, burst: 2 } } } } },
  async (world) => {
    world.kill('s1')
    await world.until('two have moved', () => world.told('connection.moved').length > 1)
    for (const { toServerId } of world.told('connection.moved')) world.kill(toServerId)
    world.crash()
    await world.minutes(3)
    const back = world.calls.filter(({ name, move }) => name === 'rollback' && move?.from.id === 's1')
    assert.deepEqual(back, [])
  },
)
