import { expect, test } from 'vitest'
import { createFleet } from '../testing/index.ts'
import { collect } from './time.ts'

async function* pages<T>(...list: (readonly T[])[]): AsyncGenerator<readonly T[]> {
  yield* list
}

test('a listing in pages is the rows of all its pages, in order', async () => {
  expect(await collect(pages([1, 2], [], [3]))).toEqual([1, 2, 3])
  expect(await collect(pages<number>())).toEqual([])
})

test('a page that is not a list of rows makes the listing unavailable', async () => {
  await expect(collect(pages([1], 2 as unknown as readonly number[]))).rejects.toMatchObject({ code: 'unavailable' })
})

test('servers and connections of a registry that pages are probed and evacuated', async () => {
  const fleet = await createFleet({
    servers: 4,
    connections: 5,
    replace: ({ registry }) => ({
      registry: {
        async *listServers(ctx) {
          for (const row of (await registry.listServers(ctx)) as Iterable<never>) yield [row]
        },
        async *listConnections(server, ctx) {
          for (const row of (await registry.listConnections(server, ctx)) as Iterable<never>) yield [row]
        },
      },
    }),
  })
  await fleet.advance(20_000)
  expect(fleet.pintail.status().registry.skippedRows).toBe(0)
  fleet.kill('s1')
  await fleet.advance(60_000)
  expect(fleet.registry.on('s1')).toEqual([])
  await fleet.stop()
})
