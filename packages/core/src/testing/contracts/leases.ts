import assert from 'node:assert/strict'
import type { Lease, LeaseStore } from '../../ports.ts'
import { abortCall, attempt, type ContractRule, type Kit, type KitOptions, type Troubles, toRules } from './rule.ts'

/** A lease store on which nobody holds anything. */
export interface LeaseHarness extends Troubles {
  readonly leases: LeaseStore
  /** So much of the store's time passes, milliseconds: by its clock where that can be set, or by waiting. */
  pass(ms: number): unknown
  /** The same leases as another member has them. */
  another?(): LeaseStore | PromiseLike<LeaseStore>
  /** As `another`, on a machine whose own clock is off by so much, milliseconds. */
  skewed?(byMs: number): LeaseStore | PromiseLike<LeaseStore>
  /** All members end without a word, and a new one begins. */
  restart?(): LeaseStore | PromiseLike<LeaseStore>
}

/** Optional parts of the harness. */
export type LeaseExtra = 'another' | 'skewed' | 'restart' | 'goDown' | 'fallSilent'

/**
 * What every lease store must do. `create` makes an empty one for each rule.
 * @example for (const rule of leaseStoreContract(create, { without: ['fallSilent'] })) test(rule.name, rule.run)
 */
export function leaseStoreContract(
  create: () => LeaseHarness | PromiseLike<LeaseHarness>,
  options: KitOptions<LeaseExtra> = {},
): ContractRule[] {
  return toRules(kit, create, options)
}

/** Long enough that nothing runs out while a rule is busy, milliseconds. */
const ttlMs = 60_000

const kit: Kit<LeaseHarness, LeaseExtra> = {
  has: (harness, extra) =>
    extra === 'goDown' || extra === 'fallSilent'
      ? harness[extra] !== undefined && harness.comeBack !== undefined
      : harness[extra] !== undefined,
  rules: [
    {
      name: 'a lease is what was asked for, and while it holds nobody else gets one',
      run: async ({ leases }, { ctx }) => {
        const lease = taken(await leases.acquire('a', ttlMs, ctx))
        assert.deepEqual({ ...lease, token: 0 }, { token: 0, holder: 'a', ttlMs })
        assert.ok(Number.isSafeInteger(lease.token) && lease.token >= 1, `the token is ${lease.token}`)
        for (const holder of ['b', 'c', 'A']) assert.equal(await leases.acquire(holder, ttlMs, ctx), null)
        assert.equal(await leases.renew(lease, ctx), true)
        assert.equal(await leases.acquire('b', ttlMs, ctx), null)
      },
    },
    {
      name: 'each lease has a token higher than any before: after a release, after its time, for whomever',
      run: async ({ leases, pass }, { ctx }) => {
        let last = 0
        for (const [index, holder] of ['a', 'b', 'b', 'a', 'c', 'a'].entries()) {
          const lease = taken(await leases.acquire(holder, ttlMs, ctx))
          assert.ok(lease.token > last, `token ${lease.token} after ${last}`)
          last = lease.token
          if (index % 2 === 0) await leases.release(lease, ctx)
          else await pass(ttlMs + 1)
        }
      },
    },
    {
      name: 'a lease ends by itself when its time is over, and not before',
      run: async ({ leases, pass }, { ctx }) => {
        taken(await leases.acquire('a', ttlMs, ctx))
        await pass(ttlMs * 0.7)
        assert.equal(await leases.acquire('b', ttlMs, ctx), null)
        await pass(ttlMs * 0.4)
        taken(await leases.acquire('b', ttlMs, ctx))
      },
    },
    {
      name: 'a renewal makes it last its whole time from then on',
      run: async ({ leases, pass }, { ctx }) => {
        const lease = taken(await leases.acquire('a', ttlMs, ctx))
        for (let times = 0; times < 4; times++) {
          await pass(ttlMs * 0.7)
          assert.equal(await leases.acquire('b', ttlMs, ctx), null)
          assert.equal(await leases.renew(lease, ctx), true)
        }
        await pass(ttlMs * 1.1)
        taken(await leases.acquire('b', ttlMs, ctx))
      },
    },
    {
      name: 'a lease that has run out is lost for good, also when nobody has taken it',
      run: async ({ leases, pass }, { ctx }) => {
        const lease = taken(await leases.acquire('a', ttlMs, ctx))
        await pass(ttlMs + 1)
        assert.equal(await leases.renew(lease, ctx), false)
        assert.equal(await leases.renew(lease, ctx), false)
        const next = taken(await leases.acquire('a', ttlMs, ctx))
        assert.equal(await leases.renew(lease, ctx), false, 'an old lease of the same holder')
        assert.equal(await leases.renew(next, ctx), true)
      },
    },
    {
      name: 'a lease that was released is free at once, and is not renewed',
      run: async ({ leases }, { ctx }) => {
        const lease = taken(await leases.acquire('a', ttlMs, ctx))
        await leases.release(lease, ctx)
        assert.equal(await leases.renew(lease, ctx), false)
        const next = taken(await leases.acquire('b', ttlMs, ctx))
        assert.equal(await leases.renew(lease, ctx), false)
        assert.equal(await leases.renew(next, ctx), true)
      },
    },
    {
      name: 'who releases what he has lost takes nothing from anybody',
      run: async ({ leases, pass }, { ctx }) => {
        const lost = taken(await leases.acquire('a', ttlMs, ctx))
        await pass(ttlMs + 1)
        await leases.release(lost, ctx)
        const held = taken(await leases.acquire('b', ttlMs, ctx))
        await leases.release(lost, ctx)
        await leases.release({ ...lost, holder: 'b' }, ctx)
        await leases.release({ ...held, holder: 'a', token: lost.token }, ctx)
        assert.equal(await leases.acquire('c', ttlMs, ctx), null)
        assert.equal(await leases.renew(held, ctx), true)
      },
    },
    {
      name: 'of many who ask at once exactly one gets it',
      run: async (harness, { ctx }) => {
        const members = [harness.leases, (await harness.another?.()) ?? harness.leases]
        const tokens = new Set<number>()
        for (let round = 1; round <= 10; round++) {
          const asked = Array.from({ length: 8 }, (_, index) => (members[index % 2] as LeaseStore).acquire(`${round}/${index}`, ttlMs, ctx))
          const got = (await Promise.all(asked)).filter((lease): lease is Lease => lease !== null)
          assert.equal(got.length, 1, `${got.length} of 8 got the lease`)
          const lease = got[0] as Lease
          tokens.add(lease.token)
          const ends = await Promise.all([harness.leases.renew(lease, ctx), ...members.map((one) => one.acquire('late', ttlMs, ctx))])
          assert.deepEqual(ends, [true, null, null])
          await harness.leases.release(lease, ctx)
        }
        assert.equal(tokens.size, 10, 'no token is given twice')
      },
    },
    {
      name: 'another member sees the lease, its end and its release',
      needs: ['another'],
      run: async (harness, { ctx }) => {
        const { leases, pass } = harness
        const other = (await harness.another?.()) as LeaseStore
        const lease = taken(await leases.acquire('a', ttlMs, ctx))
        assert.equal(await other.acquire('b', ttlMs, ctx), null)
        await leases.release(lease, ctx)
        const second = taken(await other.acquire('b', ttlMs, ctx))
        assert.equal(await leases.renew(lease, ctx), false)
        assert.equal(await leases.acquire('a', ttlMs, ctx), null)
        await pass(ttlMs + 1)
        const third = taken(await leases.acquire('a', ttlMs, ctx))
        assert.equal(await other.renew(second, ctx), false)
        assert.ok(lease.token < second.token && second.token < third.token, 'tokens rise over all members')
      },
    },
    {
      name: "the store's own clock decides, however wrong a member's is",
      needs: ['skewed'],
      run: async (harness, { ctx }) => {
        const { leases, pass } = harness
        for (const byMs of [-3_600_000, 3_600_000]) {
          const wrong = (await harness.skewed?.(byMs)) as LeaseStore
          const lease = taken(await leases.acquire('right', ttlMs, ctx))
          assert.equal(await wrong.acquire('wrong', ttlMs, ctx), null, 'a lease that holds')
          await pass(ttlMs + 1)
          const its = taken(await wrong.acquire('wrong', ttlMs, ctx))
          assert.ok(its.token > lease.token)
          await pass(ttlMs * 0.7)
          assert.equal(await leases.acquire('right', ttlMs, ctx), null, 'its lease is no shorter')
          assert.equal(await wrong.renew(its, ctx), true)
          await pass(ttlMs * 1.1)
          assert.equal(await wrong.renew(its, ctx), false)
          await leases.release(taken(await leases.acquire('right', ttlMs, ctx)), ctx)
        }
      },
    },
    {
      name: 'a lease outlives the process that holds it, and tokens go on rising',
      needs: ['restart'],
      run: async (harness, { ctx }) => {
        const lease = taken(await harness.leases.acquire('a', ttlMs, ctx))
        const next = (await harness.restart?.()) as LeaseStore
        assert.equal(await next.acquire('b', ttlMs, ctx), null)
        await harness.pass(ttlMs + 1)
        const other = taken(await next.acquire('b', ttlMs, ctx))
        assert.ok(other.token > lease.token, `token ${other.token} after ${lease.token}`)
      },
    },
    {
      name: 'an aborted call settles soon, and harms nothing',
      run: async ({ leases }, { ctx, promptMs }) => {
        const lease = taken(await leases.acquire('a', ttlMs, ctx))
        for (const afterMs of ['beforehand', 0] as const) {
          const asked = await abortCall('acquire', (aborted) => leases.acquire('b', ttlMs, aborted), { promptMs, afterMs })
          assert.ok(!asked.ok || asked.value === null, 'a second lease')
          await abortCall('renew', (aborted) => leases.renew(lease, aborted), { promptMs, afterMs })
        }
        assert.equal(await leases.renew(lease, ctx), true)
      },
    },
    {
      name: 'a store that cannot be reached throws: nobody has lost anything',
      needs: ['goDown'],
      run: async (harness, { ctx }) => {
        const { leases } = harness
        const lease = taken(await leases.acquire('a', ttlMs, ctx))
        await harness.goDown?.()
        const ends = await Promise.all([
          attempt(() => leases.acquire('b', ttlMs, ctx)),
          attempt(() => leases.renew(lease, ctx)),
          attempt(() => leases.release(lease, ctx)),
        ])
        for (const [index, what] of ['acquire', 'renew', 'release'].entries())
          assert.ok(!ends[index]?.ok, `${what} resolved while the store could not be reached`)
        await harness.comeBack?.()
        assert.equal(await leases.renew(lease, ctx), true)
      },
    },
    {
      name: 'a call without an answer settles soon after its abort, by throwing',
      needs: ['fallSilent'],
      run: async (harness, { ctx, promptMs }) => {
        const { leases } = harness
        const lease = taken(await leases.acquire('a', ttlMs, ctx))
        await harness.fallSilent?.()
        const ends = await Promise.all([
          abortCall('acquire', (aborted) => leases.acquire('b', ttlMs, aborted), { promptMs, afterMs: 50 }),
          abortCall('renew', (aborted) => leases.renew(lease, aborted), { promptMs, afterMs: 50 }),
        ])
        for (const [index, what] of ['acquire', 'renew'].entries()) assert.ok(!ends[index]?.ok, `${what} resolved without an answer`)
        await harness.comeBack?.()
        assert.equal(await leases.renew(lease, ctx), true)
      },
    },
  ],
}

function taken(lease: Lease | null): Lease {
  assert.ok(lease !== null, 'the lease is free and was not given')
  return lease
}
