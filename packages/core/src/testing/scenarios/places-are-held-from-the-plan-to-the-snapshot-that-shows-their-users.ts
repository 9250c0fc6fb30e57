import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'places are held from the plan to the snapshot that shows their users',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { concurrency: 1 } }, users: 6 },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    const seen = [world.report('s2')]
    for (let step = 0; step < 100; step++) {
      await world.seconds(0.2)
      seen.push(world.report('s2'))
    }
    // Never less than all six, whoever of them the registry counts already.
    for (const { load, reserved } of seen) assert.ok((load ?? 0) >= 6 && reserved <= 6, `load ${load}, reserved ${reserved}`)
    assert.equal(seen[0]?.reserved, 6)
    assert.deepEqual([world.report('s2').load, world.report('s2').reserved], [6, 0])
  },
)
