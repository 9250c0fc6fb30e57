import { connectionMoverContract } from '@pintail/core/testing'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { regionFleet, servers, users } from '../../test/fleet.ts'
import { hasNats, type NatsServer, needsNats, startNats } from '../../test/nats.ts'
import { patient } from '../../test/patient.ts'
import { hasPostgres, needsPostgres, type PostgresServer, startPostgres } from '../../test/postgres.ts'
import { postgresAccess } from '../access/index.ts'

describe.skipIf(!hasNats || !hasPostgres)(`the mover over books in PostgreSQL ${needsNats} ${needsPostgres}`, () => {
  let broker: NatsServer
  let database: PostgresServer
  let worlds = 0
  beforeAll(async () => {
    ;[broker, database] = await Promise.all([startNats(), startPostgres()])
  })
  afterAll(async () => {
    await broker?.stop()
    await database?.stop()
  })

  const rules = connectionMoverContract(
    async () => {
      const pool = database.pool({ max: 4 })
      const book = postgresAccess({ pool, timeoutMs: 60_000, schema: `world_${++worlds}` })
      await book.migrate()
      const fleet = await regionFleet(broker, { book })
      const [from, to, other] = servers as [(typeof servers)[0], (typeof servers)[0], (typeof servers)[0]]
      return {
        mover: fleet.mover,
        from,
        to,
        other,
        connections: users.slice(0, 3).map((id) => ({ id })),
        refused: { id: 'refused' },
        homeOf: (id) => fleet.book.homeOf(id),
        grantsOf: (id) => fleet.grantsOf(String(id)),
        assign: (id, serverId) => fleet.book.assign({ id }, serverId),
        dispose: async () => {
          await fleet[Symbol.asyncDispose]()
          await pool.end()
        },
      }
    },
    { without: ['prepare', 'moveMany', 'verify', 'sourceDies', 'goDown', 'fallSilent'], ...patient },
  )
  for (const rule of rules) test(rule.name, rule.run)
})
