import { connectionMoverContract, serverRegistryContract } from '@pintail/core/testing'
import { describe, expect, test } from 'vitest'
import { moverOf, registryOf } from './adapter.ts'
import { Books } from './world.ts'

/** Three servers, four users on the first and one on the second. */
function world() {
  const books = new Books()
  const dead = new Set<string>()
  for (const [n, id] of ['ams-1', 'ams-2', 'fra-1'].entries())
    books.servers.set(id, { id, host: `127.0.0.${n + 11}`, port: 20_000, capacity: 10, region: 'eu', status: 'online' })
  const assign = (id: string, server: string): void => {
    for (const grants of books.grants.values()) grants.delete(id)
    books.users.set(id, { id, region: 'eu', needs: null, home: server })
    books.grantsOn(server).add(id)
  }
  for (const id of ['user-1', 'user-2', 'user-3', 'user-4']) assign(id, 'ams-1')
  assign('user-5', 'ams-2')
  return { books, dead, assign, mover: moverOf(books, (server) => !dead.has(server)), registry: registryOf(books) }
}

describe('the registry', () => {
  const create = () => ({
    registry: world().registry,
    servers: ['ams-1', 'ams-2', 'fra-1'],
    connections: { 'ams-1': ['user-1', 'user-2', 'user-3', 'user-4'], 'ams-2': ['user-5'] },
  })
  for (const rule of serverRegistryContract(create, { without: ['watch', 'change', 'goDown', 'fallSilent'] })) test(rule.name, rule.run)
})

describe('the mover', () => {
  const create = () => {
    const { books, dead, assign, mover } = world()
    const [from, to, other] = [...books.servers.values()]
    if (!from || !to || !other) throw new Error('three servers are needed')
    return {
      mover,
      from,
      to,
      other,
      connections: books.homes('ams-1').map(({ id, region }) => ({ id, region })),
      homeOf: (id: string | number) => books.users.get(String(id))?.home ?? null,
      grantsOf: (id: string | number) => [...books.grants].flatMap(([server, users]) => (users.has(String(id)) ? server : [])),
      assign: (id: string | number, server: string | number) => assign(String(id), String(server)),
      sourceDies: () => dead.add('ams-1'),
    }
  }
  const without = ['prepare', 'verify', 'moveMany', 'refused', 'goDown', 'fallSilent'] as const
  for (const rule of connectionMoverContract(create, { without })) test(rule.name, rule.run)

  test('a full server takes nobody more', async () => {
    const { books, mover, assign } = world()
    for (let n = 0; n < 9; n++) assign(`guest-${n}`, 'ams-2')
    const [from, to] = [...books.servers.values()]
    const move = { key: 'k', connection: { id: 'user-1' }, from, to, fencingToken: 1, epoch: 1 } as unknown as Parameters<
      typeof mover.move
    >[0]
    await expect(mover.move(move, { signal: new AbortController().signal })).rejects.toMatchObject({ code: 'rejected' })
    expect(books.users.get('user-1')?.home).toBe('ams-1')
  })

  test('a dead target is unavailable: nothing has happened there', async () => {
    const { books, dead, mover } = world()
    dead.add('ams-2')
    const [from, to] = [...books.servers.values()]
    const move = { key: 'k', connection: { id: 'user-1' }, from, to, fencingToken: 1, epoch: 1 } as unknown as Parameters<
      typeof mover.move
    >[0]
    await expect(mover.move(move, { signal: new AbortController().signal })).rejects.toMatchObject({ code: 'unavailable' })
    expect(books.grantsOn('ams-2').has('user-1')).toBe(false)
  })
})
