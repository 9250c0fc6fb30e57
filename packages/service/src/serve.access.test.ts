import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { DuckWorld, serverIds } from '../test/duck.ts'
import { eventually, Service } from '../test/service.ts'
import { hashOf, newKey } from './accounts/keys.ts'

// A real process: seed 004's level 1, over the API, from the outage to the move.

const fast = join(import.meta.dirname, '..', 'test', 'fast.yaml')

test('in mode suggest an operator approves over /api what was suggested, and it runs; who did what is in the audit, and no key', async () => {
  await using world = await DuckWorld.open({ dialect: 'v1', users: 12 })
  const [operator, viewer] = [newKey(), newKey()]
  const audit = join(world.folder, 'audit.jsonl')
  await using service = new Service(
    ['serve', '--config', fast],
    world.env({
      PINTAIL_MODE: 'suggest',
      PINTAIL_API_KEYS: `ops:operator:${hashOf(operator)},grafana:viewer:${hashOf(viewer)}`,
      PINTAIL_PSEUDONYM_KEY: 'a key of tests alone',
      PINTAIL_AUDIT: audit,
    }),
  )
  const address = await service.address()
  const ask = async (path: string, key: string, method = 'GET') => {
    const headers = { authorization: `Bearer ${key}`, 'if-match': '*' }
    const answer = await fetch(`${address}${path}`, { method, headers })
    return { status: answer.status, body: (await answer.json()) as { readonly evacuations?: readonly { readonly id: string }[] } }
  }
  expect((await service.says(/^\/api is open for those with an account/)).keys).toEqual(['ops (operator)', 'grafana (viewer)'])
  await eventually(async () => (await service.health()).body.servers.up === serverIds.length, 'all servers up', service)
  await world.kill(2)
  const suggested = async () => (await ask('/api/evacuations?status=suggested', viewer)).body.evacuations ?? []
  await eventually(async () => (await suggested()).length === 1, 'a suggestion', service)
  const id = (await suggested())[0]?.id
  expect((await ask(`/api/evacuations/${id}/approve`, viewer, 'POST')).status).toBe(403)
  expect((await ask(`/api/evacuations/${id}/approve`, newKey(), 'POST')).status).toBe(401)
  expect(world.usersOn(2)).toBe(12)
  expect((await ask(`/api/evacuations/${id}/approve`, operator, 'POST')).status).toBe(200)
  await eventually(() => world.usersOn(2) === 0, 'nobody left on server 2', service)

  // Not there before its first line; and what stands behind the last line break is half of one.
  const trail = async () =>
    (existsSync(audit) ? await readFile(audit, 'utf8') : '')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line))
  const action = 'evacuations:approve'
  await eventually(async () => (await trail()).length === 3, 'three entries', service)
  expect(await trail()).toMatchObject([
    { type: 'access.refused', data: { code: 'forbidden', who: 'key:grafana', action } },
    { type: 'access.refused', data: { code: 'credentials_invalid', who: null, action } },
    { type: 'access.used', data: { who: 'key:ops', action, status: 200 } },
  ])
  expect(service.said(/^key:ops: evacuations:approve → 200/)).toHaveLength(1)
  const said = service.output + service.stderr + (await readFile(audit, 'utf8'))
  for (const hidden of [operator, viewer, hashOf(operator), 'a key of tests alone']) expect(said).not.toContain(hidden)
  service.kill('SIGTERM')
  expect(await service.exit()).toBe(0)
}, 240_000)

test('without an account the start says that /api is closed and how to open it', async () => {
  await using world = await DuckWorld.open({ dialect: 'v1' })
  await using service = new Service(['serve', '--config', fast], world.env())
  const line = await service.says(/^\/api is closed/)
  expect([line.level, line.msg]).toEqual(['info', expect.stringContaining('PINTAIL_API_KEYS')])
  expect((await fetch(`${await service.address()}/api/servers`)).status).toBe(403)
  expect((await fetch(`${await service.address()}/metrics`)).status).toBe(200)
}, 240_000)
