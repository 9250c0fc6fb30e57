import { PintailError } from '@pintail/core'
import { expect, test } from 'vitest'
import { createLogger, type LogOptions } from './log.ts'

function logger(options: Partial<LogOptions> = {}) {
  const lines: string[] = []
  const log = createLogger(
    { logLevel: 'info', logFormat: 'auto', isTerminal: false, color: false, ...options },
    { write: (line) => void lines.push(line) },
  )
  return { log, lines }
}

test('on a pipe each line is JSON with its level in words, on a terminal it is for people', () => {
  const pipe = logger()
  pipe.log.warn({ serverId: '3' }, 'a word')
  expect(JSON.parse(pipe.lines[0] ?? '')).toMatchObject({
    level: 'warn',
    serverId: '3',
    msg: 'a word',
    time: expect.stringMatching(/^\d{4}-/),
  })
  const terminal = logger({ isTerminal: true })
  terminal.log.warn({ serverId: '3', remedy: 'do this' }, 'a word')
  expect(terminal.lines).toEqual([expect.stringMatching(/^\[\d\d:\d\d:\d\d\] WARN: a word → do this\n$/)])
  const asked = logger({ isTerminal: true, logFormat: 'json' })
  asked.log.info({}, 'x')
  expect(JSON.parse(asked.lines[0] ?? '')).toMatchObject({ msg: 'x' })
})

test('what is below the level is not there', () => {
  const { log, lines } = logger({ logLevel: 'warn' })
  log.info({}, 'not this')
  log.error({}, 'this')
  expect(lines).toHaveLength(1)
  const silent = logger({ logLevel: 'silent' })
  silent.log.fatal({}, 'nothing')
  expect(silent.lines).toEqual([])
})

test.each([false, true])('no secret leaves in a line, however deep it is (terminal: %s)', (isTerminal) => {
  const { log, lines } = logger({ isTerminal, logLevel: 'debug' })
  const secret = 'hunter2+/abc='
  log.info({ server: { row: [{ private_key: secret, privateKey: secret, apiKey: secret }] }, authorization: `Bearer ${secret}` }, 'a row')
  log.info({ url: `http://root:${secret.replace('/', '')}@db:5002/servers` }, `asked http://root:hunter2@db`)
  log.info({ config: `[Interface]\nPrivateKey = ${secret}\nAddress = 10.0.0.2` }, 'a configuration')
  log.error(
    { err: new PintailError('unavailable', `token=${secret}`, { remedy: 'x', cause: new Error(`password: ${secret}`) }) },
    'an error',
  )
  expect(lines).toHaveLength(4)
  log.info({}, 'the peer 2Pq9hZ0mYbB1cD3eF5gH7iJ9kL1mN3oP5qR7sT9uV0w= is there')
  expect(lines.pop()).not.toContain('2Pq9')
  expect(lines.join('')).not.toContain('hunter2')
  // Fencing tokens are numbers, and no secrets.
  log.info({ token: 3, fencingToken: 4 }, 'leads')
  expect(lines[4]).toMatch(/"?fencingToken"?: ?4/)
})

test('an error tells its code, its remedy and what is underneath', () => {
  const { log, lines } = logger()
  log.error({ err: new PintailError('unavailable', 'no answer', { remedy: 'look', cause: new Error('ECONNREFUSED') }) }, 'failed')
  expect(JSON.parse(lines[0] ?? '').err).toMatchObject({ type: 'PintailError', code: 'unavailable', remedy: 'look', cause: 'ECONNREFUSED' })
})
