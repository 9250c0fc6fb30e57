import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a decision names every server with its score or why it has none',
  { users: { s1: 2, s4: 20 } },
  async (world) => {
    await world.answer(world.engine.cordon('s3'))
    world.kill('s1')
    await world.minutes(1)
    const candidates = world.decisions[0]?.cohorts[0]?.candidates ?? []
    const told = candidates.map((one) => [one.serverId, 'excluded' in one ? one.excluded : one.contributions.length])
    assert.deepEqual(told, [
      ['s2', 7],
      ['s1', 'is_source'],
      ['s3', 'cordoned'],
      ['s4', 'full'],
    ])
  },
)
