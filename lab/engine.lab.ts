// The main job on real packets: the engine in one namespace, the servers in another, real faults between them.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Setting } from './engine.ts'
import { runEngine } from './running.ts'
import { makeWorld, type World } from './world.ts'

const port = 443
const usersEach = 20
const count = 10
let world: World
let hosts: readonly string[]
beforeAll(async () => {
  world = await makeWorld()
  await world.listenTcp(port)
  hosts = Array.from({ length: count }, (_, index) => world.host(index + 1))
})
afterEach(async () => {
  await world.faults.heal()
  await world.proberLink('up')
})
afterAll(() => world?.destroy())

function run(setting: Partial<Setting> = {}) {
  const policy = {
    mode: 'auto',
    registryRefreshMs: 500,
    guards: { recheckMs: 200 },
    detect: { checkIntervalMs: 500, pingTimeoutMs: 500, confirm: { intervalMs: 100, durationMs: 1500, timeoutMs: 300 } },
  } as const
  return runEngine(world, { hosts, port, usersEach, prober: 'allOf', policy, ...setting })
}

const rest = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

test('a dead server is evacuated onto others within their capacity, and its status is put back when it heals', async () => {
  const engine = run()
  await engine.allUp()
  await world.faults.outage([hosts[0] as string])
  const opened = await engine.until('incident.opened')
  expect(opened.data).toMatchObject({ serverId: 's1', reasons: [{ code: 'no_reply' }] })
  await engine.until('evacuation.completed')
  await world.faults.heal()
  const recovered = await engine.until('incident.recovered')
  expect(recovered.data.statusRestored).toBe(true)
  const { users, statuses } = await engine.stop()
  expect(users[0]).toBe(0)
  expect(users.reduce((sum, one) => sum + one, 0)).toBe(usersEach * count)
  expect(Math.max(...users)).toBeLessThanOrEqual(usersEach * 3)
  expect(new Set(statuses)).toEqual(new Set(['online']))
})

test('a VPN port that is dead while ping answers is an outage, and the layer is named', async () => {
  const engine = run()
  await engine.allUp()
  await world.faults.dropTcp([hosts[2] as string], port)
  const opened = await engine.until('incident.opened')
  expect(opened.data).toMatchObject({ serverId: 's3' })
  await engine.downFor(2, ({ message }) => message.includes('icmp ok, tcp no reply'))
  await engine.until('evacuation.completed')
  expect((await engine.stop()).users[2]).toBe(0)
})

for (const state of ['cut', 'down'] as const)
  test(`a prober whose own link is ${state} moves nobody, while it is so and afterwards`, async () => {
    const engine = run()
    await engine.allUp()
    await world.proberLink(state)
    if (state === 'cut') await engine.until('guard.denied', ({ guard }) => guard === 'no_control')
    await rest(6000)
    await world.proberLink('up')
    await rest(5000)
    expect(engine.told('incident.opened')).toEqual([])
    const { users } = await engine.stop()
    expect(users).toEqual(hosts.map(() => usersEach))
  })

test('more failures than the cap move nobody beyond it, and the guard says so', async () => {
  const engine = run({ prober: 'icmp' })
  await engine.allUp()
  await world.faults.outage(hosts.slice(0, 6))
  await engine.until('guard.denied', ({ guard }) => guard === 'mass_failure')
  await rest(3000)
  const { users } = await engine.stop()
  expect(users.slice(0, 6).filter((left) => left === 0).length).toBeLessThanOrEqual(3)
})
