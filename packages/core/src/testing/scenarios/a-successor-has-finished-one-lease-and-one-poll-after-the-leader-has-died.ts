import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a successor has finished one lease and one poll after the leader has died', { engines: 2 }, async (world) => {
  let diedAt = 0
  world.when('transferring', () => {
    diedAt = world.now
    world.crash()
  })
  world.kill('s1')
  await world.minutes(3)
  assert.deepEqual(world.on('s1'), [])
  assert.equal(world.moved, 4)
  // A lease of 45 s, a poll of 15 s, and what the moves themselves take.
  const last = Math.max(...world.calls.filter(({ name }) => name === 'move').map(({ at }) => at))
  assert.ok(last - diedAt < 63_000, `${last - diedAt} ms`)
  const tokens = world.told('leader.acquired').map(({ token }) => token)
  assert.ok(tokens.length >= 2 && tokens.every((token, index) => index === 0 || token > (tokens[index - 1] ?? 0)))
})
