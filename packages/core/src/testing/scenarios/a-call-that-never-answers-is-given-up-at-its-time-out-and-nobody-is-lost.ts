import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a call that never answers is given up at its time out and nobody is lost',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { timeoutMs: 2000 } } },
  async (world) => {
    world.fault('mover.hangs', 20)
    await world.answer(world.engine.drain('s1'))
    await world.minutes(2)
    const first = world.calls.find(({ name }) => name === 'move')?.at ?? 0
    const asked = world.calls.find(({ name }) => name === 'locate')?.at ?? 0
    assert.ok(asked - first >= 2000 && asked - first < 2500, `given up after ${asked - first} ms`)
    assert.deepEqual(world.on('s1'), [])
    assert.equal(world.moved, 4)
  },
)
