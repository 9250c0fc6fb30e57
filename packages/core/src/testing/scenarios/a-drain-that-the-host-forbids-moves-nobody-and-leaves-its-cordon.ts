import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a drain that the host forbids moves nobody and leaves its cordon',
  { users: { s1: 2 }, guards: true },
  async (world) => {
    world.forbid('scaling')
    const { code, message, remedy } = await world.refused(world.engine.drain('s1'))
    assert.deepEqual([code, message], ['guard_denied', 'scaling forbids maintenance: the host says scaling'])
    assert.equal(remedy, 'Wait until it allows it.')
    assert.deepEqual([world.report('s1').cordoned, world.evacuations, world.on('s1').length], [true, [], 2])
  },
)
