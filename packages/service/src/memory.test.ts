import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { vpnDuck } from '@pintail/adapters/vpn-duck'
import { createDatabaseService } from '@pintail/adapters/vpn-duck/testing'
import { createPintail, memoryStore, type ProbeResult } from '@pintail/core'
import { fakeClock, seededRandom } from '@pintail/core/testing'
import { expect, test } from 'vitest'
import { resolveSettings } from './settings/resolve.ts'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

const hour = 3_600_000
const megabyte = 1_048_576

/** Virtual time that waits for real HTTP: nothing fires while a call is on its way. */
function clockOver(calls: () => number) {
  const clock = fakeClock()
  const { settle } = clock
  return Object.assign(clock, {
    async settle() {
      do await settle()
      while (calls() > 0)
    },
  })
}

/** The service's engine with its default settings and the real adapter, over HTTP, in virtual time. */
async function world() {
  let underWay = 0
  const clock = clockOver(() => underWay)
  const users = Array.from({ length: 60 }, (_, index) => ({ id: 1001 + index, server: (index % 6) + 1 }))
  const database = createDatabaseService({ dialect: 'v1', servers: 6, users, now: () => clock.now(), clients: 'follow' })
  await database.listen()
  const counted: typeof fetch = async (...request) => {
    underWay++
    try {
      const response = await fetch(...request)
      const body = await response.arrayBuffer()
      return new Response(body, { status: response.status, headers: response.headers })
    } finally {
      underWay--
    }
  }
  const random = seededRandom(11)
  const dead = new Set<string>()
  const probe = async ({ serverId, packets }: { serverId: string; packets: number }): Promise<ProbeResult> =>
    dead.has(serverId)
      ? { sent: packets, received: 0, rttMs: [], failure: { kind: 'no_reply', layer: 'icmp' } }
      : { sent: packets, received: packets, rttMs: Array.from({ length: packets }, () => 1 + random()) }
  const duck = vpnDuck({ databaseServiceUrl: database.url, fetch: counted, clock, random })
  const engine = createPintail({
    registry: duck.registry,
    mover: duck.mover,
    log: duck.log,
    probers: [{ name: 'icmp', probe }],
    store: memoryStore({ journalLimit: 100_000 }),
    clock,
    random,
    policy: resolveSettings({ flags: {}, env: {} }).policy,
  })
  await engine.start()
  const close = async (): Promise<void> => {
    const stopped = engine.stop()
    await clock.advance(15_000)
    await stopped
    await duck.close()
    await database.close()
  }
  return { clock, database, engine, dead, close }
}

test('memory is flat over 24 virtual hours, with an outage every two of them', async () => {
  const { clock, database, engine, dead, close } = await world()
  const heap: number[] = []
  const pending: number[] = []
  let lists = 0
  try {
    for (let step = 0; step < 12; step++) {
      const victim = String((step % 6) + 1)
      await clock.advance(hour)
      // Clients go on talking to their servers: v1 lists only who has done so within the hour.
      for (const session of database.tables.sessions) session.lastActivity = clock.now()
      dead.add(victim)
      await clock.advance(hour / 6)
      expect(engine.status().incidents.map(({ serverId }) => serverId)).toEqual([victim])
      dead.delete(victim)
      await clock.advance((5 * hour) / 6)
      expect(engine.status().counts.up).toBe(6)
      lists += database.calls.filter(({ path }) => path === '/servers/all').length
      // What the stand-in remembers is not what the service does.
      database.calls.length = 0
      gc()
      heap.push(process.memoryUsage().heapUsed)
      pending.push(clock.pending)
    }
    // It did work for it: a list every 15 s, and everybody off the dead servers each time.
    expect(lists).toBeGreaterThan(5000)
    expect(database.tables.migrations.length).toBeGreaterThanOrEqual(60)
  } finally {
    await close()
  }
  // The first hours warm up; from then on the samples stay together. 3 MB are half a kilobyte a list.
  const later = heap.slice(3)
  expect(Math.max(...later) - Math.min(...later)).toBeLessThan(3 * megabyte)
  expect(Math.max(...pending) - Math.min(...pending)).toBeLessThanOrEqual(3)
  expect(clock.pending).toBe(0)
}, 900_000)
