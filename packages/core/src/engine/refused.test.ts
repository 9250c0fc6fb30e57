import assert from 'node:assert/strict'
import { test } from 'vitest'
import { type ScenarioWorld, type Stage, scenario } from '../testing/sim/scenario.ts'

const many = 5000
/** One in a hundred, spread over all, whom the panel refuses wherever they are to go. */
const refused = new Set(Array.from({ length: many / 100 }, (_, index) => `s1-${100 * index + 50}`))
const others = Array.from({ length: many }, (_, index) => `s1-${index + 1}`).filter((id) => !refused.has(id))
const targets = ['s2', 's3', 's4']

/** Three targets: as many as a connection may try, so that every target there is has refused the fifty. */
function worldOf(concurrencyPerTarget: number): ScenarioWorld {
  const migration = { concurrencyPerTarget, revokeGraceMs: 60_000 }
  return { servers: 4, users: many, capacity: many / 2, policy: { mode: 'auto', migration } }
}

/** What holds when the evacuation has ended, whether its source lives or not. */
function onlyTheRefusedStay(world: Stage): void {
  assert.deepEqual(new Set(world.on('s1')), refused)
  assert.equal(world.moved, others.length, 'effective moves')
  for (const id of refused) assert.deepEqual(world.grants(id), ['s1'])
  for (const id of others) assert.ok(targets.includes(world.home(id)) && world.grants(id).includes(world.home(id)), `${id} is served`)
  assert.equal(world.reserved, 0, 'reserved places')
}

/** Nobody else pays for them: one call each, and nothing undone. */
function nobodyElsePays({ calls, migrations }: Stage): void {
  assert.deepEqual(
    calls.filter(({ name }) => name === 'rollback'),
    [],
  )
  const asked = Map.groupBy(
    calls.filter(({ name }) => name === 'move'),
    ({ move }) => String(move?.connection.id),
  )
  for (const id of others) assert.equal(asked.get(id)?.length, 1, `calls for ${id}`)
  for (const id of refused)
    assert.deepEqual(
      asked
        .get(id)
        ?.map(({ move }) => String(move?.to.id))
        .sort(),
      targets,
    )
  for (const { id, status, connectionsMoved, rollbackSuccess, residue } of migrations) {
    assert.equal(status, connectionsMoved > 0 ? 'completed' : 'failed', id)
    assert.deepEqual([rollbackSuccess, residue], [null, []], id)
  }
}

/** In the record, in the figures of the migrations, in the events: exactly these, each with its reason. */
function theyAreReported(world: Stage): void {
  const [evacuation, ...more] = world.evacuations
  assert.deepEqual(more, [])
  assert.deepEqual([evacuation?.status, evacuation?.connections, evacuation?.moved], ['completed', many, others.length])
  const reason = { code: 'refused_everywhere', message: 'refused by s2, s3, s4' }
  assert.deepEqual(
    new Map(evacuation?.unplaced.map(({ connectionId, ...why }) => [String(connectionId), why])),
    new Map([...refused].map((id) => [id, reason])),
  )
  const sum = (figure: 'connectionsMoved' | 'connectionsFailed') => world.migrations.reduce((all, one) => all + one[figure], 0)
  assert.deepEqual([sum('connectionsMoved'), sum('connectionsFailed')], [others.length, refused.size * targets.length])
  for (const { status, connectionsFailed, warnings, errorMessage } of world.migrations)
    if (status === 'failed') assert.match(errorMessage ?? '', /could be moved: s\d does not want s1-\d+50$/)
    else if (connectionsFailed > 0) assert.match(warnings.join(), new RegExp(`${connectionsFailed} connections? could not be moved`))

  const moved = world.told('connection.moved').map(({ connectionId }) => String(connectionId))
  assert.deepEqual(moved.sort(), [...others].sort())
  const refusals = world.told('connection.move_failed')
  assert.equal(refusals.length, refused.size * targets.length)
  for (const { connectionId, toServerId, permanent, rolledBack, error } of refusals)
    assert.deepEqual([permanent, rolledBack, error], [true, false, `${toServerId} does not want ${connectionId}`])
  const lastWord = new Map(world.told('connection.unplaced').map(({ connectionId, code }) => [String(connectionId), code]))
  assert.deepEqual(lastWord, new Map([...refused].map((id) => [id, reason.code])))
}

/** A line for each refusal, one for each user who stays, four for each migration; none for those who have moved. */
function theLogIsShort(world: Stage): void {
  const loud = world.lines.filter((line) => !line.startsWith('debug: '))
  const about = world.told('connection.move_failed').length + world.told('connection.unplaced').length + 4 * world.migrations.length
  assert.ok(loud.length <= about + 20, `${loud.length} lines above debug, ${about} are expected`)
  const named = loud.flatMap((line) => line.match(/\bs1-\d+/g) ?? [])
  assert.deepEqual(
    named.filter((id) => !refused.has(id)),
    [],
  )
}

async function ended(world: Stage): Promise<void> {
  await world.until('the evacuation has ended', () => world.told('evacuation.completed').length > 0)
  // A place is given back with the next server list that was begun after the move.
  await world.until('every place is given back', () => world.reserved === 0)
  onlyTheRefusedStay(world)
  nobodyElsePays(world)
  theyAreReported(world)
  theLogIsShort(world)
}

/** At rest: each of the others has the one grant that he is to have, and the refused have theirs. */
function oneGrantEach(world: Stage): void {
  for (const id of others) assert.deepEqual(world.grants(id), [world.home(id)])
  for (const id of refused) assert.deepEqual(world.grants(id), ['s1'])
}

// A time-out is for what hangs: each world takes a few seconds, most of them the engine's own work for five thousand moves.
const slow = { timeout: 180_000 }

test('of five thousand users on a dead server fifty whom every target refuses cost nobody else his move', slow, async () => {
  const it = scenario('', worldOf(100), async (world) => {
    world.refuse(...refused)
    world.kill('s1')
    await ended(world)
    // The dead source cannot be asked: each old grant is owed, by name.
    assert.deepEqual(
      new Set(world.revokes.map(({ serverId, move }) => `${serverId} ${move.connection.id}`)),
      new Set(others.map((id) => `s1 ${id}`)),
    )
    world.revive('s1')
    await world.until('every old grant is taken back', () => world.revokes.length === 0)
    oneGrantEach(world)
  })
  await it.run()
})

test('of five thousand users of a drain fifty whom every target refuses cost nobody else his move', slow, async () => {
  // So few calls at once that a target which is left with the refused looks as if it took nobody at all.
  const it = scenario('', worldOf(4), async (world) => {
    world.refuse(...refused)
    await world.answer(world.engine.drain('s1'))
    await ended(world)
    await world.until('every old grant is taken back', () => world.revokes.length === 0)
    oneGrantEach(world)
  })
  await it.run()
})
