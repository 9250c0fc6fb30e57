import { describe, expect, test } from 'vitest'
import { type Given, SettingsError } from './read.ts'
import { resolveSettings } from './resolve.ts'

const nats = {
  PINTAIL_NATS_URL: 'nats://127.0.0.1:4222',
  PINTAIL_STORE: 'postgres',
  PINTAIL_POSTGRES_URL: 'postgres://pintail:hunter2@127.0.0.1/pintail',
}
function wrong(env: Given['env']) {
  try {
    resolveSettings({ env, flags: {} })
  } catch (error) {
    if (error instanceof SettingsError) return error.problems
    throw error
  }
  return []
}

test('NATS and PostgreSQL together are taken', () => {
  const { values, warnings } = resolveSettings({ env: { ...nats, PINTAIL_NATS_REPLICAS: '3', PINTAIL_SYNC_INTERVAL: '60' }, flags: {} })
  expect(values).toMatchObject({ natsUrl: ['nats://127.0.0.1:4222'], natsReplicas: 3, syncInterval: 60, natsPrefix: 'vpn' })
  expect(warnings).toEqual([])
})

test.each(['sqlite', 'memory'])('NATS with the state in %s is refused, and says what is needed', (store) => {
  const { PINTAIL_NATS_URL } = nats
  expect(wrong({ PINTAIL_NATS_URL, PINTAIL_STORE: store })).toMatchObject([
    {
      name: 'PINTAIL_NATS_URL',
      is: `needs PostgreSQL, and the state is in ${store}`,
      right: expect.stringContaining('PINTAIL_POSTGRES_URL'),
    },
  ])
})

test('NATS with what is VPN Duck’s alone is refused, each by its name', () => {
  const duck = {
    DATABASE_SERVICE_URL: 'http://db:5002',
    PINTAIL_WIREGUARD: 'on',
    PINTAIL_DIALECT: 'v1',
    PINTAIL_LEDGER: 'off',
    PINTAIL_RESUME: 'on',
  }
  const names = wrong({ ...nats, ...duck }).map(({ name }) => name)
  expect(names.toSorted()).toEqual(Object.keys(duck).toSorted())
})

test('what is for NATS is refused where no server is named', () => {
  for (const [name, value] of Object.entries({
    PINTAIL_NATS_CREDS: '/run/creds',
    PINTAIL_NATS_USER: 'engine',
    PINTAIL_NATS_PASSWORD: 'hunter2',
    PINTAIL_NATS_CA: '/run/ca.pem',
    PINTAIL_NATS_REPLICAS: '3',
    PINTAIL_SYNC_INTERVAL: '60',
    PINTAIL_WEBHOOK_URL: 'https://hooks.example/x',
    PINTAIL_WEBHOOK_SECRET: 'whsec_hunter2',
  }))
    expect(wrong({ [name]: value }), name).toMatchObject([{ name, right: expect.stringContaining('PINTAIL_NATS_URL') }])
})

describe('who one is at NATS', () => {
  test.each([
    ['two ways', { PINTAIL_NATS_CREDS: '/c', PINTAIL_NATS_USER: 'a', PINTAIL_NATS_PASSWORD: 'hunter2' }, 'PINTAIL_NATS_CREDS'],
    [
      'two passwords',
      { PINTAIL_NATS_USER: 'a', PINTAIL_NATS_PASSWORD: 'hunter2', PINTAIL_NATS_PASSWORD_FILE: '/f' },
      'PINTAIL_NATS_PASSWORD',
    ],
    ['a password of nobody', { PINTAIL_NATS_PASSWORD: 'hunter2' }, 'PINTAIL_NATS_PASSWORD'],
    ['a file of nobody', { PINTAIL_NATS_PASSWORD_FILE: '/f' }, 'PINTAIL_NATS_PASSWORD_FILE'],
    ['a user without a password', { PINTAIL_NATS_USER: 'a' }, 'PINTAIL_NATS_USER'],
  ])('%s: refused', (_what, env, name) => {
    const problems = wrong({ ...nats, ...env })
    expect(problems.map((one) => one.name)).toEqual([name])
    expect(JSON.stringify(problems)).not.toContain('hunter2')
  })

  test.each([
    'nats://me:hunter2@broker:4222',
    'hunter2',
    'http://broker/hunter2',
    'nats://',
    ',',
    'nats://broker/hunter2',
    Array.from({ length: 17 }, (_, index) => `nats://b${index}`).join(','),
  ])('an address that is none, or holds a secret, is refused and not shown: %#', (url) => {
    const problems = wrong({ ...nats, PINTAIL_NATS_URL: url })
    expect(problems.some(({ name }) => name === 'PINTAIL_NATS_URL')).toBe(true)
    expect(JSON.stringify(problems)).not.toContain('hunter2')
  })
})
