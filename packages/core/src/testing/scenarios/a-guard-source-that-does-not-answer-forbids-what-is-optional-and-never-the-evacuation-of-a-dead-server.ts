import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a guard source that does not answer forbids what is optional and never the evacuation of a dead server',
  { users: { s1: 2, s2: 2 }, guards: true },
  async (world) => {
    world.fault('guards.fail', 600)
    const refused = await world.refused(world.engine.migrations.create({ serverId: 's1', reason: 'maintenance' }))
    assert.equal(refused.code, 'guard_denied')
    assert.match(refused.message, /guard source forbids maintenance: it does not answer/)
    world.kill('s2')
    await world.minutes(1)
    assert.deepEqual([world.on('s1').length, world.on('s2')], [2, []])
    const warned = world.told('warning').filter(({ message }) => message.startsWith('a guard source counts as forbidding'))
    assert.equal(warned.length, 1)
  },
)
