import { expect, test } from 'vitest'
import type { Connection, Move, Server, Token } from '../vocabulary.ts'
import { memoryMover } from './mover.ts'
import { memoryRegistry } from './registry.ts'

const ctx = { signal: new AbortController().signal }
function world(to = 'b') {
  const registry = memoryRegistry({
    servers: [
      { id: 'a', host: '192.0.2.1' },
      { id: 'b', host: '192.0.2.2' },
    ],
    connections: { a: [{ id: 'u' }] },
  })
  const server = (id: string) => ({ id }) as Server
  const connection = { id: 'u', rawId: 'u' } as Connection
  const move: Move = {
    key: 'm/u/1',
    connection,
    from: server('a'),
    to: server(to),
    reason: 'server-down',
    attempt: 1,
    fencingToken: 1 as Token,
    epoch: 1,
    sourceAlive: false,
  }
  return { registry, mover: memoryMover(registry), move }
}

test('a used key neither moves a user whom the host has brought back, nor says that it is done', async () => {
  const { registry, mover, move } = world()
  await mover.move(move, ctx)
  await mover.move(move, ctx)
  registry.assign({ id: 'u' }, 'a')
  await expect(mover.move(move, ctx)).rejects.toMatchObject({ code: 'rejected' })
  expect(registry.homeOf('u')).toBe('a')
})

test('nobody is moved to a server that does not exist', async () => {
  const { registry, mover, move } = world('gone')
  await expect(mover.move(move, ctx)).rejects.toMatchObject({ code: 'rejected' })
  expect(registry.homeOf('u')).toBe('a')
})
