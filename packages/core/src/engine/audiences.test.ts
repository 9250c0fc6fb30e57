import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ObservationSource, SampleInput } from '../ports.ts'
import { createFleet, type Fleet, type FleetOptions, judgeJournal } from '../testing/index.ts'
import type { PolicyInput } from '../vocabulary.ts'

/** What a vantage elsewhere sees: everything but what it is told it does not. */
interface Eyes {
  readonly blocked: Set<string>
  /** Sends nothing at all. */
  silent: boolean
  /** Reaches nothing at all. */
  lost: boolean
}

const region = (server: string, many: number, where: string | null) =>
  Array.from({ length: many }, (_, index) => ({ id: `${server}-${where}-${index + 1}`, region: where }))

const ids = ['s1', 's2', 's3', 's4', 's5', 's6']
const regions = { 'teh-1': 'ir', 'teh-2': 'ir', 'fra-1': null } as const

/** Six servers with users in two regions and in none that is known, and vantages that look every two seconds. */
async function world(
  names: readonly (keyof typeof regions)[],
  { slowMoves = 0, waitMs = null, ...options }: FleetOptions & { slowMoves?: number; waitMs?: number | null } = {},
) {
  const eyesOf = new Map<string, Eyes>(names.map((name) => [name, { blocked: new Set(), silent: false, lost: false }]))
  const queue: SampleInput[] = []
  let wake = (): void => {}
  const source: ObservationSource = {
    async *samples({ signal }) {
      while (!signal.aborted) {
        yield* queue.splice(0)
        await new Promise<void>((resolve) => {
          wake = resolve
          signal.addEventListener('abort', () => resolve(), { once: true })
        })
      }
    },
  }
  const vantages = Object.fromEntries(names.map((name) => [name, regions[name] === null ? {} : { region: regions[name] }]))
  const dead = new Set<string>()
  const fleet = await createFleet({
    servers: ids.map((id) => ({ id, host: `10.0.0.${id.slice(1)}`, capacity: 100, failureDomain: `rack-${id.slice(1)}` })),
    connections: Object.fromEntries(ids.map((id) => [id, [...region(id, 3, 'ir'), ...region(id, 2, 'de'), ...region(id, 1, null)]])),
    replace: ({ mover, clock }) => ({
      observations: source,
      mover: {
        ...mover,
        move: (move, ctx) => new Promise((resolve) => clock.setTimeout(() => resolve(mover.move(move, ctx)), slowMoves)),
      },
    }),
    ...options,
    policy: { mode: 'auto', ...options.policy, detect: { vantages, ...options.policy?.detect } },
  })
  const see = (vantage: string, serverId: string, { blocked, lost }: Eyes): void => {
    const sentAt = fleet.clock.now()
    const received = lost || blocked.has(serverId) || dead.has(serverId) ? 0 : 1
    const tell = (): void => {
      queue.push({ serverId, vantage, prober: 'icmp', sentAt, sent: 1, received, rttMs: received ? [30] : [] })
      wake()
    }
    if (received === 0 && waitMs !== null) fleet.clock.setTimeout(tell, waitMs)
    else tell()
  }
  const look = (): void => {
    // Without a wait all of them in one sweep.
    for (const [vantage, eyes] of eyesOf)
      for (const [index, serverId] of (eyes.silent ? [] : [...ids, `canary:${vantage}.example`]).entries())
        if (waitMs === null) see(vantage, serverId, eyes)
        else fleet.clock.setTimeout(() => see(vantage, serverId, eyes), index * 250)
    fleet.clock.setTimeout(look, 2000)
  }
  look()
  return {
    fleet,
    queue,
    /** From their own place. */
    see: (name: keyof typeof regions) => eyesOf.get(name) as Eyes,
    kill: (server: string) => {
      dead.add(server)
      fleet.kill(server)
    },
    revive: (server: string) => {
      dead.delete(server)
      fleet.revive(server)
    },
  }
}

async function until(fleet: Fleet, isSo: () => boolean): Promise<void> {
  for (let waited = 0; !isSo() && waited < 600; waited++) await fleet.advance(200)
  expect(isSo()).toBe(true)
}

const moved = (fleet: Fleet) => fleet.events.flatMap(({ type, data }) => (type === 'connection.moved' ? [data.connectionId as string] : []))
const on = (fleet: Fleet, server: string) => fleet.registry.on(server).map(String)
const report = (fleet: Fleet, server: string) => fleet.pintail.status().servers.find(({ serverId }) => serverId === server)
const told = <T extends Fleet['events'][number]['type']>(fleet: Fleet, type: T) =>
  fleet.events.flatMap((event) => (event.type === type ? [event.data as Extract<Fleet['events'][number], { type: T }>['data']] : []))

test('a server that is blocked for one region loses the users of that region, and stays in service for all others', async () => {
  const { fleet, see } = await world(['teh-1', 'teh-2'])
  await fleet.advance(20_000)
  for (const name of ['teh-1', 'teh-2'] as const) see(name).blocked.add('s1')
  await fleet.advance(60_000)
  expect(moved(fleet).sort()).toEqual(['s1-ir-1', 's1-ir-2', 's1-ir-3'])
  expect(told(fleet, 'server.status_set')).toEqual([])
  expect(report(fleet, 's1')?.verdict.verdict).toBe('up')
  const [ir] = report(fleet, 's1')?.audiences.filter(({ audience }) => audience === 'ir') ?? []
  expect(ir?.verdict.reasons[0].message).toMatch(
    /^down for region ir: 2 of 2 vantages \(teh-1: no answer to 1 packet; .*; teh-2: .*\); up for all other regions$/,
  )
  const [incident] = fleet.pintail.status().incidents
  expect(incident).toMatchObject({ audience: 'ir', id: ir?.incidentId, statusWrite: null })
  const decision = await fleet.pintail.decision(incident?.decisionId ?? '')
  expect(decision.verdicts[0]?.verdict.votes?.map(({ vantage, verdict }) => [vantage, verdict])).toEqual([
    ['teh-1', 'down'],
    ['teh-2', 'down'],
  ])
  expect(new Set(decision.evidence.map(({ vantage }) => vantage))).toEqual(new Set(['teh-1', 'teh-2']))
  expect(decision.control).not.toBeNull()
  await fleet.stop()
})

test('a failing check that is known when its time is up is proved by those who answered before it was sent, however many have answered since', async () => {
  const { fleet, see } = await world(['teh-1', 'teh-2'], { waitMs: 1200 })
  await fleet.advance(20_000)
  for (const name of ['teh-1', 'teh-2'] as const) see(name).blocked.add('s1')
  await fleet.advance(60_000)
  expect(moved(fleet).sort()).toEqual(['s1-ir-1', 's1-ir-2', 's1-ir-3'])
  await fleet.stop()
})

test('users of other regions still go to a server that is blocked for one region, and none of that region', async () => {
  const { fleet, see, kill } = await world(['teh-1', 'teh-2'])
  await fleet.advance(20_000)
  for (const name of ['teh-1', 'teh-2'] as const) for (const id of ['s3', 's4', 's5', 's6']) see(name).blocked.add(id)
  await fleet.advance(60_000)
  // More than the cap of the audience: held. Nobody has moved.
  expect(moved(fleet)).toEqual([])
  kill('s1')
  await fleet.advance(60_000)
  expect(on(fleet, 's1')).toEqual([])
  expect(
    ids
      .slice(2)
      .flatMap((id) => on(fleet, id))
      .filter((id) => id.startsWith('s1-ir')),
  ).toEqual([])
  expect(on(fleet, 's2').filter((id) => id.startsWith('s1-ir'))).toHaveLength(3)
  expect(
    ids
      .slice(2)
      .flatMap((id) => on(fleet, id))
      .filter((id) => id.startsWith('s1-de')).length,
  ).toBeGreaterThan(0)
  const decisions = told(fleet, 'decision.made')
  const decision = await fleet.pintail.decision(decisions.at(-1)?.decisionId ?? '')
  expect(decision.cohorts.find(({ region: whose }) => whose === 'ir')?.exclusions.down_for_audience).toBe(4)
  await fleet.stop()
})

test('a server that is down for everybody is evacuated as a whole, also of users whose region is not known', async () => {
  const { fleet, kill } = await world(['teh-1', 'teh-2'])
  await fleet.advance(20_000)
  kill('s1')
  await fleet.advance(60_000)
  expect(on(fleet, 's1')).toEqual([])
  expect(told(fleet, 'incident.opened').map(({ audience }) => audience)).toEqual([null])
  expect(told(fleet, 'server.status_set').map(({ status }) => status)).toEqual(['offline'])
  await fleet.stop()
})

test('what goes down for one region first and then for everybody is taken over, and nobody is in two open moves', async () => {
  const { fleet, see, kill, revive } = await world(['teh-1', 'teh-2'], {
    slowMoves: 4000,
    policy: { migration: { concurrency: 1, targetsPerConnection: 3 } },
  })
  await fleet.advance(20_000)
  for (const name of ['teh-1', 'teh-2'] as const) see(name).blocked.add('s1')
  await until(fleet, () => moved(fleet).length === 1)
  kill('s1')
  await fleet.advance(120_000)
  expect(on(fleet, 's1')).toEqual([])
  expect(moved(fleet)).toHaveLength(6)
  expect(new Set(moved(fleet)).size).toBe(6)
  expect(told(fleet, 'incident.opened').map(({ audience }) => audience)).toEqual(['ir', null])
  expect(told(fleet, 'incident.closed')).toMatchObject([{ audience: 'ir', advice: expect.stringContaining('superseded by incident') }])
  expect(
    judgeJournal((await fleet.store.readJournal({ after: 0, limit: 10_000 }, { signal: new AbortController().signal })).entries),
  ).toEqual([])
  // Back for all others, and still blocked for the one: an incident of that one again.
  revive('s1')
  await fleet.advance(60_000)
  expect(fleet.pintail.status().incidents.map(({ audience }) => audience)).toEqual(['ir'])
  expect(told(fleet, 'server.status_set').map(({ status }) => status)).toEqual(['offline', 'online'])
  await fleet.stop()
})

test('one vantage of a region alone decides nothing, and with a passive signal it does', async () => {
  const { fleet, see, queue } = await world(['teh-1'])
  await fleet.advance(20_000)
  see('teh-1').blocked.add('s1')
  await fleet.advance(60_000)
  expect(moved(fleet)).toEqual([])
  expect(report(fleet, 's1')?.audiences.find(({ audience }) => audience === 'ir')?.verdict).toMatchObject({
    verdict: 'suspect',
    reasons: [{ code: 'no_quorum', message: expect.stringContaining('1 of 1 say down, 2 votes are needed, or one and passive evidence') }],
  })
  queue.push({ serverId: 's1', vantage: 'teh-1', prober: 'passive:handshakes', sentAt: fleet.clock.now(), sent: 1, received: 0 })
  await fleet.advance(20_000)
  expect(moved(fleet).sort()).toEqual(['s1-ir-1', 's1-ir-2', 's1-ir-3'])
  await fleet.stop()
})

test('that a region has too few vantages to decide is told at once, and again only when it is so anew', async () => {
  const { fleet } = await world(['teh-1'])
  await fleet.advance(10_000)
  const few = () => told(fleet, 'warning').filter(({ code }) => code === 'capability_missing')
  expect(few()).toMatchObject([
    { message: expect.stringContaining('region ir has 1 vantage, and'), remedy: expect.stringContaining('another vantage in ir') },
  ])
  const both = { 'teh-1': { region: 'ir' }, 'teh-2': { region: 'ir' } }
  const change = async (detect: NonNullable<PolicyInput['detect']>) => {
    await fleet.pintail.policy.update({ detect }, { ifVersion: fleet.pintail.policy.get().version })
    await fleet.advance(10_000)
  }
  await change({ vantages: both })
  expect(few()).toHaveLength(1)
  await change({ minAudienceVantages: 3 })
  expect(few()).toHaveLength(2)
  await fleet.stop()
})

test('a vantage that loses its network moves nobody: its word does not count, and that is told', async () => {
  const { fleet, see } = await world(['teh-1', 'teh-2', 'fra-1'])
  await fleet.advance(20_000)
  for (const name of ['teh-1', 'teh-2', 'fra-1'] as const) see(name).lost = true
  await fleet.advance(600_000)
  expect(moved(fleet)).toEqual([])
  expect(told(fleet, 'incident.opened')).toEqual([])
  expect(
    told(fleet, 'vantage.lost')
      .map(({ vantage }) => vantage)
      .sort(),
  ).toEqual(['fra-1', 'teh-1', 'teh-2'])
  for (const name of ['teh-1', 'teh-2', 'fra-1'] as const) see(name).lost = false
  await fleet.advance(60_000)
  expect(moved(fleet)).toEqual([])
  expect(told(fleet, 'vantage.returned')).toHaveLength(3)
  await fleet.stop()
})

test('a vantage that falls silent abstains, and its silence is never a failure of servers', async () => {
  const { fleet, see } = await world(['teh-1', 'teh-2'])
  await fleet.advance(20_000)
  for (const name of ['teh-1', 'teh-2'] as const) see(name).silent = true
  await fleet.advance(300_000)
  expect(moved(fleet)).toEqual([])
  expect(fleet.pintail.status().vantages.map(({ name, healthy }) => [name, healthy])).toEqual([
    ['local', true],
    ['teh-1', false],
    ['teh-2', false],
  ])
  // The own vantage alone goes on as if there were no others.
  fleet.kill('s2')
  await fleet.advance(30_000)
  expect(on(fleet, 's2')).toEqual([])
  await fleet.stop()
})

test('users whose region is blocked stay away until its own vantages see the server again, and then go home', async () => {
  const failback = { strategy: 'immediate', stableMs: 20_000 } as const
  const { fleet, see } = await world(['teh-1', 'teh-2'], { policy: { failback } })
  await fleet.advance(20_000)
  for (const name of ['teh-1', 'teh-2'] as const) see(name).blocked.add('s1')
  await fleet.advance(60_000)
  expect(on(fleet, 's1')).toHaveLength(3)
  // What is silent does not say that all is well.
  for (const name of ['teh-1', 'teh-2'] as const) see(name).silent = true
  await fleet.advance(300_000)
  expect(on(fleet, 's1')).toHaveLength(3)
  expect(fleet.pintail.status().incidents).toHaveLength(1)
  for (const name of ['teh-1', 'teh-2'] as const) {
    see(name).silent = false
    see(name).blocked.clear()
  }
  await fleet.advance(2 * 3_600_000)
  expect(on(fleet, 's1').sort()).toEqual(
    [...region('s1', 3, 'ir'), ...region('s1', 2, 'de'), ...region('s1', 1, null)].map(({ id }) => id).sort(),
  )
  expect(told(fleet, 'incident.recovered').map(({ audience }) => audience)).toEqual(['ir'])
  await fleet.stop()
})

test('an operator pauses, acknowledges and overrides for one region as for everybody', async () => {
  const { fleet, see } = await world(['teh-1', 'teh-2'])
  await fleet.advance(20_000)
  for (const name of ['teh-1', 'teh-2'] as const) for (const id of ['s1', 's2', 's3']) see(name).blocked.add(id)
  await fleet.advance(60_000)
  expect(moved(fleet)).toEqual([])
  const denied = told(fleet, 'guard.denied')
  expect(denied.map(({ guard, audience, wouldHave }) => [guard, audience, wouldHave])).toContainEqual([
    'mass_failure',
    'ir',
    expect.stringMatching(/^would have moved 3 users of region ir off s\d$/),
  ])
  const of = (server: string) => fleet.pintail.status().incidents.find(({ serverId }) => serverId === server)?.id ?? ''
  await Promise.all([fleet.pintail.incidents.overrideGuard(of('s1')), fleet.advance(20_000)])
  expect(moved(fleet).sort()).toEqual(['s1-ir-1', 's1-ir-2', 's1-ir-3'])
  await Promise.all([fleet.pintail.pause({ serverId: 's2' }), fleet.advance(100)])
  await Promise.all([...['s1', 's3'].map((id) => fleet.pintail.incidents.acknowledge(of(id))), fleet.advance(20_000)])
  expect(on(fleet, 's2').filter((id) => id.includes('-ir-'))).toHaveLength(3)
  expect(on(fleet, 's3').filter((id) => id.includes('-ir-'))).toEqual([])
  await Promise.all([fleet.pintail.resume({ serverId: 's2' }), fleet.advance(20_000)])
  expect(on(fleet, 's2').filter((id) => id.includes('-ir-'))).toEqual([])
  await fleet.stop()
})

test('whatever two vantages of a region see, only users of that region are moved for it', async () => {
  const drawn = fc.record({
    first: fc.subarray(ids),
    second: fc.subarray(ids),
    again: fc.subarray(ids),
    lost: fc.boolean(),
    dead: fc.option(fc.constantFrom(...ids)),
  })
  await fc.assert(
    fc.asyncProperty(drawn, async ({ first, second, again, lost, dead }) => {
      const { fleet, see, kill } = await world(['teh-1', 'teh-2'])
      const block = (name: 'teh-1' | 'teh-2', some: readonly string[]) => {
        see(name).blocked.clear()
        for (const id of some) see(name).blocked.add(id)
      }
      await fleet.advance(15_000)
      block('teh-1', first)
      block('teh-2', second)
      await fleet.advance(30_000)
      block('teh-1', again)
      see('teh-2').lost = lost
      if (dead) kill(dead)
      await fleet.advance(40_000)
      const wronged = moved(fleet).filter((id) => !id.includes('-ir-') && !(dead && id.startsWith(dead)))
      expect(wronged).toEqual([])
      const unseen = told(fleet, 'incident.opened').filter(({ serverId, audience }) => {
        return (
          audience === 'ir' &&
          !(first.includes(serverId) && second.includes(serverId)) &&
          !(again.includes(serverId) && second.includes(serverId))
        )
      })
      expect(unseen.filter(({ serverId }) => serverId !== dead)).toEqual([])
      await fleet.stop()
    }),
    { seed: 20260214, numRuns: 60 },
  )
})
