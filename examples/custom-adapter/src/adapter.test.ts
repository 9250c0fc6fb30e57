import { setTimeout } from 'node:timers/promises'
import { createPintail, type Prober } from '@pintail/core'
import { connectionMoverContract, type MoverHarness, type RegistryHarness, serverRegistryContract } from '@pintail/core/testing'
import { afterEach, expect, test, vi } from 'vitest'
import { acmePanel } from './adapter.ts'
import { AcmePanel } from './panel.ts'

const nodes = [7, 8, 9].map((id) => ({ id, address: `192.0.2.${id}`, enabled: id !== 9, max_users: 50, location: 'eu' }))
const users = ['ann', 'bob', 'cat', 'dan', 'lea'].map((uuid) => ({
  uuid,
  country: 'de',
  node: uuid === 'dan' ? 8 : 7,
  locked: uuid === 'lea',
}))

// For what hangs: a slow machine breaks no rule.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })
const patient = { timeoutMs: 60_000, promptMs: 20_000 }

const open: AcmePanel[] = []
async function startPanel(): Promise<AcmePanel> {
  const panel = await new AcmePanel(nodes, users).start()
  open.push(panel)
  return panel
}
afterEach(async () => {
  for (const panel of open.splice(0)) await panel.stop()
})

async function registryWorld(): Promise<RegistryHarness> {
  const panel = await startPanel()
  return {
    registry: acmePanel(panel.url, 'secret').registry,
    servers: [7, 8, 9],
    connections: { 7: ['ann', 'bob', 'cat', 'lea'], 8: ['dan'] },
    goDown: () => panel.stop(),
    fallSilent: () => panel.fallSilent(),
    comeBack: () => panel.comeBack(),
  }
}

async function moverWorld(): Promise<MoverHarness> {
  const panel = await startPanel()
  const [from, to, other] = nodes.map(({ id, address }) => ({ id, host: address })) as [Server, Server, Server]
  return {
    mover: acmePanel(panel.url, 'secret').mover,
    from,
    to,
    other,
    connections: [{ id: 'ann' }, { id: 'bob' }, { id: 'cat' }],
    refused: { id: 'lea' },
    homeOf: (id) => panel.users.get(String(id))?.node ?? null,
    assign: (id, server) => Object.assign(panel.users.get(String(id)) ?? {}, { node: server }),
    goDown: () => panel.stop(),
    fallSilent: () => panel.fallSilent(),
    comeBack: () => panel.comeBack(),
  }
}
type Server = MoverHarness['from']

const registryRules = serverRegistryContract(registryWorld, { without: ['watch', 'change'], ...patient })
for (const rule of registryRules) test(`registry: ${rule.name}`, rule.run)

// This panel has one access a user, which moves as a whole: there is nothing to prepare, and nothing to take back.
const moverRules = connectionMoverContract(moverWorld, {
  without: ['prepare', 'complete', 'verify', 'moveMany', 'fencing', 'grantsOf', 'sourceDies'],
  ...patient,
})
for (const rule of moverRules) test(`mover: ${rule.name}`, rule.run)

test('a wrong token is a refusal that names the answer of the panel', async () => {
  const panel = await startPanel()
  const { registry } = acmePanel(panel.url, 'wrong')
  const listing = Promise.resolve(registry.listServers({ signal: AbortSignal.timeout(60_000) }) as PromiseLike<unknown>)
  await expect(listing).rejects.toMatchObject({ code: 'rejected', message: 'GET /nodes: 401 {"error":"who are you?"}' })
})

test('Pintail moves everybody off a dead node through it, and leaves whom the panel refuses', async () => {
  const panel = await startPanel()
  const dead = new Set<string>()
  const prober: Prober = {
    name: 'made-up',
    async probe({ serverId, packets }) {
      const failure = dead.has(serverId) ? ({ kind: 'no_reply', layer: 'made-up' } as const) : null
      return { sent: packets, received: failure ? 0 : packets, rttMs: failure ? [] : Array(packets).fill(5), failure }
    },
  }
  const pintail = createPintail({
    ...acmePanel(panel.url, 'secret'),
    probers: [prober],
    policy: { mode: 'auto', detect: { checkIntervalMs: 50, confirm: { durationMs: 100, intervalMs: 20 } }, guards: { recheckMs: 50 } },
  })
  await pintail.start()
  await until(() => pintail.status().counts.up === 3)
  dead.add('7')
  await until(() => ['ann', 'bob', 'cat'].every((uuid) => panel.users.get(uuid)?.node === 8))
  await until(() => panel.nodes.get(7)?.enabled === false)
  expect(panel.users.get('lea')?.node).toBe(7)
  await pintail.stop()
})

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 60_000
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not so after a minute: ${condition}`)
    await setTimeout(20)
  }
}
