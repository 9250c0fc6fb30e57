import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a source has one evacuation at a time and the next one is welcome when it has ended',
  { servers: 3, policy: { mode: 'suggest' } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    const [first] = world.evacuations
    const { code, message, remedy } = await world.refused(world.engine.migrations.create({ serverId: 's1' }))
    assert.deepEqual([code, message], ['guard_denied', `evacuation ${first?.id} of s1 is under way`])
    assert.equal(remedy, 'Wait for it, or cancel it first.')
    await world.answer(world.engine.evacuations.cancel(first?.id ?? ''))
    await world.seconds(10)
    await world.answer(world.engine.migrations.create({ serverId: 's1', autoApprove: true }))
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), [])
  },
)
