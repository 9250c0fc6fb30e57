import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isPintailError } from './errors.ts'
import type { ConnectionInput, SampleInput, ServerInput } from './ports.ts'
import { hostProblem, type Parsed, parseConnection, parseHost, parseSample, parseServer, serverId, shorten } from './rows.ts'

const seed = 20260301

// -------------------------------------------------------------------------------------------------------------- hosts

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['0.0.0.0', '0.0.0.0'],
  ['255.255.255.255', '255.255.255.255'],
  ['10.200.19.249', '10.200.19.249'],
  ['2001:db8::1', '2001:db8::1'],
  ['2001:DB8::A', '2001:db8::a'],
  ['::', '::'],
  ['::1', '::1'],
  ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
  ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
  ['64:ff9b::192.0.2.33', '64:ff9b::192.0.2.33'],
  ['fe80::1', 'fe80::1'],
  ['localhost', 'localhost'],
  ['ams-1', 'ams-1'],
  ['AMS-1.Example.COM', 'ams-1.example.com'],
  ['ams-1.example.com.', 'ams-1.example.com'],
  ['vpn_1.example.com', 'vpn_1.example.com'],
  ['_wireguard.example.com', '_wireguard.example.com'],
  ['1.example.com', '1.example.com'],
  ['3com.example', '3com.example'],
  ['10.0.0.1.example', '10.0.0.1.example'],
  ['xn--mnchen-3ya.de', 'xn--mnchen-3ya.de'],
  ['a--b.example', 'a--b.example'],
  ['0x7f.example', '0x7f.example'],
  [`${'a'.repeat(63)}.example`, `${'a'.repeat(63)}.example`],
  [`${'a.'.repeat(126)}a`, `${'a.'.repeat(126)}a`],
])('%s is a host', (input, host) => {
  expect(hostProblem(input)).toBeNull()
  expect(parseHost(input)).toBe(host)
})

test.each<[string, unknown]>([
  ['nothing', ''],
  ['a dot', '.'],
  ['two dots', '..'],
  ['a leading dot', '.example.com'],
  ['two dots within', 'a..example'],
  ['two dots at the end', 'example..'],
  ['an option', '-oProxyCommand=x'],
  ['an option of one letter', '-f'],
  ['a dash', '-'],
  ['two dashes', '--'],
  ['a label that begins with a dash', 'a.-b.example'],
  ['a label that ends with a dash', 'a-.example'],
  ['a label of 64 letters', `${'a'.repeat(64)}.example`],
  ['254 characters', `${'a.'.repeat(126)}ab`],
  ['ten kilobytes', 'a.'.repeat(5000)],
  ['ten megabytes', 'a'.repeat(10_000_000)],
  ['a space', 'a b'],
  ['a leading space', ' 192.0.2.1'],
  ['a trailing space', '192.0.2.1 '],
  ['a line break at the end', '192.0.2.1\n'],
  ['a line break at the end of a name', 'example.com\n'],
  ['a carriage return', 'example.com\r'],
  ['a tab', 'a\tb'],
  ['a NUL', 'example.com\u0000.evil.example'],
  ['an escape', '\u001b[31mexample'],
  ['a delete', 'example\u007f'],
  ['a line separator', 'example\u2028com'],
  ['a zero-width space', 'exam\u200bple'],
  ['a soft hyphen', 'exam\u00adple'],
  ['a command', '$(reboot)'],
  ['back ticks', '`reboot`'],
  ['a semicolon', '192.0.2.1;reboot'],
  ['a pipe', '192.0.2.1|sh'],
  ['an ampersand', 'a&b'],
  ['a quote', "a'b"],
  ['a double quote', 'a"b'],
  ['a backslash', 'a\\b'],
  ['a redirection', 'a>b'],
  ['a variable', '$HOME'],
  ['a tilde', '~root'],
  ['a star', '*.example.com'],
  ['a percent sign', 'a%20b'],
  ['a hash', 'a#b'],
  ['a question mark', 'a?b'],
  ['a comma', 'a,b'],
  ['a path', 'a/b'],
  ['a network', '192.0.2.0/24'],
  ['a scheme', 'http://example.com'],
  ['a user', 'root@example.com'],
  ['a port', 'example.com:443'],
  ['a port behind IPv4', '192.0.2.1:443'],
  ['a port behind IPv6', '[2001:db8::1]:443'],
  ['brackets', '[2001:db8::1]'],
  ['brackets around a name', '[example.com]'],
  ['a zone', 'fe80::1%eth0'],
  ['a zone without a name', 'fe80::1%'],
  ['an umlaut', 'münchen.de'],
  ['Cyrillic that looks Latin', 'ехample.com'],
  ['full-width digits', '１９２.0.2.1'],
  ['an ideographic dot', '例え。テスト'],
  ['an emoji', '🦆.example'],
  ['a Kelvin sign', '\u212aelvin.example'],
  ['a long s', 'e\u017fample'],
  ['IPv4 of three parts', '1.2.3'],
  ['IPv4 of two parts', '127.1'],
  ['IPv4 as one number', '2130706433'],
  ['IPv4 of five parts', '1.2.3.4.5'],
  ['IPv4 with a part above 255', '256.1.1.1'],
  ['IPv4 with a last part above 255', '1.1.1.256'],
  ['IPv4 with a part of four digits', '1.1.1.1000'],
  ['IPv4 with a leading zero', '01.2.3.4'],
  ['IPv4 with an octal part', '010.0.0.1'],
  ['IPv4 with two zeros', '1.2.3.00'],
  ['IPv4 in hex', '0x7f.0.0.1'],
  ['IPv4 in hex as one number', '0x7f000001'],
  ['IPv4 in hex in capitals', '0X7F000001'],
  ['IPv4 with a last part in hex', '127.0.0.0x1'],
  ['IPv4 with an empty hex part', '127.0x'],
  ['IPv4 with a dot at its end', '192.0.2.1.'],
  ['a negative number', '-1'],
  ['a name that ends in a number', 'example.1'],
  ['a colon', ':'],
  ['three colons', ':::'],
  ['IPv6 with two gaps', '1::2::3'],
  ['IPv6 of nine parts', '1:2:3:4:5:6:7:8:9'],
  ['IPv6 of seven parts', '1:2:3:4:5:6:7'],
  ['IPv6 with five digits', '12345::1'],
  ['IPv6 with a letter beyond f', '2001:db8::g'],
  ['IPv6 with a bad IPv4', '::ffff:256.1.1.1'],
  ['IPv6 with an octal IPv4', '::ffff:010.1.1.1'],
  ['IPv6 with a short IPv4', '::ffff:1.2.3'],
  ['IPv6 with a network', '2001:db8::/32'],
  ['IPv6 with a dot at its end', '2001:db8::1.'],
  ['undefined', undefined],
  ['null', null],
  ['a number', 3232235521],
  ['a list', ['192.0.2.1']],
  ['an object that says it is a text', { toString: () => '192.0.2.1' }],
  ['a String object', new String('192.0.2.1')],
  ['a symbol', Symbol('host')],
])('no host: %s', (_, input) => {
  expect(hostProblem(input)).toEqual(expect.any(String))
  let error: unknown
  try {
    parseHost(input)
  } catch (thrown) {
    error = thrown
  }
  expect(isPintailError(error, 'invalid_host')).toBe(true)
  expect((error as Error).message.length).toBeLessThan(200)
  expect((error as Error).message).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}]/u)
})

test('no text that is taken for a host can be read as an option, a command or another host', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 5 }),
    fc.constantFrom('-', '.', ':', '1', '255', '0x7f', 'a', '::', '%', '[', ']', '\n', '\0'),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const text = pieces.join('')
      if (hostProblem(text) !== null) return
      const host = parseHost(text)
      expect(host).toMatch(/^(?!-)[a-z0-9_.:-]{1,253}$/)
      expect(parseHost(host)).toBe(host)
      // A URL parser, which knows all spellings of an address, reads the same host out of it.
      if (!host.includes('_'))
        expect(new URL(`http://${host.includes(':') ? `[${host}]` : host}/`).hostname).toBe(
          host.includes(':') ? new URL(`http://[${host}]`).hostname : host,
        )
    }),
    { seed, numRuns: 5000 },
  )
})

test('every IPv4 address is one, and no part may be written in another way', () => {
  const part = fc.integer({ min: 0, max: 255 })
  fc.assert(
    fc.property(fc.tuple(part, part, part, part), fc.nat(3), (parts, index) => {
      expect(parseHost(parts.join('.'))).toBe(parts.join('.'))
      for (const other of [`0${parts[index]}`, `0x${parts[index]?.toString(16)}`, `${(parts[index] ?? 0) + 256}`, '', ' ', '+1'])
        expect(hostProblem(parts.map((value, at) => (at === index ? other : value)).join('.'))).not.toBeNull()
    }),
    { seed, numRuns: 500 },
  )
})

// ---------------------------------------------------------------------------------------------------------------- rows

const good: ServerInput = { id: 1, host: '192.0.2.1' }
const value = <T>(parsed: Parsed<T>): T => {
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  return parsed.value
}
const problems = (parsed: Parsed<unknown>) => (parsed.ok ? [] : parsed.problems.map(({ path, message }) => `${path}: ${message}`))
const server = (row: object) => parseServer({ ...good, ...row } as ServerInput)
const connection = (row: object) => parseConnection({ id: 'c1', ...row } as ConnectionInput)

test('a row of two values is a server; what is absent is null', () => {
  expect(value(parseServer(good))).toEqual({
    id: '1',
    rawId: 1,
    host: '192.0.2.1',
    name: '1',
    status: 'online',
    port: null,
    region: null,
    country: null,
    coordinates: null,
    failureDomain: null,
    capacity: null,
    load: null,
    resources: { cpuPercent: null, memoryPercent: null, diskPercent: null },
    protocols: [],
    features: [],
    priceEurHour: null,
    meta: null,
  })
})

test('null is as good as absent in every column but id and host', () => {
  const columns = [
    'name',
    'status',
    'port',
    'region',
    'country',
    'coordinates',
    'failureDomain',
    'capacity',
    'load',
    'protocols',
    'priceEurHour',
    'meta',
  ]
  expect(server(Object.fromEntries(columns.map((column) => [column, null])))).toEqual(parseServer(good))
  expect(
    connection(
      Object.fromEntries(['userId', 'region', 'needs', 'mobility', 'tier', 'preferredServer', 'meta'].map((column) => [column, null])),
    ),
  ).toEqual(connection({}))
})

test('an empty text is no region, no country, no domain and no name', () => {
  expect(server({ name: '', region: '', country: '', failureDomain: '' })).toEqual(parseServer(good))
  expect(value(connection({ region: '' })).region).toBeNull()
})

test('a whole row comes through as it is, and columns that nobody knows are left out', () => {
  const row = {
    id: 'ams-1',
    host: 'ams-1.example',
    name: 'Amsterdam 1',
    status: 'maintenance',
    port: 51820,
    region: 'eu',
    country: 'NL',
    coordinates: { latitude: 52.37, longitude: 4.9 },
    failureDomain: 'rack 7',
    capacity: 500,
    load: 0,
    protocols: ['wireguard', 'openvpn'],
    features: ['p2p', 'ipv6'],
    priceEurHour: 0.012,
    meta: { panel: { node: 7 } },
  } as const
  expect(value(parseServer({ ...row, password: 'secret' } as ServerInput))).toEqual({
    ...row,
    resources: { cpuPercent: null, memoryPercent: null, diskPercent: null },
    rawId: 'ams-1',
  })
  const user = {
    id: 7,
    userId: 8,
    region: 'eu',
    needs: { protocols: ['wireguard'], features: ['p2p'], countries: ['NL'], regions: ['eu'] },
    mobility: 'pinned',
    tier: -2,
    preferredServer: 3,
    meta: { a: 1 },
  } as const
  expect(value(parseConnection(user))).toEqual({ ...user, id: '7', rawId: 7, userId: '8', preferredServer: '3' })
})

test('"3" and 3 are one id, and the row keeps which it was', () => {
  expect([value(server({ id: 3 })).id, value(server({ id: '3' })).id]).toEqual(['3', '3'])
  expect([value(server({ id: 3 })).rawId, value(server({ id: '3' })).rawId]).toEqual([3, '3'])
  expect([serverId(3), serverId('3')]).toEqual(['3', '3'])
  expect(value(connection({ preferredServer: 3 })).preferredServer).toBe('3')
})

test('-0 is 0', () => {
  const { id, rawId } = value(server({ id: -0 }))
  expect(id).toBe('0')
  expect(Object.is(rawId, 0)).toBe(true)
})

test.each(['a', '0', '007', ' 3', 'a/b', 'é', '🦆', 'x'.repeat(200), '__proto__', 'constructor', 'hasOwnProperty', '-1', '1e21', 'NaN'])(
  'the text %j is an id',
  (id) => {
    expect(value(server({ id }))).toMatchObject({ id, rawId: id, name: id })
    expect(serverId(id)).toBe(id)
  },
)

test.each<[string, unknown]>([
  ['undefined', undefined],
  ['null', null],
  ['an empty text', ''],
  ['201 characters', 'x'.repeat(201)],
  ['a fraction', 1.5],
  ['1e21', 1e21],
  ['2^53', 2 ** 53],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['a bigint', 3n],
  ['true', true],
  ['a list', ['3']],
  ['an object', { toString: () => '3' }],
  ['a date', new Date(0)],
  ['a line break', 'a\nb'],
  ['a NUL', 'a\u0000'],
  ['an escape', '\u001b[2J'],
  ['a C1 control', '\u009b2J'],
  ['a lone surrogate', '\ud800'],
])('no id: %s', (_, id) => {
  const message = 'must be a string of 1 to 200 characters without control characters, or a whole number'
  expect(problems(parseServer({ ...good, id } as ServerInput))).toEqual([`id: ${message}`])
  expect(problems(parseConnection({ id } as ConnectionInput))).toEqual([`id: ${message}`])
  if (id !== undefined && id !== null)
    expect(problems(connection({ userId: id, preferredServer: id }))).toEqual([`userId: ${message}`, `preferredServer: ${message}`])
  expect(() => serverId(id as string)).toThrow(expect.objectContaining({ code: 'invalid_argument' }))
})

test.each<[string, unknown, unknown[]]>([
  ['name', 'ok', [5, {}, 'x'.repeat(254)]],
  ['status', 'offline', ['active', 'ONLINE', 1, true, {}]],
  ['port', 65_535, [0, 65_536, 80.5, '80', Number.NaN, -1]],
  ['region', 'eu', [5, 'x'.repeat(101)]],
  ['country', 'NL', [5, {}]],
  [
    'coordinates',
    { latitude: -90, longitude: 180 },
    [
      5,
      'x',
      [],
      {},
      { latitude: 52 },
      { latitude: 91, longitude: 0 },
      { latitude: 0, longitude: -181 },
      { latitude: Number.NaN, longitude: 0 },
      { latitude: '52', longitude: '4' },
    ],
  ],
  ['failureDomain', 'rack 7', [5]],
  ['capacity', 0, [-1, 1.5, Number.POSITIVE_INFINITY, Number.NaN, '100', 1e9 + 1]],
  ['load', 1e9, [-1, '5', Number.NaN]],
  ['protocols', [], ['wireguard', [5], [null], Array(1), ['x'.repeat(101)], Array(101).fill('x'), { 0: 'x', length: 1 }]],
  ['priceEurHour', 0.0001, [-0.1, '1', Number.NaN, 1e6 + 1]],
])('the column %s of a server is checked', (column, fine, wrong) => {
  expect(value(server({ [column]: fine }))).toMatchObject({ [column]: fine })
  for (const given of wrong) {
    const parsed = server({ [column]: given })
    expect(parsed, String(given)).toMatchObject({
      ok: false,
      id: '1',
      problems: [{ path: column, message: expect.stringMatching(/^must /) }],
    })
  }
})

test.each<[string, unknown, unknown[]]>([
  ['region', 'eu', [5, 'x'.repeat(101)]],
  ['mobility', 'failure-only', ['stuck', 1]],
  ['tier', 1000, [1001, -1001, 0.5, '1', Number.NaN]],
  ['needs', {}, ['wireguard', 5, true, [], [{ protocols: [] }]]],
])('the column %s of a connection is checked', (column, fine, wrong) => {
  expect(value(connection({ [column]: fine }))).toMatchObject({ [column]: fine })
  for (const given of wrong)
    expect(connection({ [column]: given }), String(given)).toMatchObject({
      ok: false,
      id: 'c1',
      problems: [{ path: column, message: expect.stringMatching(/^must /) }],
    })
})

test('each list of the needs is checked, and what is absent stays absent', () => {
  expect(problems(connection({ needs: { protocols: 'wireguard', countries: [1], regions: {} } }))).toEqual(
    ['protocols', 'countries', 'regions'].map((name) => `needs.${name}: must be a list of at most 100 strings`),
  )
  expect(value(connection({ needs: { regions: ['eu'], protocols: null } })).needs).toEqual({ regions: ['eu'] })
  expect(Object.keys(value(connection({ needs: { regions: ['eu'], protocols: null } })).needs)).toEqual(['regions'])
})

test('all problems of a row are told at once, each with its path and its value', () => {
  const parsed = parseServer({ id: '', host: '-f', status: 'active', port: 0, capacity: '5', coordinates: 1, meta: 'x' } as never)
  expect(parsed).toEqual({
    ok: false,
    id: null,
    problems: [
      { path: 'id', message: expect.any(String), value: '""' },
      { path: 'host', message: 'not a DNS name', value: '"-f"' },
      { path: 'coordinates', message: expect.any(String), value: '1' },
      { path: 'status', message: 'must be one of online, offline, maintenance', value: '"active"' },
      { path: 'port', message: 'must be a whole number from 1 to 65535', value: '0' },
      { path: 'capacity', message: 'must be a whole number from 0 to 1000000000', value: '"5"' },
      { path: 'meta', message: expect.any(String) },
    ],
  })
})

test('a bad row names its id, if at least that is right', () => {
  expect(parseServer({ id: 3, host: '' })).toMatchObject({ ok: false, id: '3' })
  expect(connection({ tier: 'x' })).toMatchObject({ ok: false, id: 'c1' })
  expect(parseServer({ id: {}, host: '' } as never)).toMatchObject({ ok: false, id: null })
})

test.each<[string, unknown]>([
  ['undefined', undefined],
  ['null', null],
  ['a text', 'password=hunter2'.repeat(100)],
  ['a number', 5],
  ['a list of rows, as of pages in pages', [{ id: 1, host: 'a', meta: { password: 'hunter2' } }]],
  [
    'a function',
    function secret() {
      return 'hunter2'
    },
  ],
])('what is no object is no row, and is one problem: %s', (_, row) => {
  for (const parsed of [parseServer(row as never), parseConnection(row as never), parseSample(row as never)]) {
    expect(parsed).toMatchObject({ ok: false, id: null, problems: [{ path: '', message: 'must be an object' }] })
    if (typeof row !== 'string') expect(JSON.stringify(parsed)).not.toContain('hunter2')
  }
})

test('rows of class instances, with getters and without a prototype are rows', () => {
  class Entity {
    readonly #id = 5
    get id() {
      return this.#id
    }
    get host() {
      return 'a.example'
    }
  }
  expect(value(parseServer(new Entity())).id).toBe('5')
  expect(value(parseServer(Object.assign(Object.create(null), good))).id).toBe('1')
})

test('a row whose getters throw is a bad row, not an exception', () => {
  const row = {
    id: 5,
    get host(): string {
      throw new Error('lazy relation\nis not loaded')
    },
  }
  expect(parseServer(row)).toEqual({
    ok: false,
    id: '5',
    problems: [{ path: '', message: 'could not be read: lazy relation is not loaded' }],
  })
  const hostile = new Proxy(
    {},
    {
      get() {
        throw new Error('no')
      },
    },
  )
  for (const parsed of [parseServer(hostile as never), parseConnection(hostile as never), parseSample(hostile as never)])
    expect(parsed).toMatchObject({ ok: false, id: null })
})

test('hostile keys change nothing but themselves', () => {
  const row = JSON.parse(
    '{"id":"__proto__","host":"a","__proto__":{"status":"offline","polluted":1},"constructor":{"prototype":{"polluted":1}},"meta":{"__proto__":{"polluted":1}}}',
  )
  const parsed = value(parseServer(row))
  expect(parsed).toMatchObject({ id: '__proto__', name: '__proto__', status: 'online' })
  expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  expect((parsed.meta as Record<string, unknown>).polluted).toBeUndefined()
  expect(JSON.stringify(parsed.meta)).toBe('{"__proto__":{"polluted":1}}')
})

// ---------------------------------------------------------------------------------------------------------------- meta

const metaProblem = { path: 'meta', message: 'must be an object of at most 1 KiB as JSON' }

test('meta may have exactly 1 KiB of JSON, counted in bytes', () => {
  const sized = (bytes: number, character = 'x') => {
    const rest = bytes - JSON.stringify({ a: '' }).length
    return { a: character.repeat(Math.floor(rest / Buffer.byteLength(character))) + 'x'.repeat(rest % Buffer.byteLength(character)) }
  }
  for (const character of ['x', 'é', '🦆']) {
    expect(Buffer.byteLength(JSON.stringify(sized(1024, character)))).toBe(1024)
    expect(value(server({ meta: sized(1024, character) })).meta).toEqual(sized(1024, character))
    expect(server({ meta: sized(1025, character) })).toMatchObject({ ok: false, problems: [metaProblem] })
  }
})

test.each<[string, unknown]>([
  ['a text', 'secret'],
  ['a number', 5],
  ['a list', ['secret']],
  ['a date', new Date(0)],
  ['a function', () => 'secret'],
  ['a bigint within', { secret: 3n }],
  [
    'a circle',
    (() => {
      const circle: Record<string, unknown> = { secret: 1 }
      circle.self = circle
      return circle
    })(),
  ],
  [
    'a toJSON that throws',
    {
      toJSON() {
        throw new Error('secret')
      },
    },
  ],
  ['a toJSON that gives nothing', { toJSON: () => undefined }],
  ['a toJSON that gives a list', { toJSON: () => ['secret'] }],
])('meta that is no JSON object is refused, and never shown: %s', (_, meta) => {
  for (const parsed of [server({ meta }), connection({ meta })]) {
    expect(parsed).toMatchObject({ ok: false, problems: [metaProblem] })
    expect(JSON.stringify(parsed)).not.toContain('secret')
  }
})

test('meta is never shown, whatever else is wrong with its row', () => {
  const meta = { token: 'hunter2' }
  const parsed = [
    server({ meta, host: '' }),
    connection({ meta, tier: 'x', needs: [meta], mobility: meta }),
    parseServer([{ meta }] as never),
    parseServer({ id: meta, host: meta, coordinates: meta } as never),
  ]
  for (const one of parsed) {
    expect(one.ok).toBe(false)
    expect(JSON.stringify(one)).not.toContain('hunter2')
  }
})

test('meta and lists are copies: a host that changes its objects later changes nothing here', () => {
  const row = { meta: { panel: { node: 7 } }, protocols: ['wireguard'] }
  const parsed = value(server(row))
  row.meta.panel.node = 8
  row.protocols.push('openvpn')
  expect(parsed.meta).toEqual({ panel: { node: 7 } })
  expect(parsed.protocols).toEqual(['wireguard'])
})

test('meta is what JSON makes of it, so that it comes back equal from any store', () => {
  const { meta } = value(server({ meta: { when: new Date(0), nothing: undefined, list: [undefined], call: () => 1, odd: Number.NaN } }))
  expect(meta).toEqual({ when: '1970-01-01T00:00:00.000Z', list: [null], odd: null })
  expect(JSON.parse(JSON.stringify(meta))).toEqual(meta)
})

// ------------------------------------------------------------------------------------------------------------- samples

const answered = { serverId: 1, vantage: 'ams', prober: 'icmp', sentAt: 1000, sent: 5, received: 3, rttMs: [10, 0, 12.5] }
const sample = (row: object) => parseSample({ ...answered, ...row } as SampleInput)

test('a sample comes through as it is', () => {
  expect(value(sample({}))).toEqual({ ...answered, serverId: '1', failure: null })
  const failure = { kind: 'refused', layer: 'tcp', detail: 'port 443' } as const
  expect(value(sample({ received: 0, rttMs: [], failure })).failure).toEqual(failure)
  expect(value(sample({ rttMs: undefined })).rttMs).toEqual([])
  expect(value(sample({ received: 0, rttMs: [], failure: { kind: 'refused', layer: 'tcp', detail: null } })).failure).toEqual({
    kind: 'refused',
    layer: 'tcp',
  })
})

test('where and by what are known even if the sample does not say', () => {
  expect(value(sample({ vantage: null, prober: undefined }))).toMatchObject({ vantage: 'local', prober: 'unknown' })
})

test.each<[string, object, string]>([
  ['more answers than packets', { sent: 5, received: 6, rttMs: [] }, 'received'],
  ['more times than answers', { received: 2 }, 'rttMs'],
  ['times without an answer', { received: 0 }, 'rttMs'],
  ['a negative time', { rttMs: [-1] }, 'rttMs'],
  ['a time that is no number', { rttMs: [Number.NaN] }, 'rttMs'],
  ['an endless time', { rttMs: [Number.POSITIVE_INFINITY] }, 'rttMs'],
  ['a time as text', { rttMs: ['10'] }, 'rttMs'],
  ['a hole in the times', { rttMs: Array(1) }, 'rttMs'],
  ['times that are no list', { rttMs: 10 }, 'rttMs'],
  ['no packets', { sent: 0, received: 0, rttMs: [] }, 'sent'],
  ['half a packet', { sent: 1.5 }, 'sent'],
  ['packets that are no number', { sent: Number.NaN }, 'sent'],
  ['packets as text', { sent: '5' }, 'sent'],
  ['too many packets', { sent: 10_001 }, 'sent'],
  ['negative answers', { received: -1, rttMs: [] }, 'received'],
  ['answers that are no number', { received: Number.NaN }, 'received'],
  ['no answers told', { received: undefined }, 'received'],
  ['no packets told', { sent: null }, 'sent'],
  ['no time told', { sentAt: undefined }, 'sentAt'],
  ['a time before time', { sentAt: -1 }, 'sentAt'],
  ['a time that is no time', { sentAt: Number.NaN }, 'sentAt'],
  ['a time as a date', { sentAt: new Date(0) }, 'sentAt'],
  ['no server', { serverId: undefined }, 'serverId'],
  ['a long vantage', { vantage: 'x'.repeat(101) }, 'vantage'],
  ['a failure in a word', { failure: 'no_reply' }, 'failure'],
  ['a failure of no kind', { failure: { layer: 'icmp' } }, 'failure'],
  ['a failure of another kind', { failure: { kind: 'lost', layer: 'icmp' } }, 'failure'],
  ['a failure of no layer', { failure: { kind: 'no_reply' } }, 'failure'],
  ['a failure with a detail that is no text', { failure: { kind: 'no_reply', layer: 'icmp', detail: {} } }, 'failure'],
])('an impossible sample is refused, with one problem: %s', (_, row, path) => {
  expect(problems(sample(row))).toEqual([expect.stringMatching(new RegExp(`^${path}: (must|is needed)`))])
})

test('a long detail of a failure is cut, not a reason to doubt the sample', () => {
  expect(value(sample({ failure: { kind: 'no_reply', layer: 'x'.repeat(500), detail: 'y'.repeat(500) } })).failure).toEqual({
    kind: 'no_reply',
    layer: 'x'.repeat(100),
    detail: 'y'.repeat(300),
  })
})

// ------------------------------------------------------------------------------------------------------------- garbage

const columns = [
  'id',
  'serverId',
  'host',
  'name',
  'status',
  'port',
  'region',
  'coordinates',
  'capacity',
  'load',
  'protocols',
  'needs',
  'mobility',
  'tier',
  'meta',
  'sent',
  'received',
  'rttMs',
  'sentAt',
  'failure',
  'preferredServer',
  '__proto__',
  'toString',
]
const garbage = fc.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withObjectString: true,
  withSparseArray: true,
  withTypedArray: true,
})
const mostly = (fine: fc.Arbitrary<unknown>) => fc.oneof({ weight: 8, arbitrary: fine }, { weight: 1, arbitrary: garbage })
const nearlyRow = fc.record(
  {
    id: mostly(fc.oneof(fc.string({ minLength: 1 }), fc.integer())),
    serverId: mostly(fc.integer()),
    host: mostly(fc.oneof(fc.constant('192.0.2.1'), fc.domain(), fc.ipV6())),
    needs: mostly(fc.record({ regions: fc.array(fc.string()) })),
    meta: mostly(fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 })),
    tier: mostly(fc.integer({ min: -1000, max: 1000 })),
    protocols: mostly(fc.array(fc.string())),
    sent: mostly(fc.constant(3)),
    received: mostly(fc.nat(4)),
    rttMs: mostly(fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { maxLength: 3 })),
    sentAt: mostly(fc.nat()),
    failure: mostly(fc.constant(null)),
  },
  { requiredKeys: ['id', 'serverId', 'host', 'sent', 'received', 'sentAt'] },
)
const garbageRow = fc.oneof(garbage, fc.dictionary(fc.constantFrom(...columns), garbage), nearlyRow)

function isPlainJson(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || value === null) return value === null || typeof value === 'string' || typeof value === 'boolean'
  if (Array.isArray(value)) return value.every(isPlainJson) && Object.keys(value).length === value.length
  return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isPlainJson)
}

test('no garbage makes a parser throw; what it takes is whole, and what it refuses it gives reasons for', () => {
  let taken = 0
  fc.assert(
    fc.property(garbageRow, (row) => {
      for (const parse of [parseServer, parseConnection, parseSample] as ((row: never) => Parsed<object>)[]) {
        const parsed = parse(row as never)
        if (parsed.ok) {
          taken++
          // Plain JSON, as any store will give it back.
          expect(isPlainJson(parsed.value)).toBe(true)
        } else {
          expect(parsed.problems.length).toBeGreaterThan(0)
          for (const { path, message, value } of parsed.problems) {
            expect(typeof path === 'string' && message.length > 0 && message.length < 400).toBe(true)
            expect(value === undefined || value.length <= 80).toBe(true)
          }
        }
      }
    }),
    { seed, numRuns: 3000 },
  )
  // Else this would be a test of refusals only.
  expect(taken).toBeGreaterThan(500)
})

test.each<[unknown, string]>([
  ['text', '"text"'],
  ['line\nbreak', '"line\\nbreak"'],
  ['\u007f\u009b\u2028\u202e\u200b', '"\\u{7f}\\u{9b}\\u{2028}\\u{202e}\\u{200b}"'],
  [5, '5'],
  [-0, '0'],
  [3n, '3'],
  [Symbol('x'), 'Symbol(x)'],
  [undefined, 'undefined'],
  [null, 'null'],
  [{ password: 'hunter2' }, 'an object'],
  [['hunter2'], 'a list'],
  [() => 'hunter2', 'a function'],
  ['x'.repeat(10_000_000), `"${'x'.repeat(76)}...`],
])('a value in a message is short, on one line, and never what an object holds (%#)', (given, text) => {
  expect(shorten(given)).toBe(text)
  expect(shorten(given).length).toBeLessThanOrEqual(80)
})

test('resources are percent, each on its own; absent and null are unknown, everything else is refused by name', () => {
  const known = { cpuPercent: 0, memoryPercent: 99.5, diskPercent: null }
  expect(value(parseServer({ id: 1, host: 'a', resources: { cpuPercent: 0, memoryPercent: 99.5 } })).resources).toEqual(known)
  const none = { cpuPercent: null, memoryPercent: null, diskPercent: null }
  for (const resources of [undefined, null, {}, { cpuPercent: null }])
    expect(value(parseServer({ id: 1, host: 'a', resources } as ServerInput)).resources).toEqual(none)
  for (const bad of [-1, 100.1, Number.NaN, '50', {}]) {
    const parsed = parseServer({ id: 1, host: 'a', resources: { diskPercent: bad } } as never)
    expect(!parsed.ok && parsed.problems.map(({ path }) => path)).toEqual(['resources.diskPercent'])
  }
  for (const bad of [7, 'busy', [1]]) {
    const parsed = parseServer({ id: 1, host: 'a', resources: bad } as never)
    expect(!parsed.ok && parsed.problems.map(({ path }) => path)).toEqual(['resources'])
  }
})
