import { expect, test } from 'vitest'
import { memoryLeases, PintailError } from '../../index.ts'
import type { CallContext, LeaseStore } from '../../ports.ts'
import { type LeaseHarness, leaseStoreContract } from './index.ts'

const manual = () => {
  const clock = {
    at: 1000,
    now: () => clock.at,
    pass: (ms: number) => {
      clock.at += ms
    },
  }
  return clock
}

const ofMemory = leaseStoreContract(
  () => {
    const clock = manual()
    return { leases: memoryLeases(clock), pass: (ms: number) => clock.pass(ms) }
  },
  { without: ['another', 'skewed', 'restart', 'goDown', 'fallSilent'] },
)
for (const rule of ofMemory) test(`memoryLeases: ${rule.name}`, rule.run)

// ------------------------------------------------------------------------------------- leases behind a network, and bad ones

interface Disk {
  token: number
  held: { holder: string; token: number; until: number } | null
  now: number
}

interface Client {
  readonly disk: Disk
  /** The member's own clock, as far as it is off. */
  readonly skewMs: number
}

/** A good lease store over a shared disk. */
function good({ disk }: Client): LeaseStore {
  const isHeld = (token: number): boolean => disk.held !== null && disk.held.token === token && disk.held.until > disk.now
  return {
    async acquire(holder, ttlMs) {
      if (disk.held && disk.held.until > disk.now) return null
      disk.held = { holder, token: ++disk.token, until: disk.now + ttlMs }
      return { token: disk.token as never, holder, ttlMs }
    },
    async renew({ token, ttlMs }) {
      if (!disk.held || !isHeld(token)) return false
      disk.held.until = disk.now + ttlMs
      return true
    },
    async release({ token }) {
      if (disk.held?.token === token) disk.held = null
    },
  }
}

type Network = { state: 'up' | 'down' | 'silent' }

function gate({ state }: Network, { signal }: CallContext): Promise<void> {
  if (state === 'down') return Promise.reject(new PintailError('unavailable', 'connection refused'))
  if (state === 'up') return Promise.resolve()
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
}

type Make = (client: Client) => LeaseStore
type Reach = (network: Network, ctx: CallContext) => Promise<void>

function full(make: Make, reach: Reach = gate): LeaseHarness {
  let disk: Disk = { token: 0, held: null, now: 1000 }
  const network: Network = { state: 'up' }
  const member = (skewMs: number): LeaseStore => {
    const inner = make({
      get disk() {
        return disk
      },
      skewMs,
    })
    return {
      acquire: async (holder, ttlMs, ctx) => {
        await reach(network, ctx)
        return inner.acquire(holder, ttlMs, ctx)
      },
      renew: async (lease, ctx) => {
        await reach(network, ctx)
        return inner.renew(lease, ctx)
      },
      release: async (lease, ctx) => {
        await reach(network, ctx)
        return inner.release(lease, ctx)
      },
    }
  }
  const turn = (state: Network['state']): void => {
    network.state = state
  }
  return {
    leases: member(0),
    pass: (ms) => {
      disk.now += ms
    },
    another: () => member(0),
    skewed: (byMs) => member(byMs),
    restart: () => {
      disk = structuredClone(disk)
      return member(0)
    },
    goDown: () => turn('down'),
    fallSilent: () => turn('silent'),
    comeBack: () => turn('up'),
  }
}

for (const rule of leaseStoreContract(() => full(good), { promptMs: 500 })) test(`a good lease store: ${rule.name}`, rule.run)

const holds = 'a lease is what was asked for, and while it holds nobody else gets one'
const rises = 'each lease has a token higher than any before: after a release, after its time, for whomever'
const wrong: Record<string, { make: Make; reach?: Reach; caughtBy: string }> = {
  'gives everybody a lease': {
    make: (client) => ({ ...good(client), acquire: async (holder, ttlMs) => ({ token: ++client.disk.token as never, holder, ttlMs }) }),
    caughtBy: holds,
  },
  'rounds the time up': {
    make: (client) => ({
      ...good(client),
      acquire: async (holder, ttlMs, ctx) => {
        const lease = await good(client).acquire(holder, ttlMs, ctx)
        return lease && { ...lease, ttlMs: ttlMs + 1 }
      },
    }),
    caughtBy: holds,
  },
  'begins its tokens anew after a release': {
    make: (client) => ({
      ...good(client),
      release: async (lease, ctx) => {
        await good(client).release(lease, ctx)
        client.disk.token = 0
      },
    }),
    caughtBy: rises,
  },
  'never ends a lease': {
    make: (client) => ({
      ...good(client),
      acquire: async (holder, ttlMs, ctx) => (client.disk.held ? null : good(client).acquire(holder, ttlMs, ctx)),
    }),
    caughtBy: 'a lease ends by itself when its time is over, and not before',
  },
  'ends a lease early': {
    make: (client) => ({
      ...good(client),
      acquire: async (holder, ttlMs, ctx) => {
        const lease = await good(client).acquire(holder, ttlMs / 2, ctx)
        return lease && { ...lease, ttlMs }
      },
    }),
    caughtBy: 'a lease ends by itself when its time is over, and not before',
  },
  'says that it renews and does nothing': {
    make: (client) => ({
      ...good(client),
      renew: async ({ token }) => client.disk.held?.token === token && client.disk.held.until > client.disk.now,
    }),
    caughtBy: 'a renewal makes it last its whole time from then on',
  },
  'adds the time of a renewal to what is left': {
    make: (client) => ({
      ...good(client),
      renew: async (lease) => {
        const { held, now } = client.disk
        if (!held || held.token !== lease.token || held.until <= now) return false
        held.until += lease.ttlMs
        return true
      },
    }),
    caughtBy: 'a renewal makes it last its whole time from then on',
  },
  'renews what has run out': {
    make: (client) => ({
      ...good(client),
      renew: async (lease) => {
        if (client.disk.held?.token !== lease.token) return false
        client.disk.held.until = client.disk.now + lease.ttlMs
        return true
      },
    }),
    caughtBy: 'a lease that has run out is lost for good, also when nobody has taken it',
  },
  'goes by the holder alone': {
    make: (client) => ({
      ...good(client),
      renew: async ({ holder }) => client.disk.held?.holder === holder && client.disk.held.until > client.disk.now,
    }),
    caughtBy: 'a lease that has run out is lost for good, also when nobody has taken it',
  },
  'waits for the time of a released lease': {
    make: (client) => ({ ...good(client), release: async () => {} }),
    caughtBy: 'a lease that was released is free at once, and is not renewed',
  },
  'releases whatever is held': {
    make: (client) => ({
      ...good(client),
      release: async () => {
        client.disk.held = null
      },
    }),
    caughtBy: 'who releases what he has lost takes nothing from anybody',
  },
  'looks first and takes later': {
    make: (client) => ({
      ...good(client),
      acquire: async (holder, ttlMs) => {
        const { disk } = client
        if (disk.held && disk.held.until > disk.now) return null
        await new Promise((resolve) => setImmediate(resolve))
        disk.held = { holder, token: ++disk.token, until: disk.now + ttlMs }
        return { token: disk.token as never, holder, ttlMs }
      },
    }),
    caughtBy: 'of many who ask at once exactly one gets it',
  },
  'keeps the lease in the memory of each member': {
    make: ({ disk }) => {
      const own: Disk = {
        token: 0,
        held: null,
        get now() {
          return disk.now
        },
      }
      return good({ disk: own, skewMs: 0 })
    },
    caughtBy: 'another member sees the lease, its end and its release',
  },
  "goes by the member's clock": {
    make: ({ disk, skewMs }) =>
      good({
        disk: {
          get token() {
            return disk.token
          },
          set token(value) {
            disk.token = value
          },
          get held() {
            return disk.held
          },
          set held(value) {
            disk.held = value
          },
          get now() {
            return disk.now + skewMs
          },
        },
        skewMs,
      }),
    caughtBy: "the store's own clock decides, however wrong a member's is",
  },
  'forgets its tokens with the process': {
    make: (client) => {
      client.disk.token = 0
      return good(client)
    },
    caughtBy: 'a lease outlives the process that holds it, and tokens go on rising',
  },
  'frees the lease with an aborted call': {
    make: (client) => ({
      ...good(client),
      renew: async (lease, ctx) => {
        if (ctx.signal.aborted) client.disk.held = null
        return good(client).renew(lease, ctx)
      },
    }),
    caughtBy: 'an aborted call settles soon, and harms nothing',
  },
  'takes unreachable for lost': {
    make: good,
    reach: async (network, ctx) => (network.state === 'down' ? undefined : gate(network, ctx)),
    caughtBy: 'a store that cannot be reached throws: nobody has lost anything',
  },
  'does not look at the signal': {
    make: good,
    reach: (network, ctx) => (network.state === 'silent' ? new Promise<void>(() => {}) : gate(network, ctx)),
    caughtBy: 'a call without an answer settles soon after its abort, by throwing',
  },
}

test.for(Object.entries(wrong))('a lease store that %s is caught', async ([, { make, reach, caughtBy }]) => {
  const rules = leaseStoreContract(() => full(make, reach), { promptMs: 200, timeoutMs: 4000 })
  const rule = rules.find(({ name }) => name === caughtBy)
  await expect(rule?.run()).rejects.toThrow()
})

test('every rule of the kit has a lease store that it catches', () => {
  const names = leaseStoreContract(() => full(good)).map(({ name }) => name)
  expect(new Set(Object.values(wrong).map(({ caughtBy }) => caughtBy))).toEqual(new Set(names))
})
