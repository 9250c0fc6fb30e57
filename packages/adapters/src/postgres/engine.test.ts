// An engine whose database fails in the middle of an evacuation.

import type pg from 'pg'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { hasPostgres, needsPostgres, type PostgresServer, startPostgres } from '../../test/postgres.ts'
import { type Relay, relayTo } from '../../test/relay.ts'
import { evacuateThrough, type Trouble } from '../../test/trouble.ts'
import { until } from '../../test/until.ts'
import { postgresStores } from './index.ts'

describe.skipIf(!hasPostgres)(`postgres ${needsPostgres}`, () => {
  let server: PostgresServer
  let relay: Relay
  let admin: pg.Pool
  let schemas = 0
  beforeAll(async () => {
    server = await startPostgres()
    relay = await relayTo(server.port)
    admin = server.pool({ max: 2 })
  }, 60_000)
  afterAll(async () => {
    await server?.stop()
    await relay?.close()
  })

  /** Stores of their own, with their pool behind the relay. */
  async function through(trouble: (pool: pg.Pool, schema: string) => Pick<Trouble, 'begin' | 'end'>): Promise<void> {
    const pool = server.pool({ port: relay.port, max: 4 })
    const schema = `engine_${++schemas}`
    const { store, leases, migrate } = postgresStores({ pool, schema, timeoutMs: 300 })
    await migrate()
    await evacuateThrough({ store, leases, ...trouble(pool, schema) })
  }

  test(
    'while every connection is cut, also in the middle of a commit, nobody is moved; then the evacuation goes on',
    () => through(() => ({ begin: () => relay.turn('down'), end: () => relay.turn('up') })),
    120_000,
  )

  test(
    'while the database answers after the time-out nobody is moved; what it had kept is not kept again',
    () => through(() => ({ begin: () => relay.turn('silent'), end: () => relay.turn('up') })),
    120_000,
  )

  test(
    'while the pool is exhausted nobody is moved; then the evacuation goes on',
    () =>
      through((pool) => {
        let taken: pg.PoolClient[] = []
        return {
          begin: async () => {
            taken = await Promise.all(Array.from({ length: 4 }, () => pool.connect()))
          },
          end: () => {
            for (const client of taken) client.release()
          },
        }
      }),
    120_000,
  )

  test(
    'while somebody holds a lock on the tables nobody is moved; then the evacuation goes on',
    () =>
      through((_, schema) => {
        let client: pg.PoolClient
        return {
          begin: async () => {
            client = await admin.connect()
            await client.query(`BEGIN; LOCK TABLE ${schema}.state IN ACCESS EXCLUSIVE MODE`)
          },
          end: async () => {
            await client.query('ROLLBACK')
            client.release()
          },
        }
      }),
    120_000,
  )

  test(
    'while the server is read-only, as after a failover, nobody is moved; then the evacuation goes on',
    () =>
      through(() => {
        const say = async (word: 'on' | 'off') => {
          await admin.query(`ALTER SYSTEM SET default_transaction_read_only = ${word}`)
          await admin.query('SELECT pg_reload_conf()')
          // The server learns it a moment later, and then every new connection; one that is open at some time.
          await until(`new connections are read-only: ${word}`, async () => {
            return (await server.anew('SHOW default_transaction_read_only'))?.default_transaction_read_only === word
          })
          relay.cut()
        }
        return {
          begin: () => say('on'),
          end: async () => {
            await admin.query('SET default_transaction_read_only = off')
            await say('off')
          },
        }
      }),
    120_000,
  )
})
