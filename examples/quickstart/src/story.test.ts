import { expect, test } from 'vitest'
import { checksOf } from './story.ts'
import { Books } from './world.ts'

/** As it must be at the end: everybody on ams-2, ams-1 back and empty. */
function books(): Books {
  const all = new Books()
  for (const id of ['ams-1', 'ams-2']) all.servers.set(id, { id, host: '127.0.0.1', port: 20_000, capacity: 2, status: 'online' })
  for (const id of ['user-1', 'user-2']) {
    all.users.set(id, { id, region: 'eu', needs: null, home: 'ams-2' })
    all.grantsOn('ams-2').add(id)
  }
  return all
}
const failing = (all: Books, trouble: string | null = null): string[] =>
  checksOf(all, trouble)
    .filter(({ ok }) => !ok)
    .map(({ text }) => text)

test('all is well when everybody has one home with room, and the server is back', () => {
  expect(failing(books())).toEqual([])
})

test('a user left on the dead server is wrong', () => {
  const all = books()
  all.users.set('user-1', { id: 'user-1', region: 'eu', needs: null, home: 'ams-1' })
  all.grantsOn('ams-2').delete('user-1')
  all.grantsOn('ams-1').add('user-1')
  expect(failing(all)).toEqual(['1 user left on ams-1'])
})

test('a server over its capacity is wrong', () => {
  const all = books()
  all.users.set('user-3', { id: 'user-3', region: 'eu', needs: null, home: 'ams-2' })
  all.grantsOn('ams-2').add('user-3')
  expect(failing(all)).toEqual(['over capacity: ams-2'])
})

test('a user with two accesses, or with none, is wrong', () => {
  const two = books()
  two.grantsOn('ams-1').add('user-1')
  expect(failing(two)).toEqual(['1 user with no or two accesses'])
  const none = books()
  none.grantsOn('ams-2').clear()
  expect(failing(none)).toEqual(['2 users with no or two accesses'])
})

test('a server that is not back in the books is wrong', () => {
  const all = books()
  const row = all.servers.get('ams-1')
  if (row) row.status = 'offline'
  expect(failing(all)).toEqual(['ams-1 is offline in the books'])
})

test('a step that took too long is wrong', () => {
  expect(failing(books(), 'the server is back within 30 s')).toEqual(['not so: the server is back within 30 s'])
})
