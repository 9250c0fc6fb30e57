import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a server that answers again within the confirmation opens no incident', {}, async (world) => {
  world.kill('s1')
  await world.until('s1 is suspected', () => world.report('s1').verdict.verdict === 'suspect')
  await world.seconds(2)
  world.revive('s1')
  await world.minutes(1)
  const verdicts = world
    .told('server.verdict_changed')
    .filter(({ serverId }) => serverId === 's1')
    .map(({ verdict }) => verdict)
  assert.deepEqual(verdicts, ['up', 'suspect', 'up'])
  assert.deepEqual(world.incidents, [])
})
