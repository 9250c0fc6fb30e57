import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('short outages one after the other do not add up to a failure', {}, async (world) => {
  for (let outage = 0; outage < 15; outage++) {
    world.kill('s1')
    await world.seconds(6)
    world.revive('s1')
    await world.seconds(6)
  }
  const suspected = world.told('server.verdict_changed').filter(({ serverId, verdict }) => serverId === 's1' && verdict === 'suspect')
  assert.ok(suspected.length >= 5, `only ${suspected.length} suspicions`)
  assert.deepEqual(world.incidents, [])
})
