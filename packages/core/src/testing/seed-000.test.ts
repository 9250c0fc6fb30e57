import { expect, test } from 'vitest'
import { PintailError } from '../errors.ts'
import type { ProbeTarget } from '../ports.ts'
import { createFleet } from './index.ts'

// What seed 000 asks of the engine: checks with its values, and its log of migrations.

const seed = { mode: 'auto', detect: { preset: 'seed', jitter: 0 } } as const

test("with the seed's values nothing is checked for 30 s, then each server every 300 s, with five pings of 3 s", async () => {
  const checks: { at: number; target: ProbeTarget }[] = []
  let startedAt = 0
  const fleet = await createFleet({
    servers: 4,
    policy: seed,
    replace: ({ probers, clock }) => {
      const [prober] = probers ?? []
      if (!prober) throw new Error('a fleet has a prober')
      startedAt = clock.now()
      return {
        probers: [
          {
            name: prober.name,
            probe: (target, ctx) => {
              checks.push({ at: clock.now() - startedAt, target })
              return prober.probe(target, ctx)
            },
          },
        ],
      }
    },
  })
  await fleet.advance(29_900)
  expect(checks).toEqual([])
  await fleet.advance(3_600_000)
  for (const id of ['s1', 's2', 's3', 's4']) {
    const own = checks.filter(({ target }) => target.serverId === id)
    expect(own[0]?.at).toBeLessThan(32_000)
    expect(own).toHaveLength(12)
    for (const [index, { at, target }] of own.entries()) {
      expect(target).toMatchObject({ packets: 5, timeoutMs: 3000 })
      if (index > 0) expect(Math.abs(at - (own[index - 1]?.at ?? 0) - 300_000)).toBeLessThanOrEqual(20)
    }
  }
  await fleet.stop()
})

test('latency and packet loss of each server are measured and told', async () => {
  const fleet = await createFleet({ servers: 4, policy: { mode: 'observe', detect: { preset: 'seed', jitter: 0 } } })
  fleet.set('s1', { slow: 120 })
  fleet.set('s2', 'down')
  await fleet.advance(60_000)
  const servers = new Map(fleet.pintail.status().servers.map((server) => [String(server.serverId), server]))
  expect(servers.get('s1')).toMatchObject({ rttMs: 120, lastSample: { sent: 5, received: 5, rttMs: [120, 120, 120, 120, 120] } })
  expect(servers.get('s2')).toMatchObject({ lastSample: { sent: 5, received: 0, failure: { kind: 'no_reply' } } })
  expect(servers.get('s3')).toMatchObject({ rttMs: 20 })
  await fleet.stop()
})

test('each move is in the log once: who, from where, where to, why, and whether it succeeded', async () => {
  const fleet = await createFleet({
    servers: 4,
    connections: { s1: [{ id: 'ann' }, { id: 'bob' }] },
    policy: { mode: 'auto', migration: { maxRetries: 0 } },
    replace: ({ mover }) => ({
      mover: {
        ...mover,
        move: async (move, ctx) => {
          if (move.connection.id === 'bob') throw new PintailError('rejected', 'bob has no account')
          await mover.move(move, ctx)
        },
      },
    }),
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  const outcomes = fleet.log.entries().filter(({ success }) => success !== null)
  const ann = outcomes.filter(({ connectionId }) => connectionId === 'ann')
  expect(ann).toHaveLength(1)
  expect(ann[0]).toMatchObject({ fromServerId: 's1', toServerId: fleet.registry.homeOf('ann'), reason: 'server-down', success: true })
  const bob = outcomes.filter(({ connectionId }) => connectionId === 'bob')
  expect(bob.length).toBeGreaterThan(0)
  for (const entry of bob) expect(entry).toMatchObject({ fromServerId: 's1', reason: 'server-down', success: false })
  // Each server that refused bob has its own entry.
  expect(new Set(bob.map(({ toServerId }) => toServerId)).size).toBe(bob.length)
  expect(new Set(fleet.log.entries().map(({ id }) => id)).size).toBe(fleet.log.entries().length)
  await fleet.stop()
})
