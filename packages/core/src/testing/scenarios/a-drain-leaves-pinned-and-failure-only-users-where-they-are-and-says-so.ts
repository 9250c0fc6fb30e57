import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a drain leaves pinned and failure-only users where they are and says so',
  { mobility: { 's1-1': 'pinned', 's1-2': 'failure-only' } },
  async (world) => {
    const { id } = await world.answer(world.engine.drain('s1'))
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), ['s1-1', 's1-2'])
    const evacuation = await world.answer(world.engine.evacuations.get(id))
    assert.deepEqual([evacuation.status, evacuation.moved], ['completed', 2])
    assert.deepEqual(evacuation.unplaced.map(({ connectionId, code }) => `${connectionId} ${code}`).toSorted(), [
      's1-1 pinned',
      's1-2 pinned',
    ])
  },
)
