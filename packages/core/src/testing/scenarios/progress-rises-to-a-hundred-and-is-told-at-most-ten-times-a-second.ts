import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'progress rises to a hundred and is told at most ten times a second',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { concurrency: 2 } }, users: 18 },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.minutes(1)
    const told = world.events.flatMap((event) => (event.type === 'migration.progress' ? [event] : []))
    const rises = told.map(({ data }) => data.progress)
    assert.deepEqual(
      rises,
      [...rises].sort((a, b) => a - b),
    )
    assert.equal(rises.at(-1), 100)
    assert.ok(rises.length > 5)
    const inside = told.slice(1, -1).map(({ at }) => at)
    assert.ok(inside.every((at, index) => index === 0 || at - (inside[index - 1] ?? 0) >= 100))
    assert.match(told[3]?.data.message ?? '', /^Moving \d+ of 18 connections to s2…$/)
    assert.ok(told.every(({ seq }) => seq === 0))
  },
)
