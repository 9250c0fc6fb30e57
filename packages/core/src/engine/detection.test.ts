import { expect, test } from 'vitest'
import type { ProbeTarget } from '../ports.ts'
import { createFleet } from '../testing/index.ts'
import type { PolicyInput } from '../vocabulary.ts'

/** A fleet whose checks are noted; s1 loses the packets that `isLost` says, from its hundredth second on. */
async function watched(detect: NonNullable<PolicyInput['detect']>, isLost: (count: number) => boolean) {
  const targets: ProbeTarget[] = []
  let count = 0
  const fleet = await createFleet({
    servers: 4,
    connections: { s1: [{ id: 'u1' }] },
    policy: { mode: 'auto', detect },
    replace: ({ clock }) => {
      const begun = clock.now()
      return {
        probers: [
          {
            name: 'noted',
            probe: async (target) => {
              targets.push(target)
              const isGone = target.serverId === 's1' && clock.now() - begun > 100_000 && isLost(count++)
              return { sent: target.packets, received: isGone ? 0 : target.packets, rttMs: isGone ? [] : [40] }
            },
          },
        ],
      }
    },
  })
  return { fleet, targets }
}

const lossy = (count: number): boolean => count % 5 < 2

test('a server that loses two of five packets is evacuated with detector cusum, and not with thresholds', async () => {
  for (const [detector, home] of [
    ['cusum', false],
    ['thresholds', true],
  ] as const) {
    const { fleet } = await watched({ detector }, lossy)
    await fleet.advance(600_000)
    expect(fleet.registry.homeOf('u1') === 's1').toBe(home)
    await fleet.stop()
  }
})

test('an override changes how one server is checked, and a learnt path is not waited for longer than it needs', async () => {
  const { fleet, targets } = await watched({ overrides: [{ servers: ['s1'], checkIntervalMs: 1000 }] }, () => false)
  await fleet.advance(60_000)
  const of = (server: string) => targets.filter(({ serverId }) => serverId === server)
  expect(of('s1').length).toBeGreaterThan(3 * of('s2').length)
  expect(of('s2')[0]?.timeoutMs).toBe(3000)
  expect(of('s2').at(-1)?.timeoutMs).toBeLessThan(300)
  await fleet.stop()
})
