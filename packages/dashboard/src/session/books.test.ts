import type { WireEvent, WireMigration, WireStatus } from '@pintail/core/wire'
import { expect, test } from 'vitest'
import { createWorld } from '../../test/world.ts'
import { Books } from './books.ts'
import { isEnded } from './model.ts'

/** A picture of a real engine, with three migrations that wait for approval. */
async function realPicture(): Promise<WireStatus> {
  const world = await createWorld({ policy: { mode: 'suggest' }, speed: 0 })
  try {
    await world.fleet.pintail.drain('s1')
    const response = await fetch(`${world.url}/status`)
    return (await response.json()) as WireStatus
  } finally {
    await world.close()
  }
}

const picture = await realPicture()
const [migration] = picture.migrations as readonly [WireMigration, ...WireMigration[]]
const event = <T extends WireEvent['type']>(type: T, seq: number, data: object): WireEvent =>
  ({ type, seq, timestamp: picture.at, data }) as unknown as WireEvent

function books(): Books {
  const made = new Books()
  made.take(picture, 0)
  return made
}

test('an event that is newer than the picture being read is not lost by it', () => {
  const made = books()
  made.beginReading()
  made.apply(event('server.cordoned', picture.last_seq + 1, { server_id: 's2' }))
  made.take(picture, 0)
  expect(made.model.serverById.get('s2')?.cordoned).toBe(true)
  expect(made.seq).toBe(picture.last_seq + 1)
})

test('an event that the picture has already is not put onto it again', () => {
  const made = books()
  made.beginReading()
  made.apply(event('server.cordoned', picture.last_seq, { server_id: 's2' }))
  made.take(picture, 0)
  expect(made.model.serverById.get('s2')?.cordoned).toBe(false)
})

test('what ends leaves the open ones and comes first among those that are over', () => {
  const made = books()
  const wanted = made.apply(
    event('migration.failed', picture.last_seq + 1, { id: migration.id, error: 'the panel says no', rollback_success: true, residue: [] }),
  )
  expect(wanted).toContain('history')
  expect(made.model.migrations.find(isEnded)).toMatchObject({ id: migration.id, status: 'failed', error_message: 'the panel says no' })
  // A picture knows open ones alone: what has ended stays.
  made.take({ ...picture, migrations: [] }, 0)
  expect(made.model.migrations.map(({ id }) => id)).toEqual([migration.id])
})

test('progress patches the record and keeps the newest word', () => {
  const made = books()
  for (const [index, message] of ['Moving 1 of 10…', 'Moving 2 of 10…'].entries())
    made.apply(
      event('migration.progress', 0, {
        id: migration.id,
        progress: 10 * (index + 1),
        moved: index + 1,
        failed: 0,
        expected_end_at: null,
        message,
      }),
    )
  expect(made.model.migrations.find(({ id }) => id === migration.id)).toMatchObject({ progress: 20, connections_moved: 2 })
  expect(made.model.progress.get(migration.id)).toBe('Moving 2 of 10…')
})

test('a day of migrations, one after the other, leaves a hundred', () => {
  const made = books()
  for (let n = 0; n < 5000; n++) {
    made.putMigration({ ...migration, id: `m${n}`, status: 'transferring' })
    made.apply(
      event('migration.progress', 0, { id: `m${n}`, progress: 50, moved: 1, failed: 0, expected_end_at: null, message: 'Moving…' }),
    )
    made.apply(event('migration.completed', picture.last_seq + n + 1, { id: `m${n}`, connections_moved: 2, connections_failed: 0 }))
  }
  expect(made.model.migrations.filter(isEnded)).toHaveLength(100)
  made.take(picture, 0)
  expect(made.model.progress.size).toBe(0)
})

test('an event of a type that is not known yet changes nothing and asks for nothing', () => {
  const made = books()
  const before = made.model
  expect(made.apply(event('server.painted' as never, picture.last_seq + 1, { server_id: 's1' }))).toEqual([])
  expect(made.model).toBe(before)
})

test('events about what is not there do no harm', () => {
  const made = books()
  for (const [type, data] of [
    ['server.cordoned', { server_id: 'gone' }],
    ['migration.deleted', { id: 'gone' }],
    ['migration.status_changed', { id: 'gone', old_status: 'scheduled', new_status: 'preparing' }],
    ['pause.lifted', { scope: { server_id: 'gone' } }],
  ] as const)
    made.apply(event(type, 0, data))
  expect(made.model.servers).toHaveLength(picture.servers.length)
  expect(made.model.migrations).toHaveLength(picture.migrations.length)
})
