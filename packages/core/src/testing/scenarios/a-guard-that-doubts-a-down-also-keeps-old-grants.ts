import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a guard that doubts a down also keeps old grants', { panel: { latencyMs: 15_000 } }, async (world) => {
  world.when('transferring', () => world.blind(true))
  await world.answer(world.engine.drain('s1'))
  await world.until('everybody has moved', () => world.on('s1').length === 0)
  await world.minutes(2)
  assert.ok(world.told('server.verdict_changed').some(({ serverId, verdict }) => serverId === 's1' && verdict === 'down'))
  assert.ok(world.told('guard.denied').some(({ guard }) => guard === 'no_control'))
  assert.ok(world.grants('s1-1').includes('s1'), 'his access on the living server is taken back')
})
