import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a suggestion for a server that has recovered cannot be approved any more',
  { policy: { mode: 'suggest' } },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(new Set(world.migrations.map(({ status }) => status)), new Set(['suggested']))
    world.revive('s1')
    await world.minutes(1)
    assert.deepEqual(new Set(world.migrations.map(({ status }) => status)), new Set(['cancelled']))
    const { code, message } = await world.refused(world.engine.evacuations.approve(world.evacuations[0]?.id ?? ''))
    assert.equal(code, 'illegal_transition')
    assert.match(message, /cancelled/)
    assert.equal(world.on('s1').length, 4)
  },
)
