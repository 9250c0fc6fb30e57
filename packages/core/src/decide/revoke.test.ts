import { expect, test } from 'vitest'
import type { MigrationId, Move, PendingRevoke, Server } from '../vocabulary.ts'
import { afterMove, homeward, newRevoke, untold, whatIsOwed } from './revoke.ts'

const server = (id: string) => ({ id }) as Server
const move = (from: string, to: string): Move => ({ key: `m/u/1`, connection: { id: 'u' }, from: server(from), to: server(to) }) as Move
const owed = (effect: 'complete' | 'rollback', from = 'a', to = 'b'): PendingRevoke =>
  newRevoke('m' as MigrationId, effect, move(from, to), 1, 2)

test('a completion owes the grant on the source, a rollback the one on the target, each under an id of its own', () => {
  expect(owed('complete')).toMatchObject({ id: 'm/u/1', serverId: 'a', createdAt: 1, dueAt: 2, tries: 0, version: 1 })
  expect(owed('rollback')).toMatchObject({ id: 'm/u/1/rollback', serverId: 'b' })
})

test('what is owed on the source is taken back unless the user is home there again', () => {
  for (const located of ['on_target', 'on_both', 'absent', null] as const) expect(whatIsOwed('complete', located, null)).toBe('take_back')
  expect(whatIsOwed('complete', 'on_source', true)).toBe('nothing')
})

test('nobody is taken off a target before the server is known to live where he belongs (I1)', () => {
  for (const located of ['on_target', 'on_both', null] as const) {
    expect(whatIsOwed('rollback', located, true)).toBe('take_back')
    expect(whatIsOwed('rollback', located, null)).toBe('wait')
  }
  // On the target alone, and nowhere else to go: that is his home now.
  expect(whatIsOwed('rollback', 'on_target', false)).toBe('nothing')
  expect(whatIsOwed('rollback', 'on_both', false)).toBe('wait')
  expect(whatIsOwed('rollback', null, false)).toBe('wait')
})

test('who is not on the target owes nothing there', () => {
  for (const located of ['on_source', 'absent'] as const)
    for (const lives of [true, false, null]) expect(whatIsOwed('rollback', located, lives)).toBe('nothing')
})

test('where a user is moved to, nothing is taken back any more', () => {
  expect(afterMove(owed('complete', 'a', 'b'), move('b', 'a'), true)).toBe(null)
  expect(afterMove(owed('rollback', 'a', 'b'), move('a', 'b'), true)).toBe(null)
})

test('who leaves the target of a failed move was there after all: his old grant where he came from is owed', () => {
  // The completion of the move off b takes back what he has on b; nobody else knows of what he has left on a.
  const before = owed('rollback', 'a', 'b')
  expect(afterMove(before, move('b', 'c'), true)).toEqual({ ...before, effect: 'complete', serverId: 'a', version: 2 })
  expect(afterMove(before, move('b', 'a'), true)).toBe(null)
  expect(afterMove(owed('rollback', 'a', 'b'), move('b', 'c'), false)?.move.from.id).toBe('c')
})

test('a rollback goes on to find whoever was moved elsewhere, and would bring him to his new home', () => {
  const before = owed('rollback', 'a', 'b')
  expect(afterMove(before, move('a', 'c'), true)).toEqual({ ...before, move: { ...before.move, from: server('c') }, version: 2 })
  const old = owed('complete', 'a', 'b')
  expect(afterMove(old, move('b', 'c'), true)).toBe(old)
})

test('who stays is told of the move the other way, under a key of its own', () => {
  expect(homeward(move('a', 'b'))).toMatchObject({ key: 'm/u/1/undo', from: { id: 'b' }, to: { id: 'a' } })
})

test('a warning says how many users do not know where they are', () => {
  const ids = ['u1', 'u2'] as never[]
  expect(untold([])).toEqual([])
  expect([...untold(ids.slice(1)), ...untold(ids)]).toEqual([
    '1 user could not be told where to find the new server',
    '2 users could not be told where to find the new server',
  ])
})
