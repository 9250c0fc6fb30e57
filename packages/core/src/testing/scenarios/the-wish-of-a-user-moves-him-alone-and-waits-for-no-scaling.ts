import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('the wish of a user moves him alone and waits for no scaling', { guards: true }, async (world) => {
  world.forbid('scaling')
  const request = { serverId: 's1', connectionIds: ['s1-3'], triggeredBy: 'user', toServerId: 's4', autoApprove: true } as const
  const { reason, triggeredBy, connectionCountAtStart } = await world.answer(world.engine.migrations.create(request))
  assert.deepEqual([reason, triggeredBy, connectionCountAtStart], ['user-request', 'user', 1])
  await world.minutes(1)
  assert.deepEqual([world.on('s4'), world.on('s1')], [['s1-3'], ['s1-1', 's1-2', 's1-4']])
})
