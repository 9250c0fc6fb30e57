import { afterEach, expect, test } from 'vitest'
import { reasonFor } from './reasons.ts'
import {
  type DuckSession,
  isNews,
  newest,
  parseConfiguration,
  parseDate,
  parseServer,
  parseSession,
  seenOf,
  usableConfig,
  whole,
} from './rows.ts'

const zone = process.env.TZ
afterEach(() => {
  process.env.TZ = zone ?? 'UTC'
})

test.for([
  ['2025-04-14T22:10:00', Date.UTC(2025, 3, 14, 22, 10)],
  ['2025-04-14 22:10:00.250000', Date.UTC(2025, 3, 14, 22, 10, 0, 250)],
  ['Mon, 14 Apr 2025 19:55:53 GMT', Date.UTC(2025, 3, 14, 19, 55, 53)],
  ['2025-04-14T22:10:00+03:00', Date.UTC(2025, 3, 14, 19, 10)],
  ['yesterday', null],
  [null, null],
  [1_744_660_553, null],
] as const)('the date %j is the same moment in every time zone of ours', ([text, at]) => {
  for (const own of ['UTC', 'America/New_York', 'Asia/Vladivostok']) {
    process.env.TZ = own
    expect(parseDate(text)).toBe(at)
  }
  // What a naive client makes of a date without a zone depends on where it runs.
  process.env.TZ = 'America/New_York'
  if (text === '2025-04-14T22:10:00') expect(new Date(text).getTime()).not.toBe(at)
})

test.for([
  ['vpn1.example.net', 'vpn1.example.net', null],
  ['VPN1.Example.net.', 'vpn1.example.net', null],
  ['vpn1.example.net:51820', 'vpn1.example.net', 51_820],
  ['http://vpn1.example.net:8080/status?x=1', 'vpn1.example.net', 8080],
  ['192.0.2.7:51820', '192.0.2.7', 51_820],
  ['[2001:db8::7]:51820', '2001:db8::7', 51_820],
  ['2001:db8::7', '2001:db8::7', null],
  ['-rf', null, null],
  ['host; reboot', null, null],
  ['', null, null],
  [null, null, null],
  [7, null, null],
] as const)('the endpoint %j is host %j and port %j', ([endpoint, host, port]) => {
  expect(parseServer({ id: 1, endpoint })).toMatchObject({ host, port })
})

test('a port of its own goes before one in the endpoint', () => {
  expect(parseServer({ id: 1, endpoint: 'a.example:1', port: 51_820 })).toMatchObject({ port: 51_820 })
})

test('ids are one id as number and as text, and a server without one is none', () => {
  expect([parseServer({ id: 3 }), parseServer({ id: '3' })].map((server) => server?.id)).toEqual(['3', '3'])
  for (const row of [{}, { id: null }, { id: '' }, { id: {} }, null, 'server', [1]]) expect(parseServer(row)).toBeNull()
})

test('without a status it follows from is_active, and what nobody says is active', () => {
  expect(parseServer({ id: 1, is_active: false })?.status).toBe('inactive')
  expect(parseServer({ id: 1, is_active: true })?.status).toBe('active')
  expect(parseServer({ id: 1 })?.status).toBe('active')
  expect(parseServer({ id: 1, status: ' Degraded ', is_active: true })?.status).toBe('degraded')
})

test('no secret of a row gets past the parser', () => {
  const secrets = {
    private_key: 'SECRET',
    api_key: 'SECRET',
    hmac_secret: 'SECRET',
    oauth_client_secret: 'SECRET',
    oauth_client_id: 'SECRET',
  }
  const parsed = [
    parseServer({ id: 1, endpoint: 'a.example', ...secrets }),
    parseSession({ id: 1, user_id: 2, ip_address: 'SECRET', ...secrets }, '1'),
    parseConfiguration({ config: 'PrivateKey = SECRET', user_id: 1, server_id: 2, ...secrets }),
  ]
  expect(JSON.stringify(parsed)).not.toContain('SECRET')
})

test('a configuration is read flat and wrapped; what has no user is none', () => {
  const expected = { server: '2', geolocationId: 1, publicKey: null }
  expect(parseConfiguration({ user_id: 1, server_id: 2, geolocation_id: 1, config: 'text' })).toEqual(expected)
  expect(parseConfiguration({ config: { user_id: 1, server_id: '2', geolocation_id: '1' } })).toEqual(expected)
  expect(parseConfiguration({ config: { status: 'not_configured' } })).toBeNull()
})

test('odd figures are unknown, never wrong', () => {
  const odd = parseServer({ id: 1, max_peers: -1, port: 70_000, latitude: 91, longitude: 0, geolocation_id: 'x', country: 5 })
  expect(odd).toMatchObject({ capacity: null, port: null, coordinates: null, geolocationId: null, country: null })
  expect([whole('12'), whole('1.5'), whole(1.5), whole('1e3'), whole(''), whole(Number.NaN)]).toEqual([12, null, null, null, null, null])
})

const row = (rowId: number, connectedAt: number, lastActivity = connectedAt): DuckSession => {
  return { rowId, userId: 1, server: String(rowId), connectedAt, lastActivity, geolocationId: null }
}

test('a user lives where he was active last', () => {
  expect(newest([row(1, 10, 90), row(2, 50, 60), row(3, 20, 30)])?.rowId).toBe(1)
  expect(newest([row(1, 10), row(2, 10)])?.rowId).toBe(2)
  expect(newest([])).toBeNull()
})

test('news is a new row, also within the same second; an old one that is still in use is none', () => {
  const seen = seenOf([row(4, 100), row(7, 50)])
  expect(isNews(row(4, 100, 900), seen)).toBe(false)
  expect(isNews(row(8, 100), seen)).toBe(true)
  expect(isNews(row(9, 99), seen)).toBe(false)
  expect(isNews(row(3, 101), seen)).toBe(true)
  expect(isNews(row(1, 1), seenOf([]))).toBe(true)
})

test('a text with a placeholder in place of the private key is no access', () => {
  expect(usableConfig({ config: '[Interface]\nPrivateKey = <private_key_placeholder>\nAddress = 10.0.0.2/24' })).toBeNull()
  expect(usableConfig({ config: '[Interface]\nPrivateKey = abc=\n' })).toBe('[Interface]\nPrivateKey = abc=\n')
  expect(usableConfig({ config: '' })).toBeNull()
})

test('reasons are words of VPN Duck, and fit into its column of 50 characters', () => {
  expect(reasonFor('server-down')).toBe('server_down')
  expect(reasonFor('user-request')).toBe('user_request')
  expect(reasonFor(null)).toBe('server_down')
  expect(reasonFor('x'.repeat(80) as 'manual')).toHaveLength(50)
})
