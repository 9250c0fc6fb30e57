// Vantages that tell over NATS, on real packets: a broker and an engine on the prober's side, each vantage in a namespace of its own. Its way to
// the servers and its way to the broker are cut separately.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { end } from './children.ts'
import type { NatsVantageLine, NatsVantageSetting } from './natsVantage.ts'
import { type Running, runEngine } from './running.ts'
import { makeWorld, type World } from './world.ts'

const usersEach = 12
const count = 6
const elsewhere = ['tehran1', 'tehran2'] as const
/** Of the first vantage, which the prober is. */
const nats = '10.98.0.2:4222'
const pace = { checkIntervalMs: 400, pingTimeoutMs: 400, falseEvacuationsPerMonth: null } as const
const detect = { ...pace, confirm: { intervalMs: 100, durationMs: 1500, timeoutMs: 300 } }

let world: World
let hosts: readonly string[]
beforeAll(async () => {
  world = await makeWorld()
  for (const name of elsewhere) await world.addVantage(name)
  hosts = Array.from({ length: count }, (_, index) => world.host(index + 1))
  // The networks of the vantages know each other by way of the router.
  await world.exec('prober', 'ip', 'route', 'replace', '10.98.0.0/16', 'via', '10.98.0.1')
  for (const [index, name] of elsewhere.entries())
    await world.exec(name, 'ip', 'route', 'replace', '10.98.0.0/24', 'via', `10.98.${index + 1}.1`)
  await world.exec('router', 'nft', 'add table ip brokers; add set ip brokers cut { type ifname; }')
  await world.exec('router', 'nft', 'add chain ip brokers forward { type filter hook forward priority 0; }')
  await world.exec('router', 'nft', 'add rule ip brokers forward iifname @cut ip daddr 10.98.0.2 drop')
  await world.exec('router', 'nft', 'add rule ip brokers forward oifname @cut ip saddr 10.98.0.2 drop')
})
afterEach(async () => {
  for (const stop of ends.splice(0).reverse()) await stop()
  await world.faults.heal()
  await world.exec('router', 'nft', 'flush set ip brokers cut')
})
afterAll(() => world?.destroy())

const ends: (() => unknown)[] = []
/** The router's side of a vantage's cable. */
const cableOf = (name: string) => `v${1 + elsewhere.indexOf(name as never)}`
const cutBroker = (name: string) => world.exec('router', 'nft', `add element ip brokers cut { ${cableOf(name)} }`)
const mendBroker = (name: string) => world.exec('router', 'nft', `delete element ip brokers cut { ${cableOf(name)} }`)
const sum = (all: readonly number[] = []) => all.reduce((total, one) => total + one, 0)

async function startBroker(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'pintail-lab-nats-'))
  world.leaves(folder)
  const file = join(folder, 'nats-server.conf')
  writeFileSync(file, `listen: "${nats}"\njetstream { store_dir: ${JSON.stringify(join(folder, 'store'))} }\n`)
  const child = world.spawn('prober', 'sh', '-c', `PATH=$PATH:/usr/sbin exec nats-server -c ${file} 2>&1`)
  await new Promise<void>((resolve, reject) => {
    child.once('exit', () => reject(new Error('the broker ended')))
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      if (line.includes('Server is ready')) resolve()
    })
  })
  ends.push(async () => {
    await end(child)
    rmSync(folder, { recursive: true, force: true })
  })
}

/** A vantage's process, and what it says of itself. */
function startVantage(name: string) {
  const setting: NatsVantageSetting = { name, nats, prober: 'icmp', detect }
  const child = world.node(name, 'lab/natsVantage.ts', JSON.stringify(setting))
  let last: NatsVantageLine | null = null
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    last = JSON.parse(line)
  })
  ends.push(() => end(child))
  return {
    status: (): NatsVantageLine | null => last,
    lie: (how: 'up' | 'down' | 'no') => child.stdin?.write(`lie ${how}\n`),
  }
}
type LabVantage = ReturnType<typeof startVantage>

/** An engine in Europe and two vantages in Iran; half of the users are there. */
async function start(): Promise<{ readonly engine: Running; readonly vantages: Readonly<Record<(typeof elsewhere)[number], LabVantage>> }> {
  await startBroker()
  const engine = runEngine(world, {
    ...{ hosts, port: 443, usersEach, prober: 'icmp', regions: ['ir', 'eu'], vantage: { name: 'fra-1', region: 'eu' }, nats },
    policy: {
      mode: 'auto',
      registryRefreshMs: 500,
      guards: { recheckMs: 200 },
      detect: { ...detect, vantages: { tehran1: { region: 'ir' }, tehran2: { region: 'ir' } } },
    },
  })
  const [tehran1, tehran2] = [startVantage('tehran1'), startVantage('tehran2')]
  await engine.allUp()
  // Delivered: the engine has told them the servers, they have looked, and the broker has it.
  for (const one of [tehran1, tehran2]) await expect.poll(() => one.status()?.sent ?? 0, { timeout: 120_000 }).toBeGreaterThan(3 * count)
  return { engine, vantages: { tehran1, tehran2 } }
}
const moreThan = (vantage: LabVantage, samples: number) => {
  const from = vantage.status()?.sent ?? 0
  return expect.poll(() => (vantage.status()?.sent ?? 0) - from, { timeout: 120_000 }).toBeGreaterThan(samples)
}
const everybody = (all: readonly string[]) => all.map(() => usersEach)

test("a server that is blocked for one region loses that region's users, over NATS too, and stays in service for all others", async () => {
  const { engine } = await start()
  for (const name of elsewhere) await world.faults.block(name, [hosts[0] as string])
  const opened = await engine.until('incident.opened')
  expect(opened.data).toMatchObject({ serverId: 's1', audience: 'ir' })
  expect(opened.data.reasons[0].message).toMatch(/^down for region ir: 2 of 2 vantages/)
  await engine.until('evacuation.completed')
  const { byRegion, statuses } = await engine.stop()
  expect(byRegion.ir?.[0]).toBe(0)
  expect(sum(byRegion.ir)).toBe((usersEach / 2) * count)
  expect(byRegion.eu).toEqual(hosts.map(() => usersEach / 2))
  expect(new Set(statuses)).toEqual(new Set(['online']))
})

test('a vantage that loses its way to the servers, or to the broker, or both, is no witness, and nobody is moved', async () => {
  const { engine, vantages } = await start()
  // It can tell, and sees nothing.
  await world.faults.block('tehran1', hosts)
  // It sees, and cannot tell.
  await cutBroker('tehran2')
  for (const name of elsewhere) await engine.until('vantage.lost', ({ vantage }) => vantage === name)
  await cutBroker('tehran1')
  await expect.poll(() => vantages.tehran1.status()?.delivering, { timeout: 120_000 }).toBe(false)
  expect(engine.told('incident.opened')).toEqual([])
  await world.faults.heal()
  for (const name of elsewhere) await mendBroker(name)
  for (const name of elsewhere) await engine.until('vantage.returned', ({ vantage }) => vantage === name)
  expect(engine.told('incident.opened')).toEqual([])
  expect((await engine.stop()).users).toEqual(everybody(hosts))
})

test('a lying vantage moves nobody: neither while it calls everything down, nor while it calls everything up', async () => {
  const { engine, vantages } = await start()
  vantages.tehran1.lie('down')
  await moreThan(vantages.tehran1, 15 * count)
  vantages.tehran1.lie('up')
  // One is blocked for the region, and the liar alone says that it is not: its users stay.
  for (const name of elsewhere) await world.faults.block(name, [hosts[0] as string])
  await moreThan(vantages.tehran2, 8 * count)
  expect(engine.told('incident.opened')).toEqual([])
  // When it tells the truth again the other one is not alone any more.
  vantages.tehran1.lie('no')
  const opened = await engine.until('incident.opened')
  expect(opened.data).toMatchObject({ serverId: 's1', audience: 'ir' })
  await engine.until('evacuation.completed')
  const { users } = await engine.stop()
  expect(users[0]).toBe(usersEach / 2)
  expect(sum(users)).toBe(usersEach * count)
})
