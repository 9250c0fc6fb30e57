import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('what a plan shows is what its execution does', { users: { s1: 9, s2: 5, s3: 2 } }, async (world) => {
  const plan = await world.answer(world.engine.plan({ drain: ['s1', 's2'] }))
  const shown = plan.placements.flatMap(({ toServerId, connections }) => connections.map(({ id }) => `${id} on ${toServerId}`))
  const { id } = await world.answer(world.engine.execute(plan))
  await world.seconds(30)
  const moved = world.told('connection.moved').map(({ connectionId, toServerId }) => `${connectionId} on ${toServerId}`)
  assert.equal(moved.length, 14)
  assert.deepEqual(moved.toSorted(), shown.toSorted())
  assert.deepEqual(
    shown.filter((line) => world.home(line.split(' ')[0] ?? '') !== line.split(' ')[2]),
    [],
  )
  assert.equal((await world.answer(world.engine.evacuations.get(id))).moved, 14)
})
