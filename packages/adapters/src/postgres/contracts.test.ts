import type { LeaseStore } from '@pintail/core'
import { leaseStoreContract, migrationStoreContract } from '@pintail/core/testing'
import type pg from 'pg'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { patient } from '../../test/patient.ts'
import { hasPostgres, needsPostgres, type PostgresServer, startPostgres } from '../../test/postgres.ts'
import { type Relay, relayTo } from '../../test/relay.ts'
import { postgresStores } from './index.ts'

describe.skipIf(!hasPostgres)(`postgres ${needsPostgres}`, () => {
  let server: PostgresServer
  let relay: Relay
  let direct: pg.Pool
  let pool: pg.Pool
  let schemas = 0
  beforeAll(async () => {
    server = await startPostgres()
    relay = await relayTo(server.port)
    direct = server.pool()
    pool = server.pool({ port: relay.port })
  }, 60_000)
  afterAll(async () => {
    await pool?.end()
    await relay?.close()
    await server?.stop()
  })

  /** Tables of its own; half of them with a prefix. */
  async function fresh() {
    const schema = `world_${++schemas}`
    const names = schemas % 2 === 0 ? { schema } : { schema, tablePrefix: 'pt_' }
    await postgresStores({ pool: direct, ...names }).migrate()
    // Longer than any machine stands still.
    const open = () => postgresStores({ pool, ...names, timeoutMs: 60_000 })
    const lease = `${schema}.${schemas % 2 === 0 ? '' : 'pt_'}lease`
    return {
      open,
      lease,
      goDown: () => relay.turn('down'),
      fallSilent: () => relay.turn('silent'),
      comeBack: () => relay.turn('up'),
      dispose: () => relay.turn('up'),
    }
  }

  const stores = migrationStoreContract(async () => {
    const { open, ...rest } = await fresh()
    return { store: open().store, another: () => open().store, restart: () => open().store, ...rest }
  }, patient)
  for (const rule of stores) test(rule.name, rule.run)

  const leases = leaseStoreContract(async () => {
    const { open, lease, ...rest } = await fresh()
    return {
      leases: open().leases,
      // So that nobody has to wait: for the database so much time has passed when its lease ends that much sooner.
      pass: (ms: number) => direct.query(`UPDATE ${lease} SET until = until - $1 * interval '1 millisecond'`, [ms]),
      another: () => open().leases,
      skewed: (byMs: number) => onWrongTime(open().leases, byMs),
      restart: () => open().leases,
      ...rest,
    }
  }, patient)
  for (const rule of leases) test(`lease: ${rule.name}`, rule.run)
})

/** Its calls, while the time of day is wrong. */
function onWrongTime(inner: LeaseStore, byMs: number): LeaseStore {
  const during = async <T>(call: () => PromiseLike<T>): Promise<T> => {
    const { now } = Date
    Date.now = () => now() + byMs
    try {
      return await call()
    } finally {
      Date.now = now
    }
  }
  return {
    acquire: (...args) => during(() => inner.acquire(...args)),
    renew: (...args) => during(() => inner.renew(...args)),
    release: (...args) => during(() => inner.release(...args)),
  }
}
