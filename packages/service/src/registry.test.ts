import { PintailError, type ServerInput } from '@pintail/core'
import { expect, test } from 'vitest'
import { listedByVpnDuck } from './parts.ts'
import { tellingRegistry } from './registry.ts'

function world() {
  const lines: string[] = []
  let now = 1_000_000
  let answer: () => PromiseLike<readonly ServerInput[]> = async () => []
  const say = (level: string) => (_data: object, text: string) => void lines.push(`${level} ${text}`)
  const registry = tellingRegistry(
    { listServers: () => answer(), listConnections: async () => [], coverage: 'active' },
    listedByVpnDuck('http://root:hunter2@db:5002'),
    { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') },
    () => now,
  )
  const ctx = { signal: new AbortController().signal }
  return {
    registry,
    lines,
    list: () => Promise.resolve(registry.listServers(ctx) as PromiseLike<unknown>).catch(() => 'failed'),
    answers: (servers: number) => {
      answer = async () => Array.from({ length: servers }, (_, id) => ({ id, host: '127.0.0.1' }))
    },
    fails: () => {
      answer = () => Promise.reject(new PintailError('unavailable', 'connect ECONNREFUSED', { remedy: 'start it' }))
    },
    pass: (ms: number) => {
      now += ms
    },
  }
}

test('a database service that is away is told once, and again only every five minutes', async () => {
  const { list, fails, pass, lines } = world()
  fails()
  for (let looks = 0; looks < 20; looks++) {
    expect(await list()).toBe('failed')
    pass(15_000)
  }
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(/^warn the database service at http:\/\/\*\*\*@db:5002 does not answer: connect ECONNREFUSED\./)
  pass(15_000)
  await list()
  expect(lines).toHaveLength(2)
})

test('its return is told with how long it was away, and the next absence anew', async () => {
  const { list, fails, answers, pass, lines } = world()
  answers(1)
  await list()
  fails()
  await list()
  pass(40_000)
  answers(6)
  await list()
  await list()
  fails()
  await list()
  expect(lines.map((line) => line.replace(/^(\w+) the database service at \S+ /, '$1 '))).toEqual([
    'info lists 1 server',
    expect.stringMatching(/^warn does not answer/),
    'info answers again after 40 s: 6 servers',
    expect.stringMatching(/^warn does not answer/),
  ])
})

test('the registry keeps what it can and what it cannot', () => {
  const { registry } = world()
  expect(registry.coverage).toBe('active')
  expect(registry.setServerStatus).toBeUndefined()
})
