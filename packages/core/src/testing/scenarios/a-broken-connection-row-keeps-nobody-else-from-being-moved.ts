import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a broken connection row keeps nobody else from being moved',
  { rows: { 's1-1': { mobility: 'sometimes' as never } } },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), ['s1-1'])
    assert.match(
      world.told('warning').find(({ code }) => code === 'invalid_row')?.message ?? '',
      /1 connection row of s1 skipped.*mobility/,
    )
  },
)
