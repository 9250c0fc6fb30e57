import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'nobody looks for room so often that the journal fills with decisions',
  { servers: 3, users: { s1: 3, s2: 4, s3: 4 }, capacity: 4 },
  async (world) => {
    world.kill('s1')
    await world.minutes(30)
    assert.equal(world.decisions.length, 1)
    assert.equal(world.evacuations[0]?.status, 'running')
    assert.ok(world.evacuations[0]?.unplaced.every(({ code }) => code === 'no_candidate'))
  },
)
