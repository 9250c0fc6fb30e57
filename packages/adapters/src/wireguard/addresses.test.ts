import fc from 'fast-check'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasPostgres, needsPostgres, type PostgresServer, startPostgres } from '../../test/postgres.ts'
import { type Addresses, type AddressPoolOptions, addressesSql, addressPool, memoryAddresses, postgresAddresses } from './index.ts'

const ctx = { signal: new AbortController().signal }

// ------------------------------------------------------------------------------------------------------------------ pool

test('the same number is the same place in both networks, and every number is another address', () => {
  const pool = addressPool({ v4: '10.7.0.0/16', v6: 'fd07::/64' })
  expect(pool.at(258)).toEqual({ allowedIps: ['10.7.1.2/32', 'fd07::102/128'], v4: '10.7.1.2', v6: 'fd07::102' })
  expect(pool.slotOf('10.7.1.2')).toBe(258)
  expect(pool.slotOf('fd07::102')).toBe(258)
  expect(pool.slotOf('10.8.1.2')).toBeNull()
  expect(pool.slotOf('fd07::ffff:ffff')).toBeNull()
  // Neither the network itself nor the broadcast.
  expect(pool.size).toBe(65_534)
  expect(pool.next(0)).toBe(1)
  expect(pool.next(65_534)).toBe(65_534)
  expect(pool.next(65_535)).toBeNull()
})

test('what is reserved is nobody’s, in whatever order and however it overlaps', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 24, max: 32 })), { maxLength: 8 }), (blocks) => {
      const reserved = blocks.map(([host, prefix]) => `10.7.0.${host & (256 - 2 ** (32 - prefix))}/${prefix}`)
      const pool = addressPool({ v4: '10.7.0.0/24', reserved })
      const free: number[] = []
      for (let slot = pool.next(0); slot !== null; slot = pool.next(slot + 1)) free.push(slot)
      const expected = Array.from({ length: 254 }, (_, index) => index + 1).filter(
        (slot) => !blocks.some(([host, prefix]) => slot >> (32 - prefix) === host >> (32 - prefix)),
      )
      expect(free).toEqual(expected)
      expect(pool.size).toBe(expected.length)
    }),
    { seed: 3 },
  )
})

test.each<AddressPoolOptions>([
  {},
  { v4: '10.7.0.0' },
  { v4: '10.7.0.1/16' },
  { v4: '10.7.0.0/31' },
  { v4: '0.0.0.0/0' },
  { v4: 'fd07::/64' },
  { v6: '10.7.0.0/16' },
  { v6: 'fd07::/127' },
  { v4: '10.7.0.0/16', reserved: ['10.8.0.1'] },
  { v4: '10.7.0.0/16', reserved: ['x'] },
])('the pool %j is refused', (options) => {
  expect(() => addressPool(options)).toThrow(expect.objectContaining({ code: 'invalid_options' }))
})

test('a huge network is cut to what books can hold', () => {
  expect(addressPool({ v6: 'fd07::/64' }).last).toBe(2 ** 24 - 1)
})

// ----------------------------------------------------------------------------------------------------------------- books

interface Books {
  readonly addresses: Addresses
  /** Lets the rest of what was given back be over. */
  rest(): Promise<void>
}

function rules(open: (options: AddressPoolOptions) => Promise<Books>): void {
  const v4s = async (addresses: Addresses, ...ids: string[]) => {
    const found: (string | null)[] = []
    for (const id of ids) found.push((await addresses.of(id, ctx)).v4)
    return found
  }

  test('a connection keeps its address; new ones get the lowest that is free', async () => {
    const { addresses } = await open({ v4: '10.7.0.0/24', reserved: ['10.7.0.1', '10.7.0.3/32'] })
    expect(await v4s(addresses, 'a', 'b', 'a', 'c', 'b')).toEqual(['10.7.0.2', '10.7.0.4', '10.7.0.2', '10.7.0.5', '10.7.0.4'])
    expect(await addresses.figures(ctx)).toEqual({ size: 252, allocated: 3, resting: 0 })
  })

  test('an address that was given back rests first; its old owner gets it again', async () => {
    const { addresses, rest } = await open({ v4: '10.7.0.0/24' })
    expect(await v4s(addresses, 'a', 'b')).toEqual(['10.7.0.1', '10.7.0.2'])
    await addresses.release('a', ctx)
    await addresses.release('a', ctx)
    await addresses.release('nobody', ctx)
    expect(await addresses.figures(ctx)).toEqual({ size: 254, allocated: 1, resting: 1 })
    expect(await v4s(addresses, 'c', 'a')).toEqual(['10.7.0.3', '10.7.0.1'])
    await addresses.release('a', ctx)
    await rest()
    expect(await v4s(addresses, 'd', 'a')).toEqual(['10.7.0.1', '10.7.0.4'])
    expect(await addresses.figures(ctx)).toEqual({ size: 254, allocated: 4, resting: 0 })
  })

  test('an exhausted pool says what to do, takes nobody’s address, and goes on when one is free', async () => {
    const { addresses, rest } = await open({ v4: '10.7.0.0/29' })
    expect(new Set(await v4s(addresses, ...'abcdef')).size).toBe(6)
    await expect(addresses.of('g', ctx)).rejects.toMatchObject({ code: 'unavailable', remedy: expect.stringMatching(/Widen/) })
    expect(await v4s(addresses, 'c')).toEqual(['10.7.0.3'])
    await addresses.release('c', ctx)
    await expect(addresses.of('g', ctx)).rejects.toMatchObject({ code: 'unavailable' })
    await rest()
    expect(await v4s(addresses, 'g')).toEqual(['10.7.0.3'])
    await expect(addresses.of('c', ctx)).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('many at once: no address twice, no connection with two', async () => {
    const { addresses } = await open({ v4: '10.7.0.0/24', reserved: ['10.7.0.64/26'] })
    const ids = Array.from({ length: 300 }, (_, index) => `u${index % 100}`)
    const found = await Promise.all(ids.map(async (id) => [id, (await addresses.of(id, ctx)).v4] as const))
    expect(new Set(found.map(([id, v4]) => `${id} ${v4}`)).size).toBe(100)
    expect(new Set(found.map(([, v4]) => v4)).size).toBe(100)
    expect(found.some(([, v4]) => /\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])$/.test(v4 ?? ''))).toBe(false)
  })

  test('ids that are none are refused', async () => {
    const { addresses } = await open({ v4: '10.7.0.0/24' })
    for (const id of ['', 'x'.repeat(201), 'a\nb', null as never])
      await expect(addresses.of(id, ctx)).rejects.toMatchObject({ code: 'invalid_argument' })
  })
}

describe('memoryAddresses', () => {
  rules(async (options) => {
    let now = 0
    const addresses = memoryAddresses({ pool: addressPool(options), restMs: 60_000, clock: { now: () => now } })
    return {
      addresses,
      rest: async () => {
        now += 60_000
      },
    }
  })
})

describe.skipIf(!hasPostgres)(`postgresAddresses ${needsPostgres}`, () => {
  let server: PostgresServer
  let pool: pg.Pool
  let schemas = 0
  beforeAll(async () => {
    server = await startPostgres()
    pool = server.pool()
  })
  afterAll(() => server?.stop())
  const schemaOf = (): string => {
    schemas += 1
    return `vpn_${schemas}`
  }

  rules(async (options) => {
    const schema = schemaOf()
    const addresses = postgresAddresses({ addresses: addressPool(options), pool, schema, timeoutMs: 60_000, restMs: 3_600_000 })
    await addresses.migrate()
    return {
      addresses,
      rest: async () => void (await pool.query(`UPDATE ${schema}.wireguard_addresses SET released_at = released_at - interval '2 hours'`)),
    }
  })

  test('several processes over one database share one pool, from the first call of all', async () => {
    const schema = schemaOf()
    const engines = Array.from({ length: 4 }, () =>
      postgresAddresses({ addresses: addressPool({ v4: '10.7.0.0/24' }), pool: server.pool({ max: 5 }), schema, timeoutMs: 60_000 }),
    )
    await Promise.all(engines.map((one) => one.migrate()))
    const calls = Array.from({ length: 120 }, (_, index) => (engines[index % 4] as Addresses).of(`u${index % 60}`, ctx))
    const found = (await Promise.all(calls)).map(({ v4 }) => v4)
    expect(new Set(found).size).toBe(60)
    for (let index = 0; index < 60; index += 1) expect(found[index + 60]).toBe(found[index])
  })

  test('the networks may grow, but neither move nor shrink below what was given out', async () => {
    const schema = schemaOf()
    const open = (v4: string) => postgresAddresses({ addresses: addressPool({ v4 }), pool, schema, timeoutMs: 60_000 })
    const first = open('10.7.0.0/24')
    await first.migrate()
    for (const id of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) await first.of(id, ctx)
    expect((await open('10.7.0.0/16').of('h', ctx)).v4).toBe('10.7.0.8')
    for (const other of ['10.8.0.0/24', '10.7.0.0/29'])
      await expect(open(other).of('a', ctx)).rejects.toMatchObject({ code: 'invalid_options' })
  })

  test('tables that are missing, and a name that is none', async () => {
    const away = postgresAddresses({ addresses: addressPool({ v4: '10.7.0.0/24' }), pool, schema: 'missing', timeoutMs: 60_000 })
    await expect(away.of('a', ctx)).rejects.toMatchObject({ code: 'unavailable', remedy: expect.stringMatching(/migrate/) })
    expect(() => addressesSql({ schema: 'a"; DROP TABLE x' })).toThrow(expect.objectContaining({ code: 'invalid_options' }))
    expect(() => postgresAddresses({ addresses: addressPool({ v4: '10.7.0.0/24' }), pool: {} as never })).toThrow(
      expect.objectContaining({ code: 'invalid_options' }),
    )
  })
})
