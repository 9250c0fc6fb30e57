// One server cannot be reached from one country: whoever is there is moved, and his traffic flows again, while the server
// goes on serving everybody else.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Scene, startScene } from './wireguardScene.ts'

let scene: Scene
beforeAll(async () => {
  scene = await startScene({ others: 4, region: 'ir' })
})
afterAll(() => scene?.end())

test("the path of a user's region to his server is cut, and only that: he alone is moved, and his traffic flows again", async () => {
  const { client, world } = scene
  const homes = await scene.ask('homes', 'homes')
  const blocked = scene.server(homes.u1)
  const pinging = await client.ping(50)
  await pinging.answered(0)
  const at = Date.now()
  for (const place of ['client', 'ir1', 'ir2']) await world.faults.block(place, [blocked.host])
  const opened = await scene.until('incident.opened', () => true, at)
  expect(opened.data).toMatchObject({ serverId: blocked.id, audience: 'ir' })
  await scene.until('update', ({ connectionId, fromServerId }) => connectionId === 'u1' && fromServerId === blocked.id, at)
  const after = Date.now()
  await pinging.answered(after)
  console.log(`traffic flows again ${((await pinging.answered(after)) - at) / 1000} s after the path was cut`)
  await pinging.stop()
  await scene.until('evacuation.completed', () => true, at)
  const { u1, ...others } = await scene.ask('homes', 'homes')
  expect(u1).not.toBe(blocked.id)
  expect({ ...homes, u1 }).toEqual({ u1, ...others })
  expect(scene.told('incident.opened')).toHaveLength(1)
  expect(
    scene.told('server.verdict_changed').filter(({ at: when, data }) => when > at && data.verdict === 'down' && data.audience === null),
  ).toEqual([])
})
