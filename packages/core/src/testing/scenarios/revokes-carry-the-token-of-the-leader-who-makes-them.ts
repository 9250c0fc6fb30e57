import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'revokes carry the token of the leader who makes them',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { revokeGraceMs: 180_000 } }, users: 2 },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.seconds(5)
    world.crash()
    await world.minutes(5)
    const tokens = world.told('leader.acquired').map(({ token }) => token)
    const revokes = world.calls.filter(({ name }) => name === 'complete')
    assert.equal(tokens.length, 2)
    assert.deepEqual(
      revokes.map(({ move }) => move?.fencingToken),
      [tokens[1], tokens[1]],
    )
    assert.deepEqual(world.grants('s1-2'), ['s2'])
  },
)
