import { expect, test } from 'vitest'
import { PintailError } from '../errors.ts'
import type { Logger } from '../ports.ts'
import { createFleet } from './index.ts'

// What seed 001 asks of the engine, and no other test shows: masking, and a configuration that changes while it runs.

test('no meta of a row is in a line of the log, in the audit trail, in an event or in the status', async () => {
  const lines: string[] = []
  const write = (data: object, message: string) => void lines.push(JSON.stringify([data, message]))
  const logger: Logger = { debug: write, info: write, warn: write, error: write }
  const meta = { password: 'hunter2' }
  const servers = [1, 2, 3, 4].map((one) => ({ id: `s${one}`, host: `10.0.0.${one}`, capacity: 50, meta }))
  const fleet = await createFleet({
    servers,
    connections: { s1: [{ id: 'ann', meta }, { id: 'bob', meta }, { id: '', meta } as never] },
    replace: ({ mover }) => ({
      logger,
      mover: {
        ...mover,
        move: async (move, ctx) => {
          expect(move.connection.meta).toEqual(meta)
          expect(move.to.meta).toEqual(meta)
          if (move.connection.id === 'bob') throw new PintailError('rejected', 'no account')
          await mover.move(move, ctx)
        },
      },
    }),
  })
  fleet.registry.putServer({ id: 's5', host: 'not a host', meta })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  fleet.revive('s1')
  await fleet.advance(60_000)
  expect(fleet.registry.homeOf('ann')).not.toBe('s1')
  expect(fleet.events.map(({ type }) => type)).toEqual(expect.arrayContaining(['warning', 'connection.moved', 'connection.move_failed']))
  expect(lines.length).toBeGreaterThan(10)
  for (const told of [lines, fleet.log.entries(), fleet.events, fleet.pintail.status()])
    expect(JSON.stringify(told)).not.toContain('hunter2')
  await fleet.stop()
})

test('a policy that is changed while the engine runs holds from then on', async () => {
  const fleet = await createFleet({ servers: 6, policy: { mode: 'observe' } })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  expect(fleet.registry.on('s1')).toHaveLength(10)
  await fleet.pintail.policy.update({ mode: 'auto' }, { ifVersion: 0 })
  await fleet.advance(60_000)
  expect(fleet.registry.on('s1')).toEqual([])
  await fleet.pintail.policy.update({ detect: { checkIntervalMs: 60_000 } }, { ifVersion: 1 })
  expect(fleet.pintail.policy.get()).toMatchObject({
    version: 2,
    sources: { 'mode.server-down': 'patch', 'detect.checkIntervalMs': 'patch', 'detect.pingCount': 'default' },
  })
  await fleet.stop()
})
