import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('what has ended or never was can not be paused', { servers: 2 }, async (world) => {
  const { engine } = world
  const { id, evacuationId } = await world.answer(engine.migrations.create({ serverId: 's1', autoApprove: true }))
  await world.minutes(1)
  const why = async (scope: Parameters<typeof engine.pause>[0]) => {
    const { code, message } = await world.refused(engine.pause(scope))
    assert.equal(code, 'not_found')
    return message
  }
  assert.equal(await why({ migrationId: id }), `migration ${id} has ended: it is completed`)
  assert.equal(await why({ evacuationId }), `evacuation ${evacuationId} has ended: it is completed`)
  assert.equal(await why({ serverId: 's9' }), 'there is no server "s9"')
  assert.equal(await why({ migrationId: 'nobody' }), 'there is no migration "nobody"')
  assert.deepEqual([world.told('pause.set'), engine.status().pauses], [[], []])
})
