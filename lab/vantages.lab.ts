// Vantages elsewhere on real packets: what is blocked for one region, and a vantage that has lost its own network.
import { createInterface } from 'node:readline'
import type { SampleInput } from '@pintail/core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type Running, runEngine } from './running.ts'
import type { VantageSetting } from './vantage.ts'
import { makeWorld, type World } from './world.ts'

const usersEach = 12
const count = 6
const port = 443
const elsewhere = ['tehran1', 'tehran2'] as const
let world: World
let hosts: readonly string[]
beforeAll(async () => {
  world = await makeWorld()
  await world.listenTcp(port)
  for (const name of elsewhere) await world.addVantage(name)
  hosts = Array.from({ length: count }, (_, index) => world.host(index + 1))
})
afterEach(async () => {
  await world.faults.heal()
  for (const name of ['prober', ...elsewhere]) await world.link(name, 'up')
})
afterAll(() => world?.destroy())

/** An engine in Europe and two vantages in Iran, which hand in what they see; half of the users are there. */
async function start(): Promise<Running> {
  const engine = runEngine(world, {
    ...{ hosts, port, usersEach, prober: 'allOf', regions: ['ir', 'eu'], vantage: { name: 'fra-1', region: 'eu' } },
    policy: {
      mode: 'auto',
      registryRefreshMs: 500,
      guards: { recheckMs: 200 },
      detect: {
        checkIntervalMs: 500,
        pingTimeoutMs: 500,
        confirm: { intervalMs: 100, durationMs: 1500, timeoutMs: 300 },
        vantages: { tehran1: { region: 'ir' }, tehran2: { region: 'ir' } },
      },
    },
  })
  /** Servers that have answered a vantage. */
  const answered = new Map<string, Set<string>>(elsewhere.map((name) => [name, new Set()]))
  for (const name of elsewhere) {
    const setting: VantageSetting = { name, hosts, port, prober: 'icmp', everyMs: 400, timeoutMs: 300 }
    const child = world.node(name, 'lab/vantage.ts', JSON.stringify(setting))
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const { serverId, received } = JSON.parse(line) as SampleInput
      if (received > 0) answered.get(name)?.add(String(serverId))
      engine.observe(line)
    })
    ends.push(() => child.stdin?.end())
  }
  await engine.allUp()
  // Their word counts as soon as a host has answered them, and the engine has read of it before it answers.
  for (const name of elsewhere) await expect.poll(() => answered.get(name)?.size, { message: name }).toBe(count)
  await engine.look()
  return engine
}
const ends: (() => void)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

const settled = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const sum = (all: readonly number[] = []) => all.reduce((total, one) => total + one, 0)

test("a server that is blocked for one region loses that region's users, and stays in service for all others", async () => {
  const engine = await start()
  for (const name of elsewhere) await world.faults.block(name, [hosts[0] as string])
  const opened = await engine.until('incident.opened')
  expect(opened.data).toMatchObject({ serverId: 's1', audience: 'ir' })
  expect(opened.data.reasons[0].message).toMatch(/^down for region ir: 2 of 2 vantages \(tehran1: no answer .*tehran2: no answer /)
  await engine.until('evacuation.completed')
  const { byRegion, statuses } = await engine.stop()
  expect(byRegion.ir?.[0]).toBe(0)
  expect(byRegion.eu).toEqual(hosts.map(() => usersEach / 2))
  expect(sum(byRegion.ir)).toBe((usersEach / 2) * count)
  expect(new Set(statuses)).toEqual(new Set(['online']))
})

test('a vantage that has lost its own network is no witness: nobody is moved, and it is told', async () => {
  const engine = await start()
  await world.link('tehran1', 'cut')
  const lost = await engine.until('vantage.lost', ({ vantage }) => vantage === 'tehran1')
  expect(lost.data).toMatchObject({ vantage: 'tehran1', region: 'ir' })
  await settled(2000)
  await world.link('tehran2', 'cut')
  await engine.until('vantage.lost', ({ vantage }) => vantage === 'tehran2')
  await settled(3000)
  expect(engine.told('incident.opened')).toEqual([])
  await world.link('tehran1', 'up')
  await engine.until('vantage.returned', ({ vantage }) => vantage === 'tehran1')
  const { users } = await engine.stop()
  expect(users).toEqual(hosts.map(() => usersEach))
})
