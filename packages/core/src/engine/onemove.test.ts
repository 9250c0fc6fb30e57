import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isTerminal } from '../decide/migration.ts'
import { isPintailError, PintailError } from '../errors.ts'
import type { PintailEvent } from '../events.ts'
import { createFleet, type Fleet, type FleetOptions, seededRandom } from '../testing/index.ts'
import type { Migration, MoveRecord } from '../vocabulary.ts'

// Two things never grab one user: a drain and a failure of its source, a person and an incident, the host and us.

const told = <T extends PintailEvent['type']>(fleet: Fleet, type: T) =>
  fleet.events.filter((event): event is Extract<PintailEvent, { type: T }> => event.type === type)

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

/** Moves take `slowMs` each, two at a time. The most moves that were open for one connection at once is counted. */
async function slowFleet(slowMs: number, options: FleetOptions = {}) {
  const open = new Map<string, number>()
  let most = 0
  const fleet = await createFleet({
    connections: 10,
    policy: { mode: 'auto', migration: { concurrency: 2 } },
    ...options,
    replace: ({ mover, clock }) => ({
      mover: {
        ...mover,
        move: async (move, ctx) => {
          const now = (open.get(move.connection.id) ?? 0) + 1
          open.set(move.connection.id, now)
          most = Math.max(most, now)
          await new Promise<void>((resolve) => clock.setTimeout(resolve, slowMs))
          await mover.move(move, ctx)
          open.set(move.connection.id, now - 1)
        },
      },
    }),
  })
  await fleet.advance(20_000)
  /** No connection has a second intent before the outcome of its first. */
  const once = () => {
    expect(most).toBe(1)
    const started = new Set<string>()
    for (const { type, data } of fleet.events) {
      if (type === 'move.started') {
        expect(started.has(data.connectionId), `${data.connectionId} twice`).toBe(false)
        started.add(data.connectionId)
      }
      if (type === 'connection.moved' || type === 'connection.move_failed' || type === 'connection.skipped')
        started.delete(data.connectionId)
    }
  }
  return { fleet, once }
}

test('a drain whose source dies is superseded: nothing more of it starts, what is under way settles, the incident moves the rest, nobody twice', async () => {
  const { fleet, once } = await slowFleet(8000)
  const drain = await ask(fleet, fleet.pintail.drain('s1'))
  await fleet.advance(1000)
  fleet.kill('s1')
  await fleet.advance(120_000)
  const [incident] = fleet.pintail.status().incidents
  const [evacuation] = (await fleet.pintail.evacuations.list()).filter(({ incidentId }) => incidentId === incident?.id)
  expect(await fleet.pintail.evacuations.get(drain.id)).toMatchObject({
    status: 'cancelled',
    cancelledWhy: `superseded by incident ${incident?.id}`,
  })
  const cancelled = told(fleet, 'migration.cancelled')
  expect(cancelled.length).toBeGreaterThan(0)
  for (const { data } of cancelled) expect(data.why).toBe(`superseded by incident ${incident?.id}`)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(told(fleet, 'connection.moved')).toHaveLength(10)
  const { moved: first } = await fleet.pintail.evacuations.get(drain.id)
  expect(first).toBeGreaterThan(0)
  expect(evacuation).toMatchObject({ status: 'completed', moved: 10 - first, unplaced: [] })
  once()
  expect(fleet.pintail.status().servers.every(({ reserved }) => reserved === 0)).toBe(true)
  await fleet.stop()
})

test('whoever is still under way in a superseded drain is left out as being moved already, and waited for', async () => {
  const { fleet, once } = await slowFleet(18_000)
  await ask(fleet, fleet.pintail.drain('s1'))
  fleet.kill('s1')
  await fleet.advance(12_000)
  const [made] = told(fleet, 'decision.made').slice(-1)
  const decision = await fleet.pintail.decision(made?.data.decisionId ?? '')
  expect(decision).toMatchObject({ reason: 'server-down', connections: 10, placed: 8, unplaced: 2 })
  const open = () => fleet.pintail.status().evacuations.find(({ reason }) => reason === 'server-down')
  expect(open()?.unplaced.map(({ code }) => code)).toEqual(['being_moved', 'being_moved'])
  expect(told(fleet, 'connection.unplaced')).toEqual([])
  await fleet.advance(200_000)
  expect(open()).toBeUndefined()
  expect(fleet.registry.on('s1')).toEqual([])
  expect(told(fleet, 'connection.moved')).toHaveLength(10)
  once()
  await fleet.stop()
})

test('a move that is under way elsewhere and fails there leaves nobody behind: the incident plans him as soon as it has settled', async () => {
  let failing = true
  const fleet = await createFleet({
    connections: { s1: [{ id: 'ann' }] },
    policy: { mode: 'auto', migration: { moveTries: 1, maxRetries: 0, retryUnplacedMs: 600_000 } },
    replace: ({ mover, clock }) => ({
      mover: {
        ...mover,
        move: async (move, ctx) => {
          if (!failing) return mover.move(move, ctx)
          await new Promise<void>((resolve) => clock.setTimeout(resolve, 15_000))
          failing = false
          throw new Error('reset')
        },
      },
    }),
  })
  await fleet.advance(20_000)
  await ask(fleet, fleet.pintail.drain('s1'))
  fleet.kill('s1')
  await fleet.advance(10_000)
  expect(fleet.pintail.status().incidents[0]?.evacuationId).not.toBeNull()
  expect(fleet.pintail.status().evacuations.map(({ unplaced }) => unplaced.map(({ code }) => code))).toContainEqual(['being_moved'])
  await fleet.advance(20_000)
  expect(fleet.registry.on('s1')).toEqual([])
  await fleet.stop()
})

test('a source that fails and recovers in the middle of a drain changes nothing where no incident acts', async () => {
  const { fleet, once } = await slowFleet(8000, { policy: { mode: 'suggest', migration: { concurrency: 2 } } })
  const drain = await ask(fleet, fleet.pintail.drain('s1'))
  await ask(fleet, fleet.pintail.evacuations.approve(drain.id))
  await fleet.advance(1000)
  fleet.kill('s1')
  await fleet.advance(13_000)
  expect(told(fleet, 'incident.opened')).toHaveLength(1)
  expect(fleet.pintail.status().evacuations.map(({ status }) => status)).toEqual(['running', 'suggested'])
  fleet.revive('s1')
  await fleet.advance(120_000)
  expect(await fleet.pintail.evacuations.get(drain.id)).toMatchObject({ status: 'completed', moved: 10 })
  expect(fleet.registry.on('s1')).toEqual([])
  once()
  await fleet.stop()
})

test('a suggested evacuation of a dead server supersedes the running drain when it is approved, not before', async () => {
  const { fleet, once } = await slowFleet(8000, { policy: { mode: 'suggest', migration: { concurrency: 2 } } })
  const drain = await ask(fleet, fleet.pintail.drain('s1'))
  await ask(fleet, fleet.pintail.evacuations.approve(drain.id))
  fleet.kill('s1')
  await fleet.advance(11_000)
  const proposed = fleet.pintail.status().evacuations.find(({ status }) => status === 'suggested')
  expect((await fleet.pintail.evacuations.get(drain.id)).cancelledWhy).toBeNull()
  await ask(fleet, fleet.pintail.evacuations.approve(proposed?.id ?? ''))
  expect((await fleet.pintail.evacuations.get(drain.id)).cancelledWhy).toContain('superseded by incident')
  const evacuations = await fleet.pintail.evacuations.list()
  await fleet.advance(120_000)
  expect(evacuations).toHaveLength(2)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(told(fleet, 'connection.moved')).toHaveLength(10)
  once()
  await fleet.stop()
})

test('an evacuation of two servers loses only the one that died to its incident', async () => {
  const { fleet, once } = await slowFleet(4000, { servers: 8 })
  await fleet.pintail.cordon('s2')
  const both = await ask(fleet, fleet.pintail.execute(await ask(fleet, fleet.pintail.plan({ drain: ['s1', 's2'] }))))
  fleet.kill('s1')
  await fleet.advance(11_000)
  expect(await fleet.pintail.evacuations.get(both.id)).toMatchObject({ fromServerIds: ['s2'], cancelledWhy: null })
  await fleet.advance(200_000)
  expect(await fleet.pintail.evacuations.get(both.id)).toMatchObject({ status: 'completed' })
  for (const id of ['s1', 's2']) expect(fleet.registry.on(id)).toEqual([])
  expect(told(fleet, 'connection.moved')).toHaveLength(20)
  once()
  await fleet.stop()
})

test('a scheduled migration that waits for its time is superseded when its source dies', async () => {
  const { fleet, once } = await slowFleet(10)
  const waiting = await ask(fleet, fleet.pintail.migrations.create({ serverId: 's1', toServerId: 's2' }))
  await ask(fleet, fleet.pintail.migrations.schedule(waiting.id, { at: fleet.clock.now() + 3_600_000 }))
  fleet.kill('s1')
  await fleet.advance(60_000)
  expect(await fleet.pintail.migrations.get(waiting.id)).toMatchObject({
    status: 'cancelled',
    errorMessage: expect.stringContaining('superseded by incident'),
  })
  expect(fleet.registry.on('s1')).toEqual([])
  once()
  await fleet.stop()
})

test('a superseded drain stays superseded over a crash at any moment, and nobody is moved twice', async () => {
  for (const wait of [8000, 8500, 9000, 9500, 10_000, 12_000, 15_000]) {
    const { fleet, once } = await slowFleet(5000)
    const drain = await ask(fleet, fleet.pintail.drain('s1'))
    fleet.kill('s1')
    await fleet.advance(wait)
    const next = await fleet.crash()
    await next.advance(300_000)
    expect(next.registry.on('s1'), `after ${wait} ms`).toEqual([])
    expect((await next.pintail.evacuations.get(drain.id)).status).toMatch(/cancelled|completed/)
    expect(next.pintail.status().evacuations).toEqual([])
    expect(next.pintail.status().migrations).toEqual([])
    expect(next.pintail.status().servers.every(({ reserved }) => reserved === 0)).toBe(true)
    once()
    await next.stop()
  }
})

test('one user of a server that is being moved elsewhere is left out of a plan, and an approval skips him', async () => {
  const { fleet, once } = await slowFleet(10_000, { policy: { mode: 'suggest' } })
  // Listed on s2 already in the host's books while the move that brings him there has not settled.
  await ask(fleet, fleet.pintail.migrations.create({ serverId: 's1', connectionIds: ['s1-c1'], toServerId: 's2', autoApprove: true }))
  await fleet.advance(500)
  fleet.registry.assign({ id: 's1-c1' }, 's2')
  const plan = await ask(fleet, fleet.pintail.plan({ drain: ['s2'], connections: ['s1-c1', 's2-c1'] }))
  expect(plan.unplaced).toMatchObject([{ connectionId: 's1-c1', code: 'being_moved' }])
  expect(plan.placements.flatMap(({ connections }) => connections.map(({ id }) => id))).toEqual(['s2-c1'])
  await expect(ask(fleet, fleet.pintail.migrations.create({ serverId: 's2', connectionIds: ['s1-c1'] }))).rejects.toMatchObject({
    code: 'nothing_to_move',
    message: expect.stringContaining('1 being_moved'),
  })
  once()
  await fleet.stop()
})

test('of two proposals for one user the second that is approved skips him', async () => {
  const { fleet, once } = await slowFleet(10_000, { servers: 8, policy: { mode: 'suggest' } })
  fleet.kill('s1')
  await fleet.advance(20_000)
  const [incident] = fleet.pintail.status().evacuations
  // The host lists one of them on another server too.
  const list = fleet.registry.listConnections.bind(fleet.registry)
  fleet.registry.listConnections = async (server, ctx) => {
    const rows = await list(server, ctx)
    return server.id === 's2' ? [...(rows as readonly { id: string }[]), { id: 's1-c1' }] : (rows as never)
  }
  const other = await ask(fleet, fleet.pintail.migrations.create({ serverId: 's2', connectionIds: ['s1-c1', 's2-c1'], toServerId: 's3' }))
  await ask(fleet, fleet.pintail.evacuations.approve(incident?.id ?? ''))
  await ask(fleet, fleet.pintail.migrations.approve(other.id))
  expect(told(fleet, 'connection.skipped').map(({ data }) => [data.migrationId, data.connectionId])).toEqual([[other.id, 's1-c1']])
  await fleet.advance(60_000)
  expect(await fleet.pintail.migrations.get(other.id)).toMatchObject({ status: 'completed', connectionsMoved: 1, connectionsSkipped: 1 })
  once()
  await fleet.stop()
})

test('a capacity that is lowered below the load in the middle: nothing more goes there, the rest is planned elsewhere', async () => {
  const rows = [1, 2, 3].map((index) => ({ id: `s${index}`, host: `10.0.0.${index}`, capacity: index === 2 ? 100 : 40 }))
  const { fleet, once } = await slowFleet(20_000 / 10, { servers: rows, connections: 20 })
  const only = await ask(fleet, fleet.pintail.migrations.create({ serverId: 's1', autoApprove: true }))
  expect(only.toServerId).toBe('s2')
  await fleet.advance(5000)
  const there = fleet.registry.on('s2').length
  expect(there).toBeGreaterThan(20)
  fleet.registry.putServer({ id: 's2', host: '10.0.0.2', capacity: 10 })
  await fleet.advance(200_000)
  // What was under way when the registry was read again settles there.
  expect(fleet.registry.on('s2').length).toBeLessThan(40)
  expect(fleet.registry.on('s3').length).toBeLessThanOrEqual(40)
  expect(fleet.registry.on('s3').length).toBeGreaterThan(20)
  expect((await fleet.pintail.migrations.get(only.id)).connectionsSkipped).toBeGreaterThan(0)
  once()
  await fleet.stop()
})

test('users whom the host deletes or moves in the middle are refused by the mover alone, and end nothing', async () => {
  const { fleet, once } = await slowFleet(1000)
  const drain = await ask(fleet, fleet.pintail.drain('s1'))
  fleet.registry.unassign('s1-c9')
  fleet.registry.assign({ id: 's1-c10' }, 's6')
  await fleet.advance(60_000)
  expect(await fleet.pintail.evacuations.get(drain.id)).toMatchObject({ status: 'completed', moved: 8, unplaced: [] })
  expect(fleet.registry.homeOf('s1-c9')).toBeNull()
  expect(fleet.registry.homeOf('s1-c10')).toBe('s6')
  const failed = told(fleet, 'connection.move_failed').map(({ data }) => [data.connectionId, data.permanent])
  expect(failed.sort()).toEqual([
    ['s1-c10', true],
    ['s1-c9', true],
  ])
  once()
  await fleet.stop()
})

const happening = fc.record({
  do: fc.constantFrom(
    ...(['kill', 'kill', 'revive', 'drain', 'drain', 'create', 'create', 'schedule', 'approve', 'cancel', 'retry', 'cancelAll'] as const),
    ...(['pauseEvacuation', 'pauseMigration', 'resume', 'crash', 'lower', 'delete'] as const),
  ),
  server: fc.integer({ min: 1, max: 5 }),
  part: fc.integer({ min: 0, max: 3 }),
  waitMs: fc.integer({ min: 0, max: 15_000 }),
})

/** What a person or the world does; what is refused for a reason of ours is no matter here, and everything else is. */
async function happen(fleet: Fleet, one: { do: string; server: number; part: number }): Promise<Fleet> {
  const { pintail, registry } = fleet
  const serverId = `s${one.server}`
  const { evacuations, migrations } = pintail.status()
  const evacuationId = evacuations[one.part]?.id ?? ''
  const migrationId = migrations[one.part]?.id ?? ''
  const ended = (await pintail.migrations.list({ status: ['failed', 'cancelled'] })).migrations[one.part]?.id ?? ''
  const calls: Record<string, () => Promise<unknown> | undefined> = {
    kill: () => void fleet.kill(serverId),
    revive: () => void fleet.revive(serverId),
    drain: () => pintail.drain(serverId),
    create: () => pintail.migrations.create({ serverId, connectionIds: registry.on(serverId).slice(0, 2), autoApprove: one.part > 1 }),
    schedule: () => pintail.migrations.schedule(migrationId, { at: fleet.clock.now() + one.part * 10_000 }),
    approve: () => pintail.evacuations.approve(evacuationId),
    cancel: () => (one.part > 1 ? pintail.migrations.cancel(migrationId) : pintail.evacuations.cancel(evacuationId)),
    retry: () => pintail.migrations.retry(ended),
    cancelAll: () => pintail.evacuations.cancelAll(),
    pauseEvacuation: () => pintail.pause({ evacuationId }, { forMs: 30_000 }),
    pauseMigration: () => pintail.pause({ migrationId }),
    resume: () => Promise.all(pintail.status().pauses.map(({ scope }) => pintail.resume(scope))),
    lower: () => void registry.putServer({ id: serverId, host: `10.0.0.${one.server - 1}`, capacity: 20 }),
    delete: () => void registry.unassign(registry.on(serverId)[0] ?? ''),
  }
  if (one.do === 'crash') {
    const next = await fleet.crash()
    await next.advance(40_000)
    return next
  }
  const called = calls[one.do]?.()
  const settled = called?.catch((error: unknown) => {
    if (!isPintailError(error) || ['internal', 'conflict', 'fenced'].includes(error.code)) throw error
  })
  await fleet.advance(100)
  await settled
  return fleet
}

test('whatever persons, failures and crashes come together: no user is in two open moves, nothing is stuck, the books follow from each other', async () => {
  const seen = new Set<string>()
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.constantFrom('auto' as const, 'suggest' as const),
      fc.array(happening, { minLength: 2, maxLength: 8 }),
      async (seed, mode, story) => {
        const random = seededRandom(seed)
        const ctx = { signal: new AbortController().signal }
        let fleet = await createFleet({
          servers: 5,
          connections: 6,
          capacity: 40,
          seed,
          policy: { mode, guards: { massFailureRatio: 0.5 }, migration: { concurrency: 3, timeoutMs: 6000, cooldownMs: 1 } },
          replace: ({ mover, clock }) => ({
            mover: {
              ...mover,
              move: async (move, callCtx) => {
                await new Promise<void>((resolve) => clock.setTimeout(resolve, Math.floor(random() * 5000)))
                if (random() < 0.1) throw new PintailError('unavailable', '503')
                await mover.move(move, callCtx)
                if (random() < 0.1) throw new Error('reset after the effect')
              },
            },
          }),
        })
        await fleet.advance(15_000)
        const check = async () => {
          const open = new Map<string, string>()
          for (const { id, status } of (await fleet.store.list('migration', {}, ctx)) as readonly Migration[]) {
            if (status === 'suggested' || isTerminal(status)) continue
            for (const { connection, state } of (await fleet.store.list('move', { migrationId: id }, ctx)) as readonly MoveRecord[]) {
              if (state.state !== 'pending' && state.state !== 'moving') continue
              expect(open.get(connection.id), `${connection.id} is in two open moves`).toBeUndefined()
              open.set(connection.id, id)
            }
          }
        }
        for (const one of story) {
          fleet = await happen(fleet, one)
          for (let part = 0; part < 3; part++) {
            await fleet.advance(one.waitMs / 3)
            await check()
          }
          for (const { cancelledWhy } of await fleet.pintail.evacuations.list())
            if (cancelledWhy) seen.add(cancelledWhy.split(' ')[0] ?? '')
        }
        for (const { scope } of fleet.pintail.status().pauses) await fleet.pintail.resume(scope)
        await fleet.advance(300_000)
        await check()
        // A write that does not follow from the last one would have cost the lead.
        expect(fleet.events.filter(({ type }) => type === 'leader.lost')).toEqual([])
        for (const { status } of fleet.pintail.status().migrations) expect(['suggested', 'scheduled', 'transferring']).toContain(status)
        const { pauses, servers, migrations } = fleet.pintail.status()
        expect(pauses).toEqual([])
        if (migrations.length === 0) expect(servers.every(({ reserved }) => reserved === 0)).toBe(true)
        await fleet.stop()
      },
    ),
    { seed: 20260110, numRuns: 300 },
  )
  expect(seen).toContain('superseded')
}, 600_000)
