import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'of 5000 users of whom one in a hundred is refused everywhere all others are moved',
  { servers: 8, users: 5000, capacity: 6000 },
  async (world) => {
    const all = world.on('s1')
    const refused = all.filter((_, index) => index % 100 === 42)
    world.refuse(...refused)
    world.kill('s1')
    await world.until('all others have moved', () => world.on('s1').length === refused.length, 20)
    await world.minutes(5)

    assert.deepEqual([world.moved, world.on('s1').toSorted()], [4950, refused.toSorted()])
    const evacuation = world.evacuations[0]
    assert.equal(evacuation?.moved, 4950)
    // Each of the fifty is reported, with his reason.
    const reported = evacuation?.unplaced.map(({ connectionId, code }) => `${connectionId} ${code}`)
    assert.deepEqual(reported?.toSorted(), refused.map((id) => `${id} refused_everywhere`).toSorted())
    const told = new Set(world.told('connection.unplaced').map(({ connectionId }) => String(connectionId)))
    assert.deepEqual([...told].toSorted(), refused.toSorted())
    // Nobody else is rolled back, tried twice or left with a grant too many.
    const moved = new Set(world.told('connection.moved').map(({ connectionId }) => String(connectionId)))
    assert.equal(moved.size, 4950)
    assert.deepEqual(
      world.calls.filter(({ name, move }) => name === 'rollback' && moved.has(move?.connection.id ?? '')),
      [],
    )
    assert.equal(world.calls.filter(({ name, move }) => name === 'move' && moved.has(move?.connection.id ?? '')).length, 4950)
    assert.deepEqual(
      refused.filter((id) => world.grants(id).join() !== 's1'),
      [],
    )
    assert.deepEqual(
      world.migrations.filter(({ status, connectionsMoved }) => status === 'failed' && connectionsMoved > 0),
      [],
    )
    assert.equal(world.reserved, 0)
  },
)
