import fc from 'fast-check'
import { expect, test } from 'vitest'
import { commandOf } from '../../test/region.ts'
import type { Listed } from './handler.ts'
import { comparePairs, type Pair, type SyncEntry } from './messages.ts'
import { type Admission, admit, admitSync, isDrastic, isExpired, type Known, type SyncWorld, syncPlan, type When } from './rules.ts'

const skewMs = 600_000
const now = Date.UTC(2026, 0, 1)
const fresh: When = { now, storedAt: now, ageMs: 0 }
const known = (token: number, epoch: number, done: Known['done'], more: Partial<Known> = {}): Known => ({
  token,
  epoch,
  done,
  hasAnswer: false,
  at: now,
  ...more,
})
const asked = (token: number, epoch: number, type: 'access.grant' | 'access.revoke' | 'access.check' = 'access.grant') =>
  commandOf({ token, epoch, type, issuedAt: now })
const word = (admission: Admission): string => (typeof admission === 'string' ? admission : admission.rejected)

test('a late grant cannot undo a revoke, nor a late revoke a grant', () => {
  expect(word(admit(asked(1, 5), known(1, 6, 'revoked'), null, fresh, skewMs))).toBe('STALE')
  expect(word(admit(asked(1, 9), known(2, 1, 'revoked'), null, fresh, skewMs))).toBe('STALE')
  expect(word(admit(asked(1, 5, 'access.revoke'), known(1, 6, 'granted'), null, fresh, skewMs))).toBe('STALE')
  expect(word(admit(asked(1, 7), known(1, 6, 'revoked'), null, fresh, skewMs))).toBe('apply')
})

test('the same pair is done once, and again if it is not known to be done', () => {
  expect(word(admit(asked(1, 6), known(1, 6, 'granted'), null, fresh, skewMs))).toBe('noop')
  expect(word(admit(asked(1, 6), known(1, 6, null), null, fresh, skewMs))).toBe('apply')
  expect(word(admit(asked(1, 6), known(1, 6, 'revoked'), null, fresh, skewMs))).toBe('STALE')
  expect(word(admit(asked(1, 6, 'access.check'), known(1, 6, 'granted'), null, fresh, skewMs))).toBe('apply')
})

test('a leader who was replaced is fenced, but not what the broker had from him before', () => {
  const server = { token: 7, since: now, sync: null }
  expect(word(admit(asked(6, 1), null, server, fresh, skewMs))).toBe('FENCED')
  expect(word(admit(asked(6, 1), null, server, { ...fresh, storedAt: now - 1 }, skewMs))).toBe('apply')
  expect(word(admit(asked(6, 1), null, server, { ...fresh, storedAt: null, ageMs: null }, skewMs))).toBe('FENCED')
  expect(word(admit(asked(7, 1), null, server, fresh, skewMs))).toBe('apply')
})

test('a sync is not applied after a newer one, and again after an equal one', () => {
  const server = { token: 7, since: now, sync: { token: 7, epoch: 5 } }
  const sync = (token: number, epoch: number) =>
    commandOf({ type: 'access.sync', token, epoch, issuedAt: now, payload: { syncId: 's', page: 0 } })
  expect(word(admitSync(sync(7, 4), server, fresh, skewMs))).toBe('STALE')
  expect(word(admitSync(sync(7, 5), server, fresh, skewMs))).toBe('apply')
  expect(word(admitSync(sync(6, 9), server, fresh, skewMs))).toBe('FENCED')
})

test('minutes between the clocks change nothing, and a deadline that has passed is passed', () => {
  for (const aheadMs of [-300_000, 0, 300_000]) {
    const command = commandOf({ issuedAt: now, deadline: now + 30_000 })
    // The sender's clock is right, the broker's and the worker's are ahead of it by as much.
    const at = (ageMs: number): When => ({ now: now + 2 * aheadMs + ageMs, storedAt: now + aheadMs, ageMs })
    expect(isExpired(command, at(29_000), skewMs), `${aheadMs} ahead, in time`).toBe(false)
    expect(isExpired(command, at(31_000), skewMs), `${aheadMs} ahead, late`).toBe(true)
  }
})

test('who published long after he had issued it is late, whatever the broker has measured', () => {
  const command = commandOf({ issuedAt: now - 3_600_000, deadline: now - 3_570_000 })
  expect(isExpired(command, { now, storedAt: now, ageMs: 0 }, skewMs)).toBe(true)
})

test('without the time of the broker, clocks are compared with the skew allowed', () => {
  const blind: When = { now, storedAt: null, ageMs: null }
  expect(isExpired(commandOf({ issuedAt: now - 600_000, deadline: now - 300_000 }), blind, skewMs)).toBe(false)
  expect(isExpired(commandOf({ issuedAt: now - 1_200_000, deadline: now - 601_000 }), blind, skewMs)).toBe(true)
  expect(isExpired(commandOf({ issuedAt: now - 1_200_000, deadline: null }), blind, skewMs)).toBe(false)
})

// --------------------------------------------------------------------------------------------------------------- syncs

const entry = (connectionId: string, token: number, epoch: number, payload: SyncEntry['payload'] = null): SyncEntry => ({
  connectionId,
  token,
  epoch,
  payload,
})
const world = (more: Partial<SyncWorld>): SyncWorld => ({
  desired: [],
  leave: new Set(),
  mark: { token: 1, epoch: 10 },
  known: new Map(),
  listed: null,
  ...more,
})
const listed = (...ids: (string | null)[]): Listed[] => ids.map((connectionId) => ({ connectionId, payload: null }))

test('who is missing is granted, who does not belong is revoked, the rest is left', () => {
  const plan = syncPlan(
    world({
      desired: [entry('missing', 1, 1), entry('right', 1, 2), entry('under-way', 1, 3)],
      leave: new Set(['under-way', 'going']),
      known: new Map([
        ['right', known(1, 2, 'granted')],
        ['extra', known(1, 4, 'granted')],
        ['going', known(1, 5, 'granted')],
      ]),
      listed: listed('right', 'extra', 'going', 'unknown', null, null),
    }),
  )
  expect(plan.grant.map(({ connectionId }) => connectionId)).toEqual(['missing'])
  expect(plan.revoke).toEqual(['extra', 'unknown'])
  expect(plan.figures).toEqual({ missing: 1, changed: 0, extra: 2, same: 1, left: 2, newer: 0, foreign: 2 })
})

test('what is newer than the list is left alone, in both directions', () => {
  const plan = syncPlan(
    world({
      desired: [entry('moved-away', 1, 3)],
      known: new Map([
        ['moved-away', known(1, 11, 'revoked')],
        ['come-since', known(2, 1, 'granted')],
      ]),
      listed: listed('come-since'),
    }),
  )
  expect([plan.grant, plan.revoke, plan.learn]).toEqual([[], [], []])
  expect(plan.figures.newer).toBe(2)
})

test('an entry is authority for itself, even where the mark is lower', () => {
  const plan = syncPlan(
    world({ mark: { token: 0, epoch: 0 }, desired: [entry('a', 1, 3)], known: new Map([['a', known(1, 3, 'granted')]]), listed: [] }),
  )
  expect(plan.grant).toEqual([entry('a', 1, 3)])
})

test('a peer that is not as wanted is granted again; fields that only one side knows do not count', () => {
  const wanted = entry('a', 1, 1, { allowedIps: ['10.0.0.7/32'], publicKey: 'p', label: 'x' })
  const found = (payload: Listed['payload']) => syncPlan(world({ desired: [wanted], listed: [{ connectionId: 'a', payload }] })).figures
  expect(found({ allowedIps: ['10.0.0.7/32'], publicKey: 'p', handshakeAt: 5 })).toMatchObject({ same: 1, changed: 0 })
  expect(found({ allowedIps: ['10.0.0.8/32'], publicKey: 'p' })).toMatchObject({ same: 0, changed: 1 })
})

test('a list that would take away more than half is not believed at once', () => {
  const many = Array.from({ length: 9 }, (_, index) => `c${index}`)
  expect(isDrastic(syncPlan(world({ listed: listed(...many) })))).toBe(true)
  expect(isDrastic(syncPlan(world({ listed: listed('a', 'b') })))).toBe(false)
  const most = many.slice(0, 6).map((id) => entry(id, 1, 1))
  expect(isDrastic(syncPlan(world({ desired: most, listed: listed(...many) })))).toBe(false)
})

test('after a sync a second one of the same list finds nothing to do, and nobody who is newer was touched', () => {
  const pair = fc.record({ token: fc.integer({ min: 0, max: 2 }), epoch: fc.integer({ min: 0, max: 6 }) })
  const id = fc.constantFrom<string>('a', 'b', 'c', 'd', 'e')
  const entries = fc.uniqueArray(fc.record({ connectionId: id, at: pair }), { selector: ({ connectionId }) => connectionId })
  const knowns = fc.uniqueArray(fc.record({ connectionId: id, at: pair, done: fc.constantFrom('granted', 'revoked', null) }), {
    selector: ({ connectionId }) => connectionId,
  })
  fc.assert(
    fc.property(
      entries,
      knowns,
      fc.uniqueArray(id),
      fc.uniqueArray(id),
      pair,
      fc.boolean(),
      (wanted, remembered, there, left, mark, isListed) => {
        const desired = wanted.map(({ connectionId, at }) => entry(connectionId, at.token, at.epoch))
        const book = new Map(remembered.map(({ connectionId, at, done }) => [connectionId, known(at.token, at.epoch, done)]))
        const real = new Set(isListed ? there : [...book].filter(([, { done }]) => done === 'granted').map(([one]) => one))
        const before = new Set(real)
        const read = () => syncPlan({ desired, leave: new Set(left), mark, known: book, listed: isListed ? listed(...real) : null })
        const plan = read()
        for (const one of plan.grant) book.set(one.connectionId, known(one.token, one.epoch, 'granted')) && real.add(one.connectionId)
        for (const one of plan.revoke) {
          const pairs: Pair[] = [mark, book.get(one) ?? mark].sort(comparePairs)
          book.set(one, known(pairs[1]?.token ?? 0, pairs[1]?.epoch ?? 0, 'revoked'))
          real.delete(one)
        }
        for (const { connectionId, pair: at, done } of plan.learn) book.set(connectionId, known(at.token, at.epoch, done))
        const again = read()
        expect([again.grant, again.revoke, again.learn]).toEqual([[], [], []])
        for (const one of left) expect(real.has(one)).toBe(before.has(one))
        for (const { connectionId, at } of remembered) {
          const own = desired.find((other) => other.connectionId === connectionId)
          if (comparePairs(at, mark) > 0 && (!own || comparePairs(at, own) > 0))
            expect(real.has(connectionId)).toBe(before.has(connectionId))
        }
      },
    ),
    { seed: 10, numRuns: 2000 },
  )
})
