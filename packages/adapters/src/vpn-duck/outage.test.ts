import { setTimeout } from 'node:timers/promises'
import { createPintail, type Logger, type Pintail, type PintailEvent, type PolicyInput, type Prober } from '@pintail/core'
import { afterEach, expect, test } from 'vitest'
import { listenAgain, unhurriedClock, unhurriedTimeouts } from '../../test/duck.ts'
import { until } from '../../test/until.ts'
import { type Dialect, type VpnDuck, vpnDuck } from './index.ts'
import { createDatabaseService, type DatabaseService, type DatabaseServiceOptions, type StandInUser } from './testing/index.ts'

const minutes = 180_000
const policy: PolicyInput = {
  mode: 'auto',
  registryRefreshMs: 100,
  detect: { checkIntervalMs: 50, pingTimeoutMs: 200, confirm: { durationMs: 100, intervalMs: 20 } },
  guards: { recheckMs: 50 },
  placement: { defaultCapacity: 400 },
  migration: { retryUnplacedMs: 200, backoffMs: 50 },
}

/** 500 rows on server 1: 440 users, 60 of them twice, 20 without a configuration. And ten users on each other server. */
const fleet: readonly StandInUser[] = [
  ...Array.from({ length: 440 }, (_, index) => ({
    id: 1001 + index,
    server: 1,
    rows: index < 60 ? 2 : 1,
    hasConfiguration: index < 60 || index >= 80,
  })),
  ...[2, 3, 4, 5, 6].flatMap((server) => Array.from({ length: 10 }, (_, index) => ({ id: 5000 + server * 100 + index, server }))),
]
const movable = fleet.filter(({ server, hasConfiguration }) => server === 1 && hasConfiguration !== false).map(({ id }) => id)
const stuck = fleet.filter(({ hasConfiguration }) => hasConfiguration === false).map(({ id }) => id)

interface World {
  readonly service: DatabaseService
  readonly duck: VpnDuck
  readonly pintail: Pintail
  readonly events: PintailEvent[]
  readonly lines: string[]
  readonly dead: Set<string>
}

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function world(dialect: Dialect, more: Partial<DatabaseServiceOptions> = {}): Promise<World> {
  const service = createDatabaseService({ dialect, servers: 6, users: fleet, ...more })
  await service.listen()
  ends.push(() => service.close())
  return { service, ...(await start(service)) }
}

/** An engine in real time, with a prober that a set of dead servers answers for. */
async function start(service: DatabaseService, dead: Set<string> = new Set()) {
  const lines: string[] = []
  const line = (_: object, text: string): void => void lines.push(text)
  const logger: Logger = { debug: () => {}, info: line, warn: line, error: line }
  const duck = vpnDuck({ databaseServiceUrl: service.url, backoffMs: 20, timeouts: unhurriedTimeouts, clock: unhurriedClock, logger })
  const prober: Prober = {
    name: 'made-up',
    async probe({ serverId, packets }) {
      const failure = dead.has(serverId) ? ({ kind: 'no_reply', layer: 'made-up' } as const) : null
      return { sent: packets, received: failure ? 0 : packets, rttMs: failure ? [] : Array<number>(packets).fill(5), failure }
    },
  }
  const { registry, mover, log } = duck
  const pintail = createPintail({ registry, mover, log, probers: [prober], policy, logger })
  const events: PintailEvent[] = []
  pintail.on('*', (event) => events.push(event))
  await pintail.start()
  ends.push(async () => {
    await pintail.stop()
    await duck.close()
  })
  return { duck, pintail, events, lines, dead }
}

const statusOf = ({ service }: World, server: number): string | undefined => service.tables.servers.get(server)?.status
const movesOf = ({ service }: World) => service.calls.filter(({ path }) => path.endsWith('change_geolocation'))
const allUp = ({ pintail }: World): boolean => pintail.status().counts.up === 6
const ended = ({ pintail }: World): boolean => pintail.status().evacuations.length === 0

for (const [dialect, clients] of [
  ['v1', 'stay'],
  ['v2', 'stay'],
  ['v2', 'follow'],
] as const)
  test(
    `${dialect}, clients ${clients}: a dead server’s users are moved once and logged once, it is set inactive, and active when it is back`,
    async () => {
      const here = await world(dialect, { clients })
      const { service, dead } = here
      await until('six servers up', () => allUp(here))
      dead.add('1')
      await until('everybody moved', () => movable.every((user) => service.homeOf(user) !== 1))
      await until('inactive', () => statusOf(here, 1) === 'inactive')
      await until('all logged', () => service.tables.migrations.length >= movable.length)
      // Several more looks at the source, which goes on listing them.
      await setTimeout(1000)

      const moved = movesOf(here).map(({ body }) => body.user_id as number)
      const settled = moved.filter((user) => movable.includes(user)).sort()
      expect(settled).toEqual([...movable].sort())
      expect(
        service.tables.migrations
          .filter(({ success }) => success)
          .map(({ userId }) => userId)
          .sort(),
      ).toEqual([...movable].sort())
      expect(stuck.map((user) => service.homeOf(user))).toEqual(stuck.map(() => null))
      expect(moved.filter((user) => stuck.includes(user))).toEqual([])

      dead.delete('1')
      await until('active again', () => statusOf(here, 1) === 'active')
      await until('ended', () => ended(here))
      expect(movesOf(here)).toHaveLength(movable.length)
    },
    minutes,
  )

const eventsOf = ({ events }: World, type: string): readonly PintailEvent[] => events.filter((event) => event.type === type)

test(
  'an operator’s own inactive and maintenance stay, whatever the servers do',
  async () => {
    const here = await world('v1')
    const { service, dead } = here
    service.operatorSets(2, 'inactive')
    service.operatorSets(3, 'maintenance')
    await until('six servers up', () => allUp(here))
    dead.add('2').add('3')
    await until('two down', () => here.pintail.status().counts.down === 2)
    await setTimeout(500)
    dead.clear()
    await until('six servers up', () => allUp(here))
    await setTimeout(500)
    expect([2, 3].map((id) => statusOf(here, id))).toEqual(['inactive', 'maintenance'])
    // Nor does an operator's word over ours go away when the server is back.
    dead.add('1')
    await until('inactive', () => statusOf(here, 1) === 'inactive')
    await until('seen', () => here.pintail.status().servers.find(({ serverId }) => serverId === '1')?.status === 'offline')
    service.operatorSets(1, 'maintenance')
    await until('seen', () => here.pintail.status().servers.find(({ serverId }) => serverId === '1')?.status === 'maintenance')
    await until('everybody moved', () => movable.every((user) => service.homeOf(user) !== 1))
    dead.clear()
    await until('recovered', () => eventsOf(here, 'incident.recovered').length > 0)
    await setTimeout(500)
    expect(statusOf(here, 1)).toBe('maintenance')
    expect(service.calls.filter(({ path }) => path.endsWith('/status')).map(({ body }) => body)).toEqual([{ status: 'inactive' }])
  },
  minutes,
)

for (const dialect of ['v1', 'v2'] as const)
  test(
    `${dialect}: a log that is down holds no evacuation, and every move arrives there later, once`,
    async () => {
      const here = await world(dialect)
      const { service, dead } = here
      service.faults.set({ kind: 'error', path: 'server_migrations' })
      await until('six servers up', () => allUp(here))
      dead.add('1')
      await until('everybody moved', () => movable.every((user) => service.homeOf(user) !== 1))
      expect(service.tables.migrations).toEqual([])
      service.faults.clear()
      const logged = () => service.tables.migrations.filter(({ success }) => success).map(({ userId }) => userId)
      await until('all logged', () => logged().length >= movable.length)
      expect(logged().sort()).toEqual([...movable].sort())
      expect(eventsOf(here, 'warning').filter((event) => (event.data as { code?: string }).code === 'sink_failed')).toHaveLength(1)
    },
    minutes,
  )

test(
  'a prober that loses its network moves nobody, sets no status, and says so once',
  async () => {
    for (const dialect of ['v1', 'v2'] as const) {
      const here = await world(dialect)
      await until('six servers up', () => allUp(here))
      for (const id of [1, 2, 3, 4, 5, 6]) here.dead.add(String(id))
      await until('six servers down', () => here.pintail.status().counts.down === 6)
      await setTimeout(1500)
      expect(movesOf(here)).toEqual([])
      expect([1, 2, 3, 4, 5, 6].map((id) => statusOf(here, id))).toEqual(Array(6).fill('active'))
      const denied = eventsOf(here, 'guard.denied')
      expect(denied).toMatchObject([{ data: { guard: 'no_control' } }])
    }
  },
  minutes,
)

test(
  'a database service that is down in the middle loses nobody',
  async () => {
    const here = await world('v1')
    const { service, dead } = here
    await until('six servers up', () => allUp(here))
    dead.add('1')
    await until('some moved', () => movable.some((user) => service.homeOf(user) !== 1))
    await service.close()
    await setTimeout(1500)
    await listenAgain(service)
    await until('everybody moved', () => movable.every((user) => service.homeOf(user) !== 1))
    await until('all logged', () => service.tables.migrations.length >= movable.length)
    const times = new Map<number, number>()
    for (const { body, status } of movesOf(here))
      if (status === 200) times.set(Number(body.user_id), (times.get(Number(body.user_id)) ?? 0) + 1)
    expect([...times.keys()].sort()).toEqual([...movable].sort())
  },
  minutes,
)
