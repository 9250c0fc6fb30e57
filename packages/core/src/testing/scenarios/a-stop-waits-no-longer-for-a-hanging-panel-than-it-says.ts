import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a stop waits no longer for a hanging panel than it says',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] } }, users: 1 },
  async (world) => {
    world.fault('mover.hangs', 15)
    const engine = world.engine
    await world.answer(engine.drain('s1'))
    await world.seconds(1)
    world.redeploy()
    await world.seconds(10.5)
    assert.equal(engine.status().state, 'stopped')
    await world.minutes(2)
    assert.equal(world.home('s1-1'), 's2')
    assert.ok(world.calls.some(({ name }) => name === 'locate'))
    assert.equal(new Set(world.keys).size, 1)
  },
)
