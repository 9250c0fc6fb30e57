import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'residue is listed also when another leader ends the migration',
  {
    users: { s1: 8 },
    servers: 2,
    panel: { has: ['complete', 'locate', 'verify'] },
    policy: { mode: 'auto', migration: { rates: { overall: { perSecond: 0.2, burst: 1 } } } },
  },
  async (world) => {
    world.fault('mover.fails_verify', 20)
    await world.answer(world.engine.drain('s1'))
    await world.until('one has failed', () => world.told('connection.move_failed').length > 0)
    const failed = world.told('connection.move_failed')[0]?.connectionId ?? ''
    world.heal()
    world.crash()
    await world.minutes(5)
    assert.ok(world.migrations[0]?.residue.some((id) => id === failed))
  },
)
