import { expect, test } from 'vitest'
import { isPintailError, PintailError } from '../errors.ts'
import type { PintailEvent } from '../events.ts'
import { createFleet, type Fleet, type FleetOptions } from '../testing/index.ts'
import type { Migration } from '../vocabulary.ts'

type Told<T extends PintailEvent['type']> = Extract<PintailEvent, { type: T }>
const told = <T extends PintailEvent['type']>(fleet: Fleet, type: T) =>
  fleet.events.filter((event): event is Told<T> => event.type === type)

async function ask<T>(fleet: Fleet, call: Promise<T>): Promise<T> {
  const settled = call.then(
    (value) => () => value,
    (error: unknown) => () => {
      throw error
    },
  )
  await fleet.advance(100)
  return (await settled)()
}

async function refusal(fleet: Fleet, call: Promise<unknown>): Promise<PintailError> {
  const error = await ask(
    fleet,
    call.then(
      () => null,
      (thrown: unknown) => thrown,
    ),
  )
  if (!isPintailError(error)) throw new Error(`expected a refusal, got ${error}`)
  return error
}

async function readyFleet(options: FleetOptions = {}): Promise<Fleet> {
  const fleet = await createFleet({ connections: 4, policy: { mode: 'suggest' }, ...options })
  await fleet.advance(20_000)
  return fleet
}

const create = (fleet: Fleet, request: object) => ask(fleet, fleet.pintail.migrations.create({ serverId: 's1', ...request }))
const homes = (fleet: Fleet) => [1, 2, 3, 4, 5, 6].map((index) => fleet.registry.on(`s${index}`).length)

// ------------------------------------------------------------------------------------------------------------- create

test('a migration by hand waits for approval, or runs at once with autoApprove, whatever the mode', async () => {
  for (const mode of ['observe', 'suggest', 'auto'] as const) {
    const fleet = await readyFleet({ policy: { mode } })
    const proposed = await create(fleet, { toServerId: 's2', notes: 'rack 7 is being rewired' })
    expect(proposed).toMatchObject({
      status: 'suggested',
      fromServerId: 's1',
      toServerId: 's2',
      reason: 'manual',
      triggeredBy: 'admin',
      notes: 'rack 7 is being rewired',
      connectionCountAtStart: 4,
    })
    await fleet.advance(60_000)
    expect(homes(fleet)).toEqual([4, 4, 4, 4, 4, 4])
    await ask(fleet, fleet.pintail.evacuations.cancel(proposed.evacuationId))
    expect(await create(fleet, { toServerId: 's2', autoApprove: true })).toMatchObject({ status: 'scheduled' })
    await fleet.advance(10_000)
    expect(homes(fleet)).toEqual([0, 8, 4, 4, 4, 4])
    await fleet.stop()
  }
})

test('without a target the plan chooses, the answer is the first of its evacuation, and the notes are on every record', async () => {
  const fleet = await readyFleet()
  const first = await create(fleet, { autoApprove: true, notes: 'spread' })
  const all = (await fleet.pintail.migrations.list()).migrations.filter(({ evacuationId }) => evacuationId === first.evacuationId)
  expect(all.length).toBeGreaterThan(1)
  expect(all.at(-1)?.id).toBe(first.id)
  expect(new Set(all.map(({ notes }) => notes))).toEqual(new Set(['spread']))
  expect(await fleet.pintail.evacuations.get(first.evacuationId)).toMatchObject({ notes: 'spread', triggeredBy: 'admin' })
  await fleet.advance(10_000)
  expect(fleet.registry.on('s1')).toEqual([])
  await fleet.stop()
})

test('the wish of a user moves him alone, with the reason user-request', async () => {
  const fleet = await readyFleet()
  const wish = { connectionIds: ['s1-c2'], toServerId: 's4', triggeredBy: 'user', autoApprove: true }
  expect(await create(fleet, wish)).toMatchObject({ reason: 'user-request', triggeredBy: 'user', connectionCountAtStart: 1 })
  await fleet.advance(10_000)
  expect(fleet.registry.homeOf('s1-c2')).toBe('s4')
  expect(homes(fleet)).toEqual([3, 4, 4, 5, 4, 4])
  expect(told(fleet, 'connection.moved')[0]?.data).toMatchObject({ reason: 'user-request' })
  await fleet.stop()
})

test('a request is refused with everything that is wrong with it, and nothing is made', async () => {
  const fleet = await readyFleet({
    connections: { s1: [{ id: 1 }, { id: 'pinned', mobility: 'pinned' }, { id: 'careful', mobility: 'failure-only' }], s2: [{ id: 'b' }] },
  })
  const problems = async (request: unknown) => {
    const error = await refusal(fleet, fleet.pintail.migrations.create(request as never))
    expect(error.code).toBe('invalid_argument')
    return error.problems.map(({ path, message }) => `${path}: ${message}`)
  }
  expect(await problems({ serverId: 's9', toServerId: 'nowhere', reason: 'boredom', notes: 'x'.repeat(2001), autoApprove: 'yes' })).toEqual(
    [
      'autoApprove: must be true or false',
      expect.stringContaining('reason: must be one of server-down'),
      'notes: must be a string of at most 2000 characters',
      'serverId: there is no server s9',
      'toServerId: there is no server nowhere',
    ],
  )
  expect(await problems({ serverId: 's1', toServerId: 's1', connectionIds: ['1', 'b', 'ghost', 'pinned', 'careful'] })).toEqual([
    'toServerId: s1 is the server to be left itself',
    'connectionIds: not on s1: b, ghost',
    'connectionIds: not to be moved for manual by their mobility: pinned, careful',
  ])
  expect(await problems({ serverId: 's1', connectionIds: [] })).toEqual(['connectionIds: must be a list of 1 to 100000 ids'])
  expect(await problems({ serverId: 's1', connectionIds: ['1', null] })).toEqual(['connectionIds.1: is no id'])
  expect(await problems({ serverId: 's1', triggeredBy: 'user', reason: 'manual' })).toHaveLength(2)
  expect(await problems({ serverId: {} })).toHaveLength(1)
  for (const nonsense of [null, undefined, 7, 's1', []]) expect((await problems(nonsense)).length).toBeGreaterThan(0)
  const spiteful = Object.defineProperty({}, 'serverId', {
    enumerable: true,
    get() {
      throw new Error('boo')
    },
  })
  expect(await problems(spiteful)).toContainEqual(expect.stringContaining('boo'))
  expect(fleet.pintail.status().evacuations).toEqual([])
  // "1" and 1 are one connection.
  expect((await create(fleet, { connectionIds: [1, '1'] })).connectionCountAtStart).toBe(1)
  await fleet.stop()
})

test('a target that is none now is refused with its reason', async () => {
  const rows = [1, 2, 3, 4, 5, 6, 7, 8].map((index) => ({
    id: `s${index}`,
    host: `10.0.0.${index}`,
    capacity: index === 4 ? 4 : 100,
    status: index === 5 ? ('maintenance' as const) : ('online' as const),
  }))
  const fleet = await readyFleet({ servers: rows, policy: { mode: 'observe' } })
  await fleet.pintail.cordon('s2')
  fleet.kill('s3')
  await fleet.advance(20_000)
  const why = async (toServerId: string) => {
    const { message, remedy, problems } = await refusal(fleet, fleet.pintail.migrations.create({ serverId: 's1', toServerId }))
    expect(problems).toHaveLength(1)
    expect(problems[0]?.remedy).toContain('none: then the plan chooses')
    expect(remedy).toBeDefined()
    return message
  }
  expect(await why('s2')).toContain('(cordoned)')
  expect(await why('s3')).toContain('(down)')
  expect(await why('s4')).toContain('(full)')
  expect(await why('s5')).toContain('(maintenance)')
  await fleet.stop()
})

test('a plan that places nobody is refused with the counts of why, and no empty evacuation is made', async () => {
  const rows = [1, 2, 3].map((index) => ({ id: `s${index}`, host: `10.0.0.${index}`, capacity: index === 2 ? 4 : 100 }))
  const fleet = await readyFleet({ servers: rows })
  await fleet.pintail.cordon('s3')
  const error = await refusal(fleet, fleet.pintail.migrations.create({ serverId: 's1' }))
  expect(error.code).toBe('nothing_to_move')
  expect(error.message).toContain('4 no_candidate')
  expect(error.message).toContain('1 cordoned')
  expect(error.message).toContain('1 full')
  for (const id of ['s1-c1', 's1-c2', 's1-c3', 's1-c4']) fleet.registry.unassign(id)
  expect((await refusal(fleet, fleet.pintail.migrations.create({ serverId: 's1' }))).message).toBe('nobody is on s1')
  expect(await fleet.pintail.evacuations.list()).toEqual([])
  await fleet.stop()
})

test('a request by hand obeys pauses and the fingerprint of the plan that was looked at', async () => {
  const fleet = await readyFleet()
  const plan = await ask(fleet, fleet.pintail.plan({ drain: ['s1'], to: 's2' }))
  const request = { serverId: 's1', toServerId: 's2', fingerprint: plan.fingerprint }
  await fleet.pintail.pause({ serverId: 's1' })
  expect(await refusal(fleet, fleet.pintail.migrations.create(request))).toMatchObject({ code: 'guard_denied' })
  await fleet.pintail.resume({ serverId: 's1' })
  expect(await refusal(fleet, fleet.pintail.migrations.create({ ...request, toServerId: 's3' }))).toMatchObject({ code: 'plan_stale' })
  expect((await ask(fleet, fleet.pintail.migrations.create(request))).toServerId).toBe('s2')
  await fleet.stop()
})

test('an optional reason obeys the cooldown, manual does not', async () => {
  const fleet = await readyFleet()
  await create(fleet, { connectionIds: ['s1-c1'], autoApprove: true })
  await fleet.advance(30_000)
  const again = await refusal(fleet, fleet.pintail.migrations.create({ serverId: 's1', reason: 'rebalancing' }))
  expect(again).toMatchObject({ code: 'guard_denied', message: expect.stringContaining('cooldown') })
  expect((await create(fleet, { reason: 'manual' })).status).toBe('suggested')
  await fleet.stop()
})

test('of two requests for one server at once one wins, and the other is told which', async () => {
  const fleet = await readyFleet()
  const ids = ['s1-c1', 's1-c2']
  const both = Promise.allSettled(ids.map((id) => fleet.pintail.migrations.create({ serverId: 's1', connectionIds: [id] })))
  const [first, second] = await ask(fleet, both)
  if (first?.status !== 'fulfilled' || second?.status !== 'rejected') throw new Error('expected one to win')
  expect(second.reason).toMatchObject({ code: 'guard_denied', message: expect.stringContaining(first.value.evacuationId) })
  expect(fleet.pintail.status().evacuations).toHaveLength(1)
  await fleet.stop()
})

// ----------------------------------------------------------------------------------------------------------- schedule

test('a scheduled time is kept over a restart, shown in the record, told when it changes, and waited for', async () => {
  const fleet = await readyFleet()
  const { id } = await create(fleet, { toServerId: 's2' })
  const at = fleet.clock.now() + 3_600_000
  expect(await ask(fleet, fleet.pintail.migrations.schedule(id, { at }))).toMatchObject({ status: 'scheduled', notBefore: at })
  expect(told(fleet, 'migration.rescheduled').map(({ data }) => data)).toEqual([{ id, notBefore: at }])
  expect(fleet.pintail.status().servers.find(({ serverId }) => serverId === 's2')?.reserved).toBe(4)
  const next = await fleet.crash()
  await next.advance(100_000)
  expect(await next.pintail.migrations.get(id)).toMatchObject({ status: 'scheduled', notBefore: at })
  const sooner = next.clock.now() + 600_000
  expect(await ask(next, next.pintail.migrations.schedule(id, { at: sooner }))).toMatchObject({ notBefore: sooner })
  expect(told(next, 'evacuation.approved')).toEqual([])
  await next.advance(598_000)
  expect(homes(next)).toEqual([4, 4, 4, 4, 4, 4])
  await next.advance(5000)
  expect(homes(next)).toEqual([0, 8, 4, 4, 4, 4])
  expect(next.pintail.status().servers.every(({ reserved }) => reserved <= 4)).toBe(true)
  await next.stop()
})

test('a time is refused that is more than a minute ago, more than a year ahead, or none at all', async () => {
  const fleet = await readyFleet()
  const { id } = await create(fleet, { toServerId: 's2' })
  const now = fleet.clock.now()
  for (const at of [now - 61_000, now + 366 * 86_400_000, Number.NaN, 'tomorrow', {}])
    expect(await refusal(fleet, fleet.pintail.migrations.schedule(id, { at: at as never }))).toMatchObject({ code: 'invalid_argument' })
  expect((await fleet.pintail.migrations.get(id)).status).toBe('suggested')
  await ask(fleet, fleet.pintail.migrations.schedule(id, { at: now - 1000 }))
  await fleet.advance(10_000)
  expect((await fleet.pintail.migrations.get(id)).status).toBe('completed')
  await fleet.stop()
})

// -------------------------------------------------------------------------------------------------------------- retry

/** A fleet whose target refuses prepare until it is mended. */
async function failedFleet(): Promise<{ fleet: Fleet; failed: Migration; mend: () => void }> {
  let broken = true
  const fleet = await readyFleet({
    policy: { mode: 'suggest', migration: { maxRetries: 0, retryUnplacedMs: 600_000 } },
    replace: ({ mover, clock }) => ({
      mover: {
        ...mover,
        move: async (move, ctx) => {
          await new Promise<void>((resolve) => clock.setTimeout(resolve, 1000))
          await mover.move(move, ctx)
        },
        prepare: async () => {
          if (broken) throw new PintailError('rejected', 'read-only')
        },
      },
    }),
  })
  const failed = await create(fleet, { toServerId: 's2', autoApprove: true, notes: 'for the night' })
  await fleet.advance(5000)
  expect(await fleet.pintail.migrations.get(failed.id)).toMatchObject({ status: 'failed' })
  return {
    fleet,
    failed,
    mend: () => {
      broken = false
    },
  }
}

test('a retry is a new record of the same move, running, for those who are still there', async () => {
  const { fleet, failed, mend } = await failedFleet()
  const running = await refusal(fleet, fleet.pintail.migrations.retry(failed.id))
  expect(running).toMatchObject({ code: 'illegal_transition', message: expect.stringContaining(failed.evacuationId) })
  await ask(fleet, fleet.pintail.evacuations.cancel(failed.evacuationId))
  await fleet.advance(2000)
  fleet.registry.unassign('s1-c4')
  mend()
  const again = await ask(fleet, fleet.pintail.migrations.retry(failed.id))
  expect(again).toMatchObject({
    retryOf: failed.id,
    status: 'scheduled',
    fromServerId: 's1',
    toServerId: 's2',
    triggeredBy: 'admin',
    notes: 'for the night',
    connectionCountAtStart: 3,
  })
  const twice = await refusal(fleet, fleet.pintail.migrations.retry(failed.id))
  expect(twice).toMatchObject({ code: 'illegal_transition', message: expect.stringContaining(again.evacuationId) })
  await fleet.advance(10_000)
  expect(fleet.registry.on('s2')).toHaveLength(7)
  expect(await refusal(fleet, fleet.pintail.migrations.retry(failed.id))).toMatchObject({ code: 'nothing_to_move' })
  expect(await refusal(fleet, fleet.pintail.migrations.retry(again.id))).toMatchObject({ code: 'illegal_transition' })
  await fleet.stop()
})

test('a retry whose target is none any more says why, and that one can be created without a target', async () => {
  const { fleet, failed, mend } = await failedFleet()
  await ask(fleet, fleet.pintail.evacuations.cancel(failed.evacuationId))
  await fleet.advance(2000)
  mend()
  await fleet.pintail.cordon('s2')
  expect(await refusal(fleet, fleet.pintail.migrations.retry(failed.id))).toMatchObject({
    code: 'illegal_transition',
    message: expect.stringContaining('(cordoned)'),
    remedy: expect.stringContaining('without a target'),
  })
  await fleet.stop()
})

test('a cancelled migration can be retried, within the cooldown too, and of two retries at once one wins', async () => {
  const fleet = await readyFleet({
    policy: { mode: 'suggest', migration: { concurrency: 1 } },
    replace: ({ mover, clock }) => ({
      mover: {
        ...mover,
        move: async (move, ctx) => {
          await new Promise<void>((resolve) => clock.setTimeout(resolve, 3000))
          await mover.move(move, ctx)
        },
      },
    }),
  })
  const stopped = await create(fleet, { toServerId: 's2', autoApprove: true, reason: 'maintenance' })
  await fleet.advance(4000)
  await ask(fleet, fleet.pintail.evacuations.cancel(stopped.evacuationId))
  await fleet.advance(10_000)
  const left = fleet.registry.on('s1').length
  expect(left).toBeGreaterThan(0)
  expect(left).toBeLessThan(4)
  const retries = [1, 2].map(() => fleet.pintail.migrations.retry(stopped.id))
  const results = await ask(fleet, Promise.allSettled(retries))
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
  await fleet.advance(60_000)
  expect(homes(fleet)).toEqual([0, 8, 4, 4, 4, 4])
  await fleet.stop()
})

// -------------------------------------------------------------------------------------------------------------- pauses

/** Two migrations of one evacuation under way, one move at a time each. */
async function twoRunning(): Promise<{ fleet: Fleet; one: Migration; other: Migration }> {
  const fleet = await readyFleet({
    servers: 3,
    connections: 12,
    policy: { mode: 'auto', migration: { concurrency: 2, concurrencyPerTarget: 1 } },
    replace: ({ mover, clock }) => ({
      mover: {
        ...mover,
        move: async (move, ctx) => {
          await new Promise<void>((resolve) => clock.setTimeout(resolve, 1000))
          await mover.move(move, ctx)
        },
      },
    }),
  })
  await create(fleet, { autoApprove: true })
  await fleet.advance(1500)
  const [one, other] = fleet.pintail.status().migrations
  if (!one || !other) throw new Error('expected two migrations')
  return { fleet, one, other }
}

test('a paused migration finishes what is in flight, starts nothing more, holds its places, and the others go on', async () => {
  const { fleet, one, other } = await twoRunning()
  await fleet.pintail.pause({ migrationId: one.id }, { reason: 'look at it' })
  expect(fleet.pintail.status().pauses).toEqual([{ scope: { migrationId: one.id }, reason: 'look at it', until: null }])
  await fleet.advance(60_000)
  const paused = fleet.pintail.status().migrations.find(({ id }) => id === one.id)
  expect(paused).toMatchObject({ status: 'transferring' })
  expect(paused?.connectionsMoved).toBeLessThan(6)
  expect((await fleet.pintail.migrations.get(other.id)).status).toBe('completed')
  const held = fleet.pintail.status().servers.find(({ serverId }) => serverId === one.toServerId)?.reserved
  expect(held).toBe((paused?.connectionCountAtStart ?? 0) - (paused?.connectionsMoved ?? 0))
  const next = await fleet.crash()
  await next.advance(100_000)
  expect(next.registry.on('s1').length).toBeGreaterThan(0)
  await next.pintail.resume({ migrationId: one.id })
  await next.advance(60_000)
  expect(next.registry.on('s1')).toEqual([])
  expect(next.pintail.status().pauses).toEqual([])
  await next.stop()
})

test('a paused evacuation can be cancelled, and its pause is forgotten with it', async () => {
  const { fleet, one, other } = await twoRunning()
  await fleet.pintail.pause({ evacuationId: one.evacuationId })
  await fleet.pintail.pause({ migrationId: other.id })
  await fleet.advance(30_000)
  const left = fleet.registry.on('s1').length
  expect(left).toBeGreaterThan(0)
  await ask(fleet, fleet.pintail.evacuations.cancel(one.evacuationId))
  await fleet.advance(10_000)
  expect((await fleet.pintail.evacuations.get(one.evacuationId)).status).toBe('cancelled')
  expect(fleet.registry.on('s1')).toHaveLength(left)
  expect(fleet.pintail.status().pauses).toEqual([])
  const kept = await fleet.store.list('word', {}, { signal: new AbortController().signal })
  expect(kept).toEqual([])
  expect(told(fleet, 'pause.lifted').map(({ data }) => data.scope)).toEqual([{ migrationId: other.id }, { evacuationId: one.evacuationId }])
  await fleet.stop()
})

test('a pause of what does not exist or has ended is refused and says which, and so is the resume', async () => {
  const fleet = await readyFleet()
  const { id, evacuationId } = await create(fleet, { toServerId: 's2' })
  await ask(fleet, fleet.pintail.evacuations.cancel(evacuationId))
  await fleet.advance(5000)
  const cases = [
    [{ serverId: 'nobody' }, 'there is no server'],
    [{ evacuationId: 'nothing' }, 'there is no evacuation'],
    [{ migrationId: evacuationId }, 'there is no migration'],
    [{ evacuationId }, 'has ended: it is cancelled'],
    [{ migrationId: id }, 'has ended: it is cancelled'],
  ] as const
  for (const [scope, text] of cases)
    for (const call of [fleet.pintail.pause, fleet.pintail.resume])
      expect(await refusal(fleet, call.call(fleet.pintail, scope))).toMatchObject({
        code: 'not_found',
        message: expect.stringContaining(text),
      })
  for (const scope of [{}, null, 7, 'everything', { serverId: {} }, { serverId: 's1', migrationId: id }, { userId: 'u1' }])
    expect(await refusal(fleet, fleet.pintail.pause(scope as never)), JSON.stringify(scope)).toMatchObject({ code: 'invalid_argument' })
  // Nothing is paused: to resume it changes nothing.
  await fleet.pintail.resume({ serverId: 's1' })
  await fleet.pintail.resume()
  expect(told(fleet, 'pause.lifted')).toEqual([])
  await fleet.stop()
})

// -------------------------------------------------------------------------------------------------- every state × call

type State = 'suggested' | 'scheduled' | 'preparing' | 'transferring' | 'completing' | 'completed' | 'failed' | 'cancelled' | 'cancelling'
const calls = ['approve', 'schedule', 'cancel', 'retry', 'delete'] as const

/** A migration in this state, at rest or held there by a mover that does not answer, and its evacuation over where the state is terminal. */
async function inState(state: State): Promise<{ fleet: Fleet; id: string }> {
  let hang = state === 'preparing' ? 'prepare' : state === 'transferring' || state === 'cancelling' ? 'move' : ''
  const never = () => new Promise<void>(() => {})
  const fleet = await readyFleet({
    policy: { mode: 'suggest', migration: { timeoutMs: 3_600_000, maxRetries: 0, retryUnplacedMs: 86_400_000 } },
    replace: ({ mover, store }) => ({
      mover: {
        ...mover,
        prepare: async () => {
          if (hang === 'prepare') await never()
          if (state === 'failed') throw new PintailError('rejected', 'read-only')
        },
        move: (move, ctx) => (hang === 'move' ? never() : mover.move(move, ctx)),
      },
      // The write stalls, so that it stays there.
      store: {
        ...store,
        commit: async (batch, ctx) => {
          const completes = batch.writes.some(({ kind, value }) => kind === 'migration' && value?.status === 'completing')
          if (state === 'completing' && completes) hang = 'store'
          if (hang === 'store') await never()
          return store.commit(batch, ctx)
        },
      },
    }),
  })
  const { id, evacuationId } = await create(fleet, { toServerId: 's2' })
  if (state === 'suggested') return { fleet, id }
  if (state === 'scheduled') await ask(fleet, fleet.pintail.migrations.schedule(id, { at: fleet.clock.now() + 86_400_000 }))
  else if (state === 'cancelled') await ask(fleet, fleet.pintail.evacuations.cancel(evacuationId))
  else await ask(fleet, fleet.pintail.migrations.approve(id))
  await fleet.advance(2000)
  if (state === 'cancelling') await ask(fleet, fleet.pintail.migrations.cancel(id))
  if (state === 'failed') await ask(fleet, fleet.pintail.evacuations.cancel(evacuationId))
  await fleet.advance(2000)
  return { fleet, id }
}

const allowed: Readonly<Record<State, readonly (typeof calls)[number][]>> = {
  suggested: ['approve', 'schedule', 'cancel'],
  scheduled: ['schedule', 'cancel'],
  preparing: ['cancel'],
  transferring: ['cancel'],
  completing: [],
  completed: ['delete'],
  failed: ['retry', 'delete'],
  cancelled: ['retry', 'delete'],
  cancelling: [],
}

test.each(Object.keys(allowed) as State[])(
  'a %s migration takes what its state allows, and refuses the rest with what that is',
  async (state) => {
    for (const call of calls) {
      const { fleet, id } = await inState(state)
      const shown = await fleet.pintail.migrations.get(id)
      expect(shown.status).toBe(state === 'cancelling' ? 'transferring' : state)
      if (allowed[state].includes(call)) {
        const answer = await ask<unknown>(fleet, fleet.pintail.migrations[call](id))
        if (call !== 'delete') expect(answer).toMatchObject({ fromServerId: 's1', toServerId: 's2' })
        else expect(await refusal(fleet, fleet.pintail.migrations.get(id))).toMatchObject({ code: 'not_found' })
        // The same once more: only a time may be set again and again.
        if (call !== 'schedule') {
          const twice = await refusal(fleet, fleet.pintail.migrations[call](id))
          // A retry has moved everybody by then, or still runs.
          const codes = {
            delete: /not_found/,
            retry: /nothing_to_move|illegal_transition/,
            approve: /illegal_transition/,
            cancel: /illegal_transition/,
          }
          expect(twice.code, `${state} ${call} twice`).toMatch(codes[call])
          expect(twice.remedy).toMatch(/\w/)
        }
      } else {
        const error = await refusal(fleet, fleet.pintail.migrations[call](id))
        expect(error.code, `${state} ${call}`).toBe('illegal_transition')
        const remedy = allowed[state].length > 0 ? `Allowed now: ${allowed[state].join(', ')}.` : 'It is about to end by itself.'
        expect(error.remedy, `${state} ${call}`).toBe(remedy)
      }
      void fleet.pintail.stop({ timeoutMs: 0 })
      await fleet.advance(1)
    }
  },
)

test('of two calls at once of one migration only one is heard, and the engine goes on leading', async () => {
  for (const call of ['approve', 'cancel', 'delete'] as const) {
    const { fleet, id } = await inState(call === 'delete' ? 'cancelled' : 'suggested')
    const results = await ask(fleet, Promise.allSettled([fleet.pintail.migrations[call](id), fleet.pintail.migrations[call](id)]))
    expect(results.map(({ status }) => status).sort(), call).toEqual(['fulfilled', 'rejected'])
    await fleet.advance(5000)
    expect(told(fleet, 'leader.lost')).toEqual([])
    expect(fleet.pintail.status().state).toBe('leading')
    await fleet.stop()
  }
})

test('an unknown id, an id of something else, and what is no id at all are refused by name by every call', async () => {
  const fleet = await readyFleet()
  const { id, evacuationId } = await create(fleet, {})
  const odd = [Symbol('x'), Object.create(null), null, undefined, 7, '', '\0', 'x'.repeat(10_000), { toString: null }]
  const { migrations, evacuations, incidents } = fleet.pintail
  for (const bad of [...odd, 'unknown', evacuationId] as never[]) {
    for (const call of [...calls, 'get'] as const)
      expect(await refusal(fleet, migrations[call](bad)), call).toMatchObject({ code: 'not_found' })
  }
  for (const bad of [...odd, 'unknown', id] as never[]) {
    for (const call of ['get', 'approve', 'cancel'] as const)
      expect(await refusal(fleet, evacuations[call](bad)), call).toMatchObject({ code: 'not_found' })
    for (const call of ['get', 'acknowledge', 'overrideGuard'] as const)
      expect(await refusal(fleet, incidents[call](bad)), call).toMatchObject({ code: 'not_found' })
    expect(await refusal(fleet, fleet.pintail.decision(bad))).toMatchObject({ code: 'not_found' })
  }
  await fleet.stop()
})

test('approve and cancel of an evacuation in a wrong state, or twice, are refused with what is so', async () => {
  const fleet = await readyFleet()
  const { evacuationId } = await create(fleet, {})
  await ask(fleet, fleet.pintail.evacuations.cancel(evacuationId))
  await fleet.advance(5000)
  for (const call of ['approve', 'cancel'] as const)
    expect(await refusal(fleet, fleet.pintail.evacuations[call](evacuationId))).toMatchObject({
      code: 'illegal_transition',
      message: expect.stringContaining('is cancelled'),
      remedy: expect.stringContaining('has ended'),
    })
  await fleet.stop()
})

// ---------------------------------------------------------------------------------------------------------- cancelling

test('cancelAll stops everything that runs or waits for approval, and says what', async () => {
  const { fleet, one } = await twoRunning()
  const proposed = await ask(fleet, fleet.pintail.migrations.create({ serverId: 's2', connectionIds: ['s2-c1'] }))
  const stopped = await ask(fleet, fleet.pintail.evacuations.cancelAll())
  expect(stopped.map(({ id }) => id)).toEqual([one.evacuationId, proposed.evacuationId])
  await fleet.advance(3000)
  const left = fleet.registry.on('s1').length
  await fleet.advance(60_000)
  expect(left).toBeGreaterThan(0)
  expect(fleet.registry.on('s1')).toHaveLength(left)
  expect(fleet.pintail.status()).toMatchObject({ evacuations: [], migrations: [] })
  expect(await ask(fleet, fleet.pintail.evacuations.cancelAll())).toEqual([])
  await fleet.stop()
})

test('a migration that was cancelled while it ran stays cancelled over a crash, and what was under way is settled', async () => {
  const { fleet, one, other } = await twoRunning()
  await fleet.pintail.migrations.cancel(one.id)
  expect((await fleet.pintail.migrations.get(one.id)).cancelledWhy).toBe('cancelled by an operator')
  const next = await fleet.crash()
  await next.advance(120_000)
  const cancelled = await next.pintail.migrations.get(one.id)
  expect(cancelled).toMatchObject({ status: 'cancelled', errorMessage: 'cancelled by an operator' })
  expect(cancelled.connectionsMoved).toBeLessThan(cancelled.connectionCountAtStart)
  expect((await next.pintail.migrations.get(other.id)).status).toBe('completed')
  expect(next.registry.on('s1')).toHaveLength(cancelled.connectionCountAtStart - cancelled.connectionsMoved)
  expect(next.pintail.status().servers.every(({ reserved }) => reserved === 0)).toBe(true)
  await next.stop()
})

test('a paused evacuation plans nobody anew until it is resumed', async () => {
  const fleet = await createFleet({ servers: 3, connections: 10, capacity: 10, policy: { mode: 'auto' } })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(30_000)
  const [evacuation] = fleet.pintail.status().evacuations
  expect(evacuation?.unplaced).toHaveLength(10)
  await fleet.pintail.pause({ evacuationId: evacuation?.id ?? '' })
  fleet.registry.putServer({ id: 's2', host: '10.0.0.1', capacity: 100 })
  await fleet.advance(120_000)
  expect(told(fleet, 'migration.created')).toEqual([])
  await fleet.pintail.resume({ evacuationId: evacuation?.id ?? '' })
  await fleet.advance(60_000)
  expect(fleet.registry.on('s2')).toHaveLength(20)
  await fleet.stop()
})

test('a cancellation that meets a migration on its way back to wait for a retry ends it at once', async () => {
  let stall = true
  const fleet = await readyFleet({
    policy: { mode: 'suggest', migration: { backoffMs: 600_000, backoffMaxMs: 600_000 } },
    replace: ({ mover, store, clock }) => ({
      mover: {
        ...mover,
        prepare: async () => {
          throw new Error('busy')
        },
      },
      store: {
        ...store,
        commit: async (batch, ctx) => {
          const retries = batch.writes.some(
            ({ kind, value }) => kind === 'migration' && value?.status === 'scheduled' && value.retryCount > 0,
          )
          if (retries && stall) await new Promise<void>((resolve) => clock.setTimeout(resolve, 3000))
          if (retries) stall = false
          return store.commit(batch, ctx)
        },
      },
    }),
  })
  const { id } = await create(fleet, { toServerId: 's2', autoApprove: true })
  await fleet.advance(1000)
  expect(await fleet.pintail.migrations.get(id)).toMatchObject({ status: 'scheduled', retryCount: 1 })
  const cancelling = fleet.pintail.migrations.cancel(id)
  await fleet.advance(10_000)
  expect(await cancelling).toMatchObject({ cancelledWhy: 'cancelled by an operator' })
  expect(await fleet.pintail.migrations.get(id)).toMatchObject({ status: 'cancelled' })
  await fleet.stop()
})
