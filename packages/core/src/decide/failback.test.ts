import { expect, test } from 'vitest'
import { resolvePolicy } from '../options.ts'
import { parseServer } from '../rows.ts'
import type { Connection, Evacuation, EvacuationId, FailbackPolicy, Migration, MoveRecord, ServerId } from '../vocabulary.ts'
import {
  afterBatch,
  byOperator,
  giveUpMs,
  type Home,
  homecoming,
  homeOnceMs,
  isCooling,
  movedAway,
  newFailback,
  nextFailback,
  unfitHome,
} from './failback.ts'

const policy: FailbackPolicy = { ...resolvePolicy().policy.failback, strategy: 'gradual' }
const id = <T extends string>(text: string) => text as T
const fit: Home = { name: 'ams', verdict: 'up', status: 'online', cordoned: false, damped: false, hasIncident: false, isLeft: false }
const batch = (patch: Partial<Evacuation> = {}) => ({ id: id<EvacuationId>('e'), cancelledWhy: null, ...patch }) as Evacuation
const migration = (patch: Partial<Migration>) =>
  ({
    evacuationId: id('e'),
    status: 'completed',
    connectionCountAtStart: 4,
    connectionsMoved: 4,
    connectionsFailed: 0,
    errorMessage: null,
    ...patch,
  }) as Migration
const running = { ...newFailback(0), state: 'running' as const, evacuationId: id<EvacuationId>('e') }
const step = (patch: Partial<Parameters<typeof nextFailback>[0]>) =>
  nextFailback({
    failback: newFailback(0),
    policy,
    home: fit,
    fitSince: 0,
    forbidden: null,
    isGone: false,
    batch: null,
    now: policy.stableMs,
    ...patch,
  }).do

test('nobody goes home before stableMs, to an unfit home, against a guard, or before the time of the next batch', () => {
  expect(step({})).toBe('go')
  expect(step({ now: policy.stableMs - 1 })).toBe('nothing')
  expect(step({ fitSince: 1 })).toBe('nothing')
  expect(step({ fitSince: null })).toBe('nothing')
  expect(step({ forbidden: 'paused' })).toBe('nothing')
  expect(step({ failback: { ...newFailback(0), nextAt: policy.stableMs + 1 } })).toBe('nothing')
})

test('whatever speaks against a home is named', () => {
  expect(unfitHome(fit)).toBeNull()
  for (const [patch, word] of [
    [{ verdict: 'down' }, 'failed again'],
    [{ hasIncident: true }, 'failed again'],
    [{ verdict: 'suspect' }, 'suspect'],
    [{ status: 'maintenance' }, 'maintenance'],
    [{ cordoned: true }, 'cordoned'],
    [{ damped: true }, 'too often'],
    [{ isLeft: true }, 'evacuated'],
  ] as const)
    expect(unfitHome({ ...fit, ...patch })).toContain(word)
  expect(unfitHome(null)).toContain('registry')
})

test('a batch under way is stopped by what is certain, and not by a doubt', () => {
  const open = { failback: running, batch: batch() }
  expect(step({ ...open })).toBe('nothing')
  expect(step({ ...open, home: { ...fit, verdict: 'suspect' } })).toBe('nothing')
  expect(step({ ...open, home: null })).toBe('nothing')
  expect(step({ ...open, home: null, isGone: true })).toBe('stop')
  expect(step({ ...open, home: { ...fit, verdict: 'down' } })).toBe('stop')
  expect(step({ ...open, home: { ...fit, cordoned: true } })).toBe('stop')
  expect(step({ failback: running })).toBe('judge')
})

test('a failback that finds no moment ends', () => {
  expect(step({ fitSince: null, now: policy.stableMs + giveUpMs })).toBe('nothing')
  expect(step({ fitSince: null, now: policy.stableMs + giveUpMs + 1 })).toBe('keep')
})

test('after a clean batch the next one follows; after a failure none; after an interruption it waits anew; after a person there is none', () => {
  const after = (evacuation: Evacuation, some: readonly Migration[], strategy: FailbackPolicy['strategy'] = 'gradual') =>
    afterBatch(running, evacuation, some, { ...policy, strategy }, 1000)
  expect(after(batch(), [migration({})])).toMatchObject({
    state: 'running',
    moved: 4,
    evacuationId: null,
    nextAt: 1000 + policy.batchIntervalMs,
  })
  expect(after(batch(), [migration({ evacuationId: id('other'), connectionsFailed: 3 })])).toMatchObject({ state: 'running', moved: 0 })
  const failed = [migration({ connectionsMoved: 3, connectionsFailed: 1 })]
  expect(after(batch(), failed)).toMatchObject({ state: 'abandoned', moved: 3, why: '1 could not be brought home' })
  expect(after(batch(), failed, 'immediate')).toMatchObject({ state: 'done', moved: 3 })
  expect(after(batch(), [migration({ status: 'failed', connectionsMoved: 0 })])).toMatchObject({
    state: 'abandoned',
    why: '4 could not be brought home',
  })
  expect(after(batch({ cancelledWhy: 'ams was cordoned' }), [])).toMatchObject({ state: 'waiting', why: 'ams was cordoned' })
  expect(after(batch(), [migration({ status: 'cancelled', errorMessage: 'target failed', connectionsMoved: 1 })])).toMatchObject({
    state: 'waiting',
    moved: 1,
  })
  expect(after(batch({ cancelledWhy: byOperator }), [])).toMatchObject({ state: 'abandoned' })
  expect(after(batch(), [migration({ status: 'cancelled', errorMessage: byOperator })])).toMatchObject({ state: 'abandoned' })
})

test('the cooldown of a source counts its migrations, and not those of the same way home', () => {
  const at = (patch: Partial<Migration>) =>
    isCooling(
      id('s2'),
      id('s1'),
      [migration({ fromServerId: id('s2'), toServerId: id('s3'), reason: 'manual', completedAt: 0, ...patch })],
      1000,
      999,
    )
  expect(at({})).toBe(true)
  expect(at({ completedAt: -1 })).toBe(false)
  expect(at({ connectionsMoved: 0 })).toBe(false)
  expect(at({ fromServerId: id('s4') })).toBe(false)
  expect(at({ reason: 'failback', toServerId: id('s1') })).toBe(false)
  expect(at({ reason: 'failback' })).toBe(true)
  expect(at({ completedAt: null })).toBe(true)
})

test('a user is away where he was moved to, and is not called away again for a day once he has come home', () => {
  const move = (user: string, at: number, state: 'moved' | 'failed' | 'skipped' = 'moved', more = {}) =>
    ({ connection: { id: user }, state: { state, at, ...more } }) as unknown as MoveRecord
  const went = [
    { to: id<ServerId>('s2'), moves: [...['a', 'b', 'f', 'g'].map((user) => move(user, 0)), move('c', 0, 'skipped')] },
    { to: id<ServerId>('s3'), moves: [move('d', 0), move('e', 0)] },
  ]
  const unclear = move('f', 10, 'failed', { residue: true })
  const cameHome = [move('b', 10), move('d', 10, 'skipped'), move('e', 1 - homeOnceMs), unclear, move('g', 10, 'failed')]
  expect([...movedAway(went, cameHome, [], 1)]).toEqual([
    ['a', 's2'],
    ['g', 's2'],
    ['d', 's3'],
    ['e', 's3'],
  ])
  expect([...movedAway(went, cameHome, [id('d'), id('g')], 1)]).toEqual([
    ['a', 's2'],
    ['e', 's3'],
  ])
})

test('home is filled up to fillLimit by what its own list says, also where the server list says less', () => {
  const parsed = parseServer({ id: 's1', host: '10.0.0.1', capacity: 20 })
  if (!parsed.ok) throw new Error('a row of the test is wrong')
  const home = {
    server: parsed.value,
    verdict: 'up',
    cordoned: false,
    instability: 0,
    load: 2,
    capacity: 20,
    full: false,
    limited: true,
    rttMs: null,
  } as const
  const users = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, index) => ({ id: `${prefix}${index}`, mobility: 'free' }) as unknown as Connection)
  const away = new Map(users('u', 10).map((user) => [user.id, id<ServerId>('s2')]))
  const listed = [{ serverId: id<ServerId>('s2'), connections: users('u', 10) }]
  const { placement } = resolvePolicy().policy
  const known = { failback: newFailback(0), placement, away, listed, targets: [home], home: home.server.id }
  const asked = (atHome: number, reserved: number) =>
    homecoming({ ...known, policy: { ...policy, strategy: 'immediate' }, atHome: users('new', atHome), reserved }).go.length
  expect(asked(0, 0)).toBe(10)
  expect(asked(12, 0)).toBe(6)
  expect(asked(12, 4)).toBe(2)
  expect(asked(30, 0)).toBe(0)
})
