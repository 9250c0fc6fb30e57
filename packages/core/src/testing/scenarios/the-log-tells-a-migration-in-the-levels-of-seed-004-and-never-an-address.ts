import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'the log tells a migration in the levels of seed 004 and never an address',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { targetsPerConnection: 1 } }, users: 2 },
  async (world) => {
    world.refuse('s1-2')
    await world.answer(world.engine.drain('s1'))
    await world.seconds(20)
    const id = world.migrations[0]?.id ?? ''
    const lines = world.lines.filter((line) => line.includes(id) || line.includes('connection'))
    const line = (text: RegExp) =>
      assert.ok(
        lines.some((one) => text.test(one)),
        `${text} is not among\n${lines.join('\n')}`,
      )
    line(/^info: migration .* created \(scheduled\): 2 from s1 to s2$/)
    line(/^info: migration .* started$/)
    line(/^info: migration .*: transfer started$/)
    line(/^debug: connection moved to s2$/)
    line(/^warn: a connection could not be moved to s2: s2 does not want s1-2$/)
    line(/^info: migration .* completed: 1 moved, 1 failed in [\d.]+ s$/)
    assert.ok(!world.lines.some((one) => /10\.0\.0|hunter2/.test(one)))
  },
)
