import { judgeJournal, type SimResult, simulate } from '@pintail/core/testing'
import { expect, test } from 'vitest'
import { type Comparison, compareRuns } from './compare.ts'
import { type Derived, type DeriveOptions, deriveHistory } from './derive.ts'
import { unnamedUser } from './deriveUsers.ts'
import { type Recording, record } from './recordings.ts'

interface Replayed extends Derived {
  readonly result: SimResult
  readonly differences: Comparison['differences']
}

/** Derives, plays and compares; no replay may break a rule. */
async function replayed({ entries }: Pick<Recording, 'entries'>, options: DeriveOptions = {}): Promise<Replayed> {
  const derived = deriveHistory(entries, options)
  const result = await simulate(derived.history)
  expect(result.violations).toEqual([])
  expect(judgeJournal(result.journal)).toEqual([])
  return { ...derived, result, differences: compareRuns(entries, result.journal, (user) => !user.startsWith(unnamedUser)).differences }
}

const policyOf = ({ history }: Derived) => history.setup.policy
const capacities = ({ history }: Derived): Record<string, number> =>
  Object.fromEntries(history.setup.servers.map(({ id, capacity }) => [String(id), capacity]))
const minute = 60_000

test('a slow detection is taken from how long the recorded one took', async () => {
  const policy = { mode: 'auto', detect: { confirm: null, checkIntervalMs: 60_000 } } as const
  const slow = await record({ servers: 5, policy }, async (fleet) => {
    await fleet.advance(2 * minute)
    fleet.kill('s1')
    await fleet.advance(10 * minute)
    return fleet
  })
  const derived = await replayed(slow)
  expect(policyOf(derived).detect?.confirm).toBeNull()
  expect(derived.assumptions.join()).toMatch(/no fast confirmation and a check every \d+/)
  expect(derived.differences).toEqual([])
})

test('a suspicion that was cleared confirms no failure in the replay either', async () => {
  const policy = { mode: 'auto', detect: { confirm: { durationMs: 40_000 } } } as const
  const blip = await record({ servers: 5, policy }, async (fleet) => {
    fleet.kill('s1')
    await fleet.advance(25_000)
    fleet.revive('s1')
    await fleet.advance(minute)
    return fleet
  })
  const derived = await replayed(blip)
  expect(derived.result.moves).toBe(0)
  expect(derived.differences).toEqual([])
})

test('where somebody found no room, servers hold as many as they have carried', async () => {
  const servers = ['s1', 's2', 's3'].map((id, index) => ({ id, host: `10.0.0.${index + 1}`, capacity: 12 }))
  const tight = await record(
    { servers, connections: { s1: Array.from({ length: 30 }, (_, index) => ({ id: `u${index}` })) } },
    async (fleet) => {
      fleet.kill('s1')
      await fleet.advance(2 * minute)
      return fleet
    },
  )
  const derived = await replayed(tight)
  expect(capacities(derived)).toEqual({ s1: 30, s2: 12, s3: 12 })
  // Where every place is taken it does not matter who has which.
  expect(derived.differences.filter(({ what }) => what !== 'users who went to another server')).toEqual([])
  expect(derived.assumptions.join()).toContain('Somebody found no room')
})

test('what is known of the servers takes the place of what is assumed, and their load is filled', async () => {
  const outage = await record({ servers: 3 }, async (fleet) => {
    fleet.kill('s1')
    await fleet.advance(minute)
    return fleet
  })
  const servers = ['s1', 's2', 's3'].map((id) => ({ id, host: 'x.example', capacity: 12, load: 10 }))
  const derived = await replayed(outage, { servers })
  expect(capacities(derived)).toEqual({ s1: 12, s2: 12, s3: 12 })
  expect(derived.history.setup.users.filter(({ server }) => server === 's2')).toHaveLength(10)
  // Four places are free in all.
  expect(derived.differences).toContainEqual({ what: 'evacuation of s1: users', recorded: '10 moved', replayed: '4 moved' })
})

test('a guard that let pass what the default would hold is widened as far as that', async () => {
  const policy = { mode: 'auto', guards: { massFailureRatio: 0.7 } } as const
  const many = await record({ servers: 6, policy }, async (fleet) => {
    for (const server of ['s1', 's2', 's3']) fleet.kill(server)
    await fleet.advance(2 * minute)
    return fleet
  })
  const derived = await replayed(many)
  expect(policyOf(derived).guards?.massFailureRatio).toBe(0.5)
  expect(derived.differences).toEqual([])
})

test('a guard that held holds again', async () => {
  const held = await record({ servers: 6 }, async (fleet) => {
    for (const server of ['s1', 's2', 's3']) fleet.kill(server)
    await fleet.advance(2 * minute)
    return fleet
  })
  const derived = await replayed(held)
  expect(derived.result.moves).toBe(0)
  expect(derived.differences).toEqual([])
})

test('users who went home go home again', async () => {
  const failback = { strategy: 'gradual', stableMs: minute, batchPercent: 50, batchIntervalMs: 30_000 } as const
  const home = await record({ servers: 4, policy: { mode: 'auto', failback, migration: { cooldownMs: 0 } } }, async (fleet) => {
    fleet.kill('s1')
    await fleet.advance(minute)
    fleet.revive('s1')
    await fleet.advance(5 * minute)
    return fleet
  })
  const derived = await replayed(home)
  expect(policyOf(derived).failback).toMatchObject({ strategy: 'gradual', batchPercent: 50 })
  expect(derived.result.moves).toBe(20)
  expect(derived.differences).toEqual([])
})

test('who is counted and not named gets a name, is moved in the replay, and is no difference by himself', async () => {
  const cancelled = await record({ servers: 4, policy: { mode: 'suggest' } }, async (fleet) => {
    fleet.kill('s1')
    await fleet.advance(minute)
    return fleet
  })
  const derived = await replayed(cancelled)
  expect(derived.history.setup.users.map(({ id }) => id)).toEqual(Array.from({ length: 10 }, (_, index) => `unnamed-s1-${index + 1}`))
  expect(derived.assumptions.join()).toContain('10 are counted and named nowhere')
  expect(derived.differences).toEqual([])
})

test('servers and users that came later, and whom the host moved, come and move at that time', async () => {
  const changing = await record({ servers: 4 }, async (fleet) => {
    await fleet.advance(30_000)
    fleet.registry.putServer({ id: 's9', host: '10.9.9.9', capacity: 100 })
    await fleet.advance(30_000)
    fleet.kill('s1')
    await fleet.advance(minute)
    // The host assigns somebody to the dead server, and brings one back to it.
    fleet.registry.assign({ id: 'late' }, 's1')
    fleet.registry.assign({ id: 's1-c1' }, 's1')
    await fleet.advance(2 * minute)
    return fleet
  })
  const derived = await replayed(changing)
  const acts = derived.history.script?.acts ?? []
  expect(acts.map((act) => act.do)).toEqual(['server.is_added', 'server.dies', 'user.is_added', 'user.is_moved_by_the_host'])
  expect(derived.differences).toEqual([])
})

test('what cannot be replayed is said: a changed policy, guards of the host, a target that was not ready', async () => {
  let isUnready = true
  const guard = {
    current: async () => [{ name: 'scaling', active: true, message: 'the fleet is scaling', forbids: ['server-down' as const] }],
  }
  const recorded = await record(
    {
      servers: 4,
      replace: ({ mover }) => ({
        guards: [guard],
        mover: {
          ...mover,
          prepare: async () => {
            if (isUnready) throw new Error('no room on disk')
          },
        },
      }),
    },
    async (fleet) => {
      const asked = fleet.pintail.migrations.create({ serverId: 's2', connectionIds: ['s2-c1'], autoApprove: true })
      await fleet.advance(3000)
      isUnready = false
      await fleet.advance(minute)
      await asked
      await fleet.pintail.policy.update({ migration: { maxRetries: 2 } }, { ifVersion: 0 })
      fleet.kill('s1')
      await fleet.advance(minute)
      return fleet
    },
  )
  const { assumptions, differences } = await replayed(recorded)
  for (const text of ['preparation: ', 'guards of the host: scaling', 'policy: it was changed 1 time'])
    expect(assumptions.join('\n')).toContain(text)
  expect(differences).toContainEqual({ what: 'incident on s1: held by', recorded: 'host', replayed: 'nothing' })
})
