// The whole way: an engine, a broker, a worker beside each WireGuard daemon, and a user who pings through his tunnel.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { vpnPort } from './wireguardFleet.ts'
import { type Scene, startScene } from './wireguardScene.ts'

let scene: Scene
beforeAll(async () => {
  scene = await startScene({ others: 30, revokeGraceMs: 3000 })
})
afterEach(() => scene?.world.faults.heal())
afterAll(() => scene?.end())

/** Who has a peer in the daemon on this server, by address. */
async function peersOn(id: string): Promise<string[]> {
  const dump = await scene.server(id).wireguard.dump()
  return [...dump.matchAll(/\t(10\.7\.\d+\.\d+)\/32\t/g)].map(([, address]) => address as string).sort()
}
const isUp = (serverId: string, after: number) =>
  scene.until('server.verdict_changed', (data) => data.serverId === serverId && data.verdict === 'up', after)

test('the first sync has given everybody his peer at home, and nobody another', async () => {
  const all = await Promise.all(['de1', 'nl1', 'fr1'].map(peersOn))
  expect(all.map(({ length }) => length)).toEqual([11, 10, 10])
  expect(new Set(all.flat()).size).toBe(31)
})

test('a drain of a living server: no ping is lost, and its peers are gone when it is done', async () => {
  const pinging = await scene.client.ping(200)
  await pinging.answered(0)
  scene.following = (follow) => pinging.between(follow)
  scene.tell('drain de1')
  await scene.until('update', ({ connectionId }) => connectionId === 'u1')
  await scene.until('evacuation.completed')
  for (let times = 0, after = Date.now(); times < 20; times += 1) after = await pinging.answered(after)
  scene.following = (follow) => follow()
  const { sent } = await pinging.stop()
  expect(sent).toBeGreaterThan(20)
  expect(Math.max(...pinging.answers.keys()) - pinging.answers.size).toBe(0)
  expect(await scene.home()).not.toBe('de1')
  await expect.poll(() => peersOn('de1'), { timeout: 120_000 }).toEqual([])
  const rest = (await Promise.all(['nl1', 'fr1'].map(peersOn))).flat()
  expect(new Set(rest).size).toBe(31)
  expect(rest).toHaveLength(31)
  scene.tell('uncordon de1')
})

test('the daemon is killed: the user is elsewhere and his traffic flows; when it is back its peers are gone', async () => {
  const from = await scene.home()
  const pinging = await scene.client.ping(50)
  await pinging.answered(0)
  const at = Date.now()
  await scene.server(from).wireguard.kill()
  await scene.until('update', ({ connectionId, fromServerId }) => connectionId === 'u1' && fromServerId === from, at)
  await pinging.answered(Date.now())
  await pinging.stop()
  expect(await scene.home()).not.toBe(from)
  await scene.server(from).restart()
  await isUp(from, at)
  // A daemon that was started anew knows nobody; what the books say of it is nobody either.
  await expect.poll(() => peersOn(from), { timeout: 120_000 }).toEqual([])
  const rest = (await Promise.all(['de1', 'nl1', 'fr1'].map(peersOn))).flat()
  expect(new Set(rest).size).toBe(31)
})

test('its port is dropped while ping answers: the user is elsewhere, and afterwards everybody has exactly one peer', async () => {
  const from = await scene.home()
  const { host } = scene.server(from)
  const pinging = await scene.client.ping(50)
  await pinging.answered(0)
  const at = Date.now()
  await scene.world.faults.dropUdp([host], vpnPort)
  expect(await scene.world.exec('client', 'ping', '-n', '-c', '1', '-W', '60', host)).toMatch(/1 received/)
  await scene.until('update', ({ connectionId, fromServerId }) => connectionId === 'u1' && fromServerId === from, at)
  await pinging.answered(Date.now())
  await pinging.stop()
  expect(await scene.home()).not.toBe(from)
  await scene.world.faults.heal()
  await isUp(from, at)
  // The worker could be reached all the while: what was revoked is gone, and one sync finds nothing to do.
  await expect.poll(async () => (await Promise.all(['de1', 'nl1', 'fr1'].map(peersOn))).flat().length, { timeout: 120_000 }).toBe(31)
  const reports = await scene.ask('sync', 'synced')
  expect(reports).toHaveLength(3)
  for (const report of reports) expect(report).toMatchObject({ missing: 0, changed: 0, extra: 0 })
})
