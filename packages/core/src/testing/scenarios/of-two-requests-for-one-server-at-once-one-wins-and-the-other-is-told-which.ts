import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('of two requests for one server at once one wins and the other is told which', { servers: 3 }, async (world) => {
  const { migrations } = world.engine
  const { answers, refusals } = await world.atOnce(
    migrations.create({ serverId: 's1', autoApprove: true, notes: 'mine' }),
    migrations.create({ serverId: 's1', autoApprove: true, notes: 'yours' }),
  )
  assert.equal(answers.length, 1)
  assert.deepEqual(
    refusals.map(({ code, message }) => [code, message]),
    [['guard_denied', `evacuation ${answers[0]?.evacuationId} of s1 is under way`]],
  )
  await world.minutes(1)
  assert.deepEqual([world.evacuations.length, world.moved, world.on('s1')], [1, 4, []])
})
