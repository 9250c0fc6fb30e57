import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'no source waits for the end of the migration of another one',
  { servers: 8, users: { s1: 30, s2: 30 }, capacity: 60, policy: { mode: 'auto', migration: { concurrency: 1 } } },
  async (world) => {
    world.kill('s1')
    world.kill('s2')
    await world.minutes(2)
    const from = world.calls.flatMap(({ name, move }) => (name === 'move' && move ? String(move.from.id) : []))
    assert.deepEqual([from.length, world.on('s1').length, world.on('s2').length], [60, 0, 0])
    const both = from.slice(Math.max(from.indexOf('s1'), from.indexOf('s2')), Math.min(from.lastIndexOf('s1'), from.lastIndexOf('s2')))
    let longest = 0
    for (let index = 0, run = 0; index < both.length; index++) {
      run = both[index] === both[index - 1] ? run + 1 : 1
      longest = Math.max(longest, run)
    }
    assert.ok(both.length > 20 && longest <= 7, `${longest} moves of one source in a row, of ${both.length}`)
  },
)
