import type { ConnectionId, LogEntry, ServerId, ServerInput } from '@pintail/core'
import {
  connectionMoverContract,
  type LogHarness,
  logSinkContract,
  type MoverHarness,
  type RegistryHarness,
  serverRegistryContract,
} from '@pintail/core/testing'
import { test } from 'vitest'
import { listenAgain, unhurriedClock, unhurriedTimeouts } from '../../test/duck.ts'
import { patient } from '../../test/patient.ts'
import { type Dialect, vpnDuck } from './index.ts'
import { createDatabaseService, type DatabaseServiceOptions, type StandInUser } from './testing/index.ts'

const ctx = { signal: new AbortController().signal }
const users: readonly StandInUser[] = [
  { id: 101, server: 1 },
  { id: 102, server: 1, rows: 3 },
  { id: 103, server: 1 },
  { id: 104, server: 2 },
  { id: 105, server: 1, hasConfiguration: false },
]

/** `stay`: the client keeps its old file, so that VPN Duck goes on listing the user where he was. */
async function world(dialect: Dialect, more: Partial<DatabaseServiceOptions> = {}) {
  const service = createDatabaseService({ dialect, servers: 4, users, ...more })
  const duck = vpnDuck({ databaseServiceUrl: await service.listen(), backoffMs: 5, timeouts: unhurriedTimeouts, clock: unhurriedClock })
  const troubles = {
    goDown: () => service.close(),
    fallSilent: () => service.faults.set('silent'),
    comeBack: async () => {
      service.faults.clear()
      await service.close()
      await listenAgain(service)
    },
    dispose: async () => {
      await duck.close()
      await service.close()
    },
  }
  return { service, duck, troubles }
}

for (const dialect of ['v1', 'v2'] as const) {
  const registryWorld = async (): Promise<RegistryHarness> => {
    const { service, duck, troubles } = await world(dialect)
    service.operatorSets(4, 'inactive')
    // v1 lists only those who have a configuration.
    return {
      registry: duck.registry,
      servers: [1, 2, 3, 4],
      connections: { 1: dialect === 'v1' ? [101, 102, 103] : [101, 102, 103, 105], 2: [104] },
      ...troubles,
    }
  }
  for (const rule of serverRegistryContract(registryWorld, { without: ['watch', 'change'], ...patient }))
    test(`registry, ${dialect}: ${rule.name}`, rule.run)

  // Its table has these columns, and rows of moves only.
  const logWorld = async (): Promise<LogHarness> => {
    const { service, duck, troubles } = await world(dialect)
    return {
      sink: duck.log,
      view: ({ connectionId, fromServerId, toServerId, success }: LogEntry) => ({ connectionId, fromServerId, toServerId, success }),
      example: (index) => ({
        connectionId: String(1000 + index) as ConnectionId,
        fromServerId: '1' as ServerId,
        toServerId: '2' as ServerId,
        success: true,
      }),
      entries: () =>
        service.tables.migrations.map(({ userId, from, to, success }) => ({
          connectionId: String(userId) as ConnectionId,
          fromServerId: String(from) as ServerId,
          toServerId: String(to) as ServerId,
          success,
        })),
      restart: () => vpnDuck({ databaseServiceUrl: service.url, backoffMs: 5, timeouts: unhurriedTimeouts, clock: unhurriedClock }).log,
      ...troubles,
    }
  }
  for (const rule of logSinkContract(logWorld, { without: ['whole'], ...patient })) test(`log, ${dialect}: ${rule.name}`, rule.run)

  for (const clients of ['stay', 'follow'] as const) {
    const moverWorld = async (): Promise<MoverHarness> => {
      const { service, duck, troubles } = await world(dialect, { clients })
      const [from, to, other] = (await duck.registry.listServers(ctx)) as unknown as readonly [ServerInput, ServerInput, ServerInput]
      return {
        mover: duck.mover,
        from,
        to,
        other,
        connections: [{ id: 101 }, { id: 102 }, { id: 103 }],
        homeOf: (id) => service.homeOf(id),
        assign: (id, server) => service.assign(id, server),
        sourceDies: () => {},
        ...troubles,
      }
    }
    // One access a user, which moves as a whole: nothing to prepare, nothing to take back. `refused` is tested apart,
    // because whoever is refused has no home here at all.
    const rules = connectionMoverContract(moverWorld, {
      without: ['prepare', 'complete', 'verify', 'moveMany', 'fencing', 'grantsOf', 'refused'],
      ...patient,
    })
    for (const rule of rules) test(`mover, ${dialect}, clients ${clients}: ${rule.name}`, rule.run)
  }
}
