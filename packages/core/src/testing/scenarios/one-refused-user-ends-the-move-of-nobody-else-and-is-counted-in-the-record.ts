import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'one refused user ends the move of nobody else and is counted in the record',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] } } },
  async (world) => {
    world.refuse('s1-2')
    await world.answer(world.engine.drain('s1'))
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), ['s1-2'])
    assert.deepEqual(world.grants('s1-2'), ['s1'])
    const [migration] = world.migrations
    assert.equal(migration?.status, 'completed')
    assert.deepEqual([migration?.connectionsMoved, migration?.connectionsFailed], [3, 1])
    assert.match(migration?.warnings.join() ?? '', /1 connection could not be moved/)
    assert.equal(world.calls.filter(({ name }) => name === 'rollback').length, 0)
  },
)
