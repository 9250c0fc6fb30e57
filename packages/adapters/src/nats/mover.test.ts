import { connectionMoverContract } from '@pintail/core/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { call, disconnected, moveOf, regionFleet, servers, users } from '../../test/fleet.ts'
import { hasNats, type NatsServer, needsNats, startNats } from '../../test/nats.ts'
import { patient } from '../../test/patient.ts'

describe.skipIf(!hasNats)(`the mover over workers of regions ${needsNats}`, () => {
  let server: NatsServer
  beforeAll(async () => {
    server = await startNats()
  })
  afterAll(() => server?.stop())

  const rules = connectionMoverContract(
    async () => {
      const fleet = await regionFleet(server, { options: { checks: true } })
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
        sourceDies: () => {
          const { before } = fleet.handler
          fleet.handler.before = (what, access, signal) => {
            if (access.serverId === 's1') throw new Error('s1 is dead')
            return before(what, access, signal)
          }
        },
        goDown: async () => {
          const down = disconnected(fleet.nats)
          fleet.relay.turn('down')
          fleet.book.turn('down')
          await down
        },
        fallSilent: () => {
          fleet.relay.turn('silent')
          fleet.book.turn('silent')
        },
        comeBack: () => fleet.mend(),
        dispose: () => fleet[Symbol.asyncDispose](),
      }
    },
    { without: ['prepare', 'moveMany'], ...patient },
  )
  for (const rule of rules) test(rule.name, rule.run)

  test('a move resolves with what the worker has answered, and its home is set after that', async () => {
    await using fleet = await regionFleet(server)
    const access = await fleet.mover.move(moveOf('a'), call())
    expect(access).toEqual({ address: '10.0.0.1/a' })
    expect(fleet.handler.granted.get('s2/a')).toEqual({ key: 'k-a' })
    expect(await fleet.book.homeOf('a')).toBe('s2')
    expect(fleet.grantsOf('a')).toEqual(['s1', 's2'])
  })
})
