import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { pintail } from '../../test/terminal.ts'
import { accountOfKey, hashOf } from '../accounts/keys.ts'
import { guardsMetrics } from './access.ts'
import { SettingsError } from './read.ts'
import { resolveSettings } from './resolve.ts'

const resolve = (env: Record<string, string>) => resolveSettings({ flags: {}, env })
function problems(env: Record<string, string>) {
  try {
    resolve(env)
  } catch (error) {
    if (error instanceof SettingsError) return error.problems
    throw error
  }
  return []
}
const hash = 'a'.repeat(64)
const secret = '0123456789abcdefghijklmnopqrstuv'

test('pintail key makes a key that is let in by the line beside it, another one each time, and keeps nothing', async () => {
  const made = await pintail(['key', '--name', 'grafana', '--role', 'viewer', '--expires', '2999-01-31', '--json'])
  expect(made.code).toBe(0)
  const { key, entry } = JSON.parse(made.out)
  const { apiKeys } = resolve({ PINTAIL_API_KEYS: entry }).values
  expect(apiKeys).toEqual([{ name: 'grafana', role: 'viewer', sha256: hashOf(key), expiresAt: Date.UTC(2999, 0, 31) }])
  expect(accountOfKey(key, apiKeys, Date.now())).toMatchObject({ kind: 'key', name: 'grafana', role: 'viewer' })
  expect(() => accountOfKey(key, apiKeys, Date.UTC(2999, 0, 31))).toThrow('expired')
  expect(entry).not.toContain(key.slice(8))
  const text = await pintail(['key', '--name', 'grafana', '--role', 'viewer'])
  expect(text.out).toMatch(/pintail_[\w-]{43}\n[\s\S]*PINTAIL_API_KEYS=grafana:viewer:[0-9a-f]{64}\n$/)
  expect(text.out).not.toContain(key)
  for (const argv of [
    ['--name', 'a b', '--role', 'viewer'],
    ['--name', 'a', '--role', 'root'],
    ['--name', 'a', '--role', 'admin', '--expires', '2001-01-01'],
    ['--role', 'admin'],
  ])
    expect([argv, (await pintail(['key', ...argv])).code]).toEqual([argv, 2])
})

test('keys are read from one line, or as a list in a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pintail-access-'))
  const path = join(folder, 'pintail.yaml')
  writeFileSync(
    path,
    `apiKeys:\n  - { name: ops, role: operator, sha256: ${hash}, expires: 2999-01-31T12:00:00Z }\n  - b:admin:${'b'.repeat(64)}\n`,
  )
  const ops = { name: 'ops', role: 'operator', sha256: hash, expiresAt: Date.UTC(2999, 0, 31, 12) }
  const b = { name: 'b', role: 'admin', sha256: 'b'.repeat(64), expiresAt: null }
  expect(resolve({ PINTAIL_CONFIG: path }).values.apiKeys).toEqual([ops, b])
  rmSync(folder, { recursive: true })
  expect(
    resolve({ PINTAIL_API_KEYS: ` ops:operator:${hash.toUpperCase()}:2999-01-31T12:00:00Z , b:admin:${'b'.repeat(64)},` }).values.apiKeys,
  ).toEqual([ops, b])
})

test.each([
  ['ops:operator', 'number 1'],
  [`ops:root:${hash}`, 'number 1'],
  [`ok:viewer:${'b'.repeat(64)}, o p s:admin:${hash}`, 'number 2'],
  [`ops:admin:${hash}:tomorrow`, 'number 1'],
  [`ops:admin:${hash.slice(1)}`, 'number 1'],
  [`a:viewer:${hash},a:admin:${'b'.repeat(64)}`, 'the same name twice'],
  [`a:viewer:${hash},b:admin:${hash}`, 'the same sha256 twice'],
])('%s is refused, and not shown', (PINTAIL_API_KEYS, what) => {
  const [problem] = problems({ PINTAIL_API_KEYS })
  expect(problem).toMatchObject({ name: 'PINTAIL_API_KEYS', is: expect.stringContaining(what) })
  expect(problem).not.toHaveProperty('value')
})

test.each([
  [{ PINTAIL_JWT_SECRET: 'x'.repeat(31) }, 'PINTAIL_JWT_SECRET', 'has 31 characters'],
  [{ PINTAIL_JWT_SECRET: `-----BEGIN PUBLIC KEY-----${'x'.repeat(40)}` }, 'PINTAIL_JWT_SECRET', 'is a key in PEM form'],
  [{ PINTAIL_JWT_SECRET: 'your-super-secret-jwt-key-change-in-production' }, 'PINTAIL_JWT_SECRET', 'is one that others know'],
  [{ PINTAIL_JWT_SECRET: 'x'.repeat(64) }, 'PINTAIL_JWT_SECRET', 'is one that others know'],
  [{ PINTAIL_JWT_JWKS: 'http://id.example/keys', PINTAIL_JWT_ISSUER: 'x' }, 'PINTAIL_JWT_JWKS', 'can be changed on its way'],
  [{ PINTAIL_JWT_JWKS: 'ftp://id.example/keys', PINTAIL_JWT_ISSUER: 'x' }, 'PINTAIL_JWT_JWKS', 'can be changed on its way'],
  [{ PINTAIL_JWT_JWKS: 'https://id.example/keys' }, 'PINTAIL_JWT_JWKS', 'needs an issuer'],
  [{ PINTAIL_JWT_AUDIENCE: 'a b' }, 'PINTAIL_JWT_AUDIENCE', 'is no such name'],
  [{ PINTAIL_API: 'open', PINTAIL_HOST: '0.0.0.0' }, 'PINTAIL_API', 'is open to all who reach 0.0.0.0'],
  [{ PINTAIL_API: 'open', PINTAIL_JWT_SECRET: secret }, 'PINTAIL_API', 'accounts are configured'],
  [{ PINTAIL_PROMETHEUS_ACCESS: 'account' }, 'PINTAIL_PROMETHEUS_ACCESS', 'needs an account'],
  [{ PINTAIL_PSEUDONYM_KEY: 'short' }, 'PINTAIL_PSEUDONYM_KEY', 'has 5 characters'],
])('%j would be open by accident, or to nobody', (env, name, is) => {
  expect(problems(env as Record<string, string>)).toMatchObject([{ name, is: expect.stringContaining(is) }])
})

test('no secret is in what pintail config prints, or in the first line of the log', async () => {
  const env = {
    PINTAIL_JWT_SECRET: 'hunter2-correct-horse-battery-staple',
    PINTAIL_PSEUDONYM_KEY: 'hunter3-correct-horse',
    PINTAIL_API_KEYS: `ops:admin:${hash}`,
  }
  for (const argv of [['config'], ['config', '--json'], ['serve', '--print-config']]) {
    const { code, out, err } = await pintail(argv, env)
    expect(code).toBe(0)
    expect(out).toContain('ops:admin')
    expect(out + err).not.toMatch(/hunter|aaaaaa/)
  }
})

test('figures are for anybody as before, until there are accounts and the port is open to others', () => {
  const guarded = (env: Record<string, string>) => guardsMetrics(resolve(env).values)
  const key = { PINTAIL_API_KEYS: `a:viewer:${hash}` }
  expect(guarded({})).toBe(false)
  expect(guarded({ PINTAIL_HOST: '0.0.0.0' })).toBe(false)
  expect(guarded(key)).toBe(false)
  expect(guarded({ ...key, PINTAIL_HOST: '0.0.0.0' })).toBe(true)
  expect(guarded({ ...key, PINTAIL_HOST: '0.0.0.0', PINTAIL_PROMETHEUS_ACCESS: 'open' })).toBe(false)
  expect(guarded({ ...key, PINTAIL_PROMETHEUS_ACCESS: 'account' })).toBe(true)
})
