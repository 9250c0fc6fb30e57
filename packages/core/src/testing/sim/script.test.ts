import { expect, test } from 'vitest'
import type { History, Script } from './index.ts'
import { simulate } from './index.ts'

const script = (acts: Script['acts'], more: Partial<Script> = {}): History => ({
  setup: {
    seed: 1,
    servers: ['a', 'b', 'c', 'd'].map((id, index) => ({ id, host: `10.0.0.${index + 1}`, capacity: 20 })),
    users: ['u1', 'u2', 'u3'].map((id) => ({ id, server: 'a', mobility: 'free', region: null })),
    policy: { mode: 'auto' },
    panel: { latencyMs: 50, fencing: 'none', confirmation: 'applied', has: ['complete', 'locate', 'verify', 'rollback'] },
    registry: { tellsLoad: true, setsStatus: true, mixesIds: false },
    guards: false,
    notifier: false,
    engines: 1,
    rudeListeners: false,
    troubleMs: 0,
    calmMs: 0,
  },
  steps: [],
  script: { acts, failures: [], endsMs: 120_000, ...more },
})

const typesOf = async (history: History): Promise<string[]> => (await simulate(history)).journal.map(({ type }) => type)

test('a script does what it says at its time, and heals nothing in the end', async () => {
  const { journal, moves, violations, refused } = await simulate(script([{ at: 10_000, do: 'server.dies', server: 'a' }]))
  const opened = journal.find(({ type }) => type === 'incident.opened')
  expect(opened?.data).toMatchObject({ serverId: 'a' })
  expect((opened?.at ?? 0) - (journal[0]?.at ?? 0)).toBeGreaterThan(10_000)
  expect([moves, violations, refused]).toEqual([3, [], []])
  expect(journal.some(({ type }) => type === 'incident.recovered')).toBe(false)
})

test('a script is plain JSON, and the same world each time', async () => {
  const history = script([
    { at: 10_000, do: 'operator.drains', server: 'a' },
    { at: 10_100, do: 'engine.is_killed', startsAfterMs: 5000 },
  ])
  const again = JSON.parse(JSON.stringify(history)) as History
  expect((await simulate(again)).journal).toEqual((await simulate(history)).journal)
})

test('the engine that follows a killed one finds the lease run out', async () => {
  const { journal, crashes } = await simulate(script([{ at: 10_000, do: 'engine.is_killed', startsAfterMs: 2000 }]))
  const leaders = journal.filter(({ type }) => type === 'leader.acquired').map(({ at }) => Math.round((at - (journal[0]?.at ?? 0)) / 1000))
  expect([leaders, crashes]).toEqual([[0, 12], 1])
})

test('calls fail as often and in the way that a script says', async () => {
  const failures = ['b', 'c', 'd'].flatMap((to) => [
    { user: 'u1', to, calls: 9, how: 'rejected' as const, isGivenUp: true },
    { user: 'u2', to, calls: 3, how: 'unavailable' as const, isGivenUp: false },
    { user: 'u3', to, calls: 1, how: 'unclear' as const, isGivenUp: false },
  ])
  const { journal } = await simulate(script([{ at: 10_000, do: 'server.dies', server: 'a' }], { failures }))
  const failed = journal.flatMap(({ type, data }) =>
    type === 'connection.move_failed' ? (data as { connectionId: string; permanent: boolean }) : [],
  )
  expect([...new Set(failed.flatMap(({ permanent, connectionId }) => (permanent ? connectionId : [])))]).toEqual(['u1'])
  expect(failed.some(({ permanent, connectionId }) => !permanent && connectionId === 'u2')).toBe(true)
  // One unclear call is asked about and repeated: it is no failure.
  expect(failed.some(({ connectionId }) => connectionId === 'u3')).toBe(false)
})

test('records are named by their place on a server, and operators are asked for them', async () => {
  const a = { server: 'a', nth: 0 }
  const acts: Script['acts'] = [
    { at: 5000, do: 'operator.cordons', server: 'd' },
    { at: 10_000, do: 'operator.requests', servers: ['a'], users: ['u1', 'u2'], reason: 'manual', approved: false },
    { at: 11_000, do: 'operator.pauses', scope: { evacuation: a }, forMs: 20_000 },
    { at: 12_000, do: 'operator.approves', what: { evacuation: a } },
    { at: 13_000, do: 'operator.schedules', migration: a, startsAt: 50_000 },
    { at: 40_000, do: 'operator.cancels', what: { migration: { server: 'a', nth: 1 } } },
    { at: 41_000, do: 'operator.uncordons', server: 'd' },
  ]
  const { journal, refused, violations } = await simulate(script(acts))
  const types = journal.map(({ type }) => type)
  for (const type of ['server.cordoned', 'pause.set', 'evacuation.approved', 'migration.rescheduled', 'server.uncordoned'])
    expect(types).toContain(type)
  expect(violations).toEqual([])
  // One of the two may have moved before.
  expect(refused.filter(({ act }) => act.do !== 'operator.cancels')).toEqual([])
  const moved = journal.filter(({ type }) => type === 'connection.moved')
  expect(moved.every(({ at }) => at - (journal[0]?.at ?? 0) > 31_000)).toBe(true)
})

test('what cannot be done, or is refused, is told with its reason', async () => {
  const { refused } = await simulate(
    script([
      { at: 5000, do: 'server.dies', server: 'nowhere' },
      { at: 6000, do: 'operator.acknowledges', server: 'a' },
      { at: 7000, do: 'operator.cancels', what: { evacuation: { server: 'a', nth: 3 } } },
      { at: 60_000, do: 'operator.drains', server: 'nowhere' },
    ]),
  )
  expect(refused.map(({ act, why }) => [act.do, why])).toEqual([
    ['server.dies', 'there is no such server'],
    ['operator.acknowledges', 'it has no open incident'],
    ['operator.cancels', 'there is none such'],
    ['operator.drains', expect.stringContaining('nowhere')],
  ])
})

test('servers and users come and go as a script says', async () => {
  const types = await typesOf(
    script([
      { at: 5000, do: 'server.is_added', row: { id: 'e', host: '10.0.0.9', capacity: 5 } },
      { at: 5000, do: 'server.is_removed', server: 'd' },
      { at: 6000, do: 'user.is_added', user: 'u4', server: 'a', mobility: 'free', prefers: [] },
      { at: 7000, do: 'user.is_moved_by_the_host', user: 'u1', to: 'b' },
      { at: 60_000, do: 'server.dies', server: 'a' },
      { at: 90_000, do: 'server.is_well', server: 'a' },
    ]),
  )
  expect(types.filter((type) => type === 'server.added')).toHaveLength(5)
  expect(types.filter((type) => type === 'server.removed')).toHaveLength(1)
  expect(types.filter((type) => type === 'connection.moved')).toHaveLength(3)
  expect(types).toContain('incident.recovered')
})

test('users prefer one server after the other, and leave out the one that they never get to', async () => {
  const history = script([
    { at: 10_000, do: 'server.dies', server: 'a' },
    { at: 60_000, do: 'operator.drains', server: 'd' },
  ])
  const users = history.setup.users.map((user) => ({ ...user, prefers: ['b', 'd', 'c'] }))
  const failures = users.map(({ id }) => ({ user: id, to: 'b', calls: 1, how: 'rejected' as const, isGivenUp: true }))
  const policy = { mode: 'auto', placement: { weights: { preference: 100 } } } as const
  const { journal } = await simulate({
    ...history,
    setup: { ...history.setup, users, policy },
    script: { ...history.script, failures } as Script,
  })
  const ways = journal.flatMap(({ type, data }) => {
    const { fromServerId, toServerId, connectionId } = data as Record<string, string>
    return /^connection\.move/.test(type) && connectionId === 'u1' ? `${type} ${fromServerId} ${toServerId}` : []
  })
  expect(ways).toEqual(['connection.move_failed a b', 'connection.moved a d', 'connection.moved d c'])
})
