import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { type Given, SettingsError } from './read.ts'
import { resolveVantage, resolveWorker } from './remote.ts'
import { resolveSettings } from './resolve.ts'

const folder = mkdtempSync(join(tmpdir(), 'pintail-remote-'))
afterAll(() => rmSync(folder, { recursive: true }))
function file(text: string, name = 'worker.yaml'): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

function wrong(resolve: (given: Given) => unknown, env: Given['env']) {
  try {
    resolve({ env, flags: {} })
  } catch (error) {
    if (error instanceof SettingsError) return error.problems
    throw error
  }
  return []
}
const names = (problems: readonly { readonly name: string }[]) => problems.map(({ name }) => name)

const key = `${'A'.repeat(42)}E=`
const wireguard = file(`wireguard: { servers: { de-1: { endpoint: "de1.example:51820", publicKey: "${key}" } } }`, 'wireguard.yaml')
const worker = { PINTAIL_NATS_URL: 'nats://127.0.0.1:4222', PINTAIL_REGION: 'de', PINTAIL_HANDLER: 'wireguard', PINTAIL_CONFIG: wireguard }
const vantage = { PINTAIL_NATS_URL: 'nats://127.0.0.1:4222', PINTAIL_VANTAGE: 'ru-moscow' }

test('what a worker cannot do without is named, all in one answer', () => {
  expect(names(wrong(resolveWorker, {}))).toEqual(['PINTAIL_NATS_URL', 'PINTAIL_REGION', 'PINTAIL_HANDLER'])
  expect(wrong(resolveWorker, { ...worker, PINTAIL_HANDLER: 'none' })).toMatchObject([{ name: 'PINTAIL_HANDLER', is: 'is none' }])
  expect(resolveWorker({ env: worker, flags: {} }).values).toMatchObject({
    region: 'de',
    handler: 'wireguard',
    port: null,
    concurrency: 16,
  })
})

test('what a vantage cannot do without is named', () => {
  expect(names(wrong(resolveVantage, {}))).toEqual(['PINTAIL_NATS_URL', 'PINTAIL_VANTAGE'])
  expect(resolveVantage({ env: vantage, flags: {} }).values).toMatchObject({ vantage: 'ru-moscow', port: null })
})

test('a name that policy.detect.vantages cannot have is none for a vantage', () => {
  for (const PINTAIL_VANTAGE of ['*', 'a b', '.x', '-x', 'a'.repeat(101)])
    expect(names(wrong(resolveVantage, { ...vantage, PINTAIL_VANTAGE })), PINTAIL_VANTAGE).toEqual(['PINTAIL_VANTAGE'])
})

test('a vantage whose canary has no port for its prober is refused', () => {
  const env = { ...vantage, PINTAIL_PROBER: 'tcp', PINTAIL_CANARIES: '192.0.2.1' }
  expect(names(wrong(resolveVantage, env))).toEqual(['PINTAIL_CANARIES'])
  expect(resolveVantage({ env: { ...env, PINTAIL_TCP_PORT: '443' }, flags: {} }).values.tcpPort).toBe(443)
})

describe('the config file of a worker', () => {
  test('programs are there for the handler that calls them, and for no other', () => {
    const PINTAIL_CONFIG = file('command: { grant: [/bin/true], revoke: [/bin/true] }')
    expect(resolveWorker({ env: { ...worker, PINTAIL_HANDLER: 'command', PINTAIL_CONFIG }, flags: {} }).sections.command).toBeDefined()
    expect(wrong(resolveWorker, { ...worker, PINTAIL_CONFIG })).toMatchObject([
      { name: 'wireguard', is: 'is missing' },
      { name: 'command', is: 'is for another handler than wireguard' },
    ])
    expect(wrong(resolveWorker, { ...worker, PINTAIL_HANDLER: 'command', PINTAIL_CONFIG: undefined })).toMatchObject([
      { name: 'command', is: 'is missing' },
    ])
  })

  test('a name that is not known is answered with the one that was meant', () => {
    const PINTAIL_CONFIG = file('regoin: de\npolicy: {}')
    expect(wrong(resolveWorker, { ...worker, PINTAIL_CONFIG })).toMatchObject([
      { name: 'regoin', right: 'did you mean region?' },
      { name: 'policy', is: 'is not known' },
      { name: 'wireguard', is: 'is missing' },
    ])
  })

  test.each([
    ['no list of arguments', 'command: { grant: "/bin/true", revoke: [/bin/true] }', ['command.grant']],
    ['no program to take access', 'command: { grant: [/bin/true] }', ['command.revoke']],
    [
      'a pattern that is none',
      'command: { grant: [/bin/true], revoke: [/bin/true], patterns: { connectionId: "(" } }',
      ['command.patterns.connectionId'],
    ],
    ['an unknown word', 'command: { grant: [/bin/true], revoke: [/bin/true], shell: hunter2 }', ['command']],
    ['an environment that is none', 'command: { grant: [/bin/true], revoke: [/bin/true], env: { A: [hunter2] } }', ['command.env.A']],
  ])('%s: refused where it stands, and no value is shown', (_what, text, where) => {
    const problems = wrong(resolveWorker, { ...worker, PINTAIL_HANDLER: 'command', PINTAIL_CONFIG: file(text) })
    expect(names(problems)).toEqual(where)
    expect(JSON.stringify(problems)).not.toContain('hunter2')
  })

  test('a server of WireGuard without its key or with an endpoint that is none is refused', () => {
    const PINTAIL_CONFIG = file('wireguard: { servers: { de-1: { endpoint: "de1.example" }, de-2: {} } }')
    expect(names(wrong(resolveWorker, { ...worker, PINTAIL_CONFIG }))).toEqual([
      'wireguard.servers.de-1.endpoint',
      'wireguard.servers.de-1.publicKey',
      'wireguard.servers.de-2.endpoint',
      'wireguard.servers.de-2.publicKey',
    ])
  })
})

test('one environment may be for all: a variable of another command is no mistake', () => {
  const env = { ...worker, PINTAIL_VANTAGE: 'x', PINTAIL_MODE: 'auto', PINTAIL_SERVERS: 'de-1, de-2' }
  expect(resolveWorker({ env, flags: {} })).toMatchObject({ warnings: [], values: { servers: ['de-1', 'de-2'] } })
  expect(resolveVantage({ env: { ...env, PINTAIL_CONFIG: undefined }, flags: {} }).warnings).toEqual([])
  expect(resolveSettings({ env: { PINTAIL_REGION: 'de', PINTAIL_BOOK: 'x' }, flags: {} }).warnings).toEqual([])
  expect(resolveWorker({ env: { ...worker, PINTAIL_REGOIN: 'x' }, flags: {} }).warnings).toEqual([
    expect.stringContaining('did you mean PINTAIL_REGION?'),
  ])
})
