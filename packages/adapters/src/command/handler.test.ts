import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Json, PintailError } from '@pintail/core'
import { fakeClock } from '@pintail/core/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { until } from '../../test/until.ts'
import type { Access } from '../regions/index.ts'
import { type CommandHandlerOptions, commandHandler } from './index.ts'

const ctx = { signal: new AbortController().signal, traceId: null }
const access = (more: Partial<Access> = {}): Access => ({
  ...{ serverId: 'de1', connectionId: 'u1', token: 3, epoch: 4, deadline: null, payload: { key: 'abc', deep: { er: 'x' } } },
  ...more,
})

let folder: string
let program: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pintail-command-'))
  program = join(folder, 'vpnctl')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** The daemon's own command: notes what it was called with, then does as the script says. */
function script(body = ''): void {
  writeFileSync(
    program,
    `#!${process.execPath}
const fs = require('node:fs')
const said = { argv: process.argv.slice(2), input: fs.readFileSync(0, 'utf8'), env: process.env, cwd: process.cwd() }
fs.appendFileSync(${JSON.stringify(join(folder, 'said'))}, JSON.stringify(said) + '\\n')
${body}`,
  )
  chmodSync(program, 0o755)
}
const said = (): { argv: string[]; input: string; env: Record<string, string>; cwd: string }[] =>
  existsSync(join(folder, 'said'))
    ? readFileSync(join(folder, 'said'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
    : []
const open = (options: Partial<CommandHandlerOptions> = {}) =>
  commandHandler({
    grant: [program, 'add', '{connectionId}', '--key={payload.key}'],
    revoke: [program, 'remove', '{connectionId}'],
    // Longer than any machine stands still.
    timeoutMs: 600_000,
    ...options,
  })
const failureOf = (call: PromiseLike<unknown> | undefined): Promise<PintailError> =>
  Promise.resolve(call).then(
    () => Promise.reject(new Error('it was not refused')),
    (error) => error,
  )

test('values fill their places, each argument stays one argument, and no shell reads them', async () => {
  script()
  const handler = open({
    grant: [program, 'add', '{connectionId}@{serverId}', '{token}.{epoch}', '$(reboot)', '{payload.deep.er}', '{payload.note}'],
    patterns: { 'payload.note': /.*/s },
  })
  const note = `; touch ${folder}/hacked & $(touch ${folder}/hacked) \`x\` | > "'* \\`
  await handler.grant(access({ payload: { deep: { er: 'x' }, note } }), ctx)
  expect(said()[0]?.argv).toEqual(['add', 'u1@de1', '3.4', '$(reboot)', 'x', note])
  expect(existsSync(join(folder, 'hacked'))).toBe(false)
})

test.each<[string, Partial<Access>]>([
  ['an option', { connectionId: '-rf' }],
  ['an option after a long name', { payload: { key: '--config=/etc/passwd' } }],
  ['a space', { connectionId: 'a b' }],
  ['a line break at the end', { connectionId: 'a\n' }],
  ['a zero byte', { connectionId: 'a\0b' }],
  ['a path', { connectionId: '../../etc' }],
  ['the folder above', { connectionId: '..' }],
  ['a shell’s word', { connectionId: '$(reboot)' }],
  ['too much', { connectionId: 'x'.repeat(129) }],
  ['nothing', { connectionId: '' }],
  ['letters that only look alike', { connectionId: 'аdmin' }],
  ['a field that is not there', { payload: {} }],
  ['no payload', { payload: null }],
  ['a list', { payload: { key: ['a'] } }],
  ['an object', { payload: { key: { toString: 'x' } } }],
  ['yes', { payload: { key: true } }],
])('a value that is %s is refused, not told, and nothing is run', async (_, more) => {
  script()
  const failure = await failureOf(open().grant(access(more), ctx))
  expect(failure).toMatchObject({ code: 'rejected', message: expect.stringMatching(/^BAD_VALUE: \{(connectionId|payload\.key)\} /) })
  expect(failure.message).not.toMatch(/passwd|reboot|etc/)
  expect(said()).toEqual([])
})

test('a wide pattern allows no option, no control character, and nothing before or behind what it matches', async () => {
  script()
  const wide = open({ patterns: { connectionId: /.*/s, 'payload.key': /a|b/gm } })
  for (const more of [
    { connectionId: '-x' },
    { connectionId: 'a\0' },
    { connectionId: '\u001b[2J' },
    { connectionId: '\ud800' },
    { payload: { key: 'ax' } },
    { payload: { key: 'x\na' } },
  ])
    expect(await failureOf(wide.grant(access(more), ctx))).toMatchObject({ code: 'rejected' })
  expect(said()).toEqual([])
  for (let times = 0; times < 2; times += 1) await wide.grant(access({ connectionId: 'it is fine', payload: { key: 'a' } }), ctx)
  expect(said()).toHaveLength(2)
})

test('properties that every object has are no fields of a message', async () => {
  script()
  for (const field of ['constructor', 'toString', '__proto__', 'length'])
    expect(await failureOf(open({ grant: [program, `{payload.${field}}`] }).grant(access({ payload: { key: 'a' } }), ctx))).toMatchObject({
      code: 'rejected',
    })
})

test('nothing of this process’s environment is there but PATH, and what the host gives', async () => {
  script()
  process.env.PINTAIL_TEST_SECRET = 'x'
  await open({ env: { LANG: 'C' }, cwd: folder, input: 'json' }).grant(access(), ctx)
  delete process.env.PINTAIL_TEST_SECRET
  const [call] = said()
  expect(Object.keys(call?.env ?? {}).sort()).toEqual(['LANG', 'PATH'])
  expect(call?.cwd).toBe(folder)
  expect(JSON.parse(call?.input ?? '')).toEqual(access())
})

test('exit codes mean what the table says; what the command complains of is told on one line, its secrets masked', async () => {
  script(`process.stderr.write('no\\nsuch user password=hunter2 ' + 'x'.repeat(5000)); process.exitCode = Number(process.argv[3])`)
  const handler = open({ exitCodes: { 17: 'ok', 2: 'rejected', 75: 'unavailable' } })
  for (const [id, code] of [
    ['2', 'rejected'],
    ['75', 'unavailable'],
    ['1', 'internal'],
  ] as const) {
    const failure = await failureOf(handler.revoke(access({ connectionId: id }), ctx))
    expect(failure).toMatchObject({ code, message: expect.stringMatching(/no such user/) })
    expect(failure.message.length).toBeLessThan(300)
    expect(failure.message).not.toContain('hunter2')
  }
  for (const id of ['0', '17']) await handler.revoke(access({ connectionId: id }), ctx)
})

test('what a grant prints goes back as JSON where that is asked for', async () => {
  script(
    `process.stdout.write(process.argv[3] === 'good' ? '{"config":"x"}' : process.argv[3] === 'long' ? JSON.stringify('x'.repeat(70000)) : 'password: hunter2')`,
  )
  const handler = open({ returns: 'json' })
  expect(await handler.grant(access({ connectionId: 'good' }), ctx)).toEqual({ config: 'x' })
  expect(await open().grant(access({ connectionId: 'good' }), ctx)).toBeUndefined()
  for (const connectionId of ['bad', 'long']) {
    const failure = await failureOf(handler.grant(access({ connectionId }), ctx))
    expect(failure).toMatchObject({ code: 'internal' })
    expect(`${failure.message} ${failure.cause}`).not.toContain('hunter2')
  }
})

test('a list is understood as a whole or not at all', async () => {
  const list = (output: string) => {
    script(`process.stdout.write(${JSON.stringify(output)})`)
    return open({ list: [program, 'list', '{serverId}'] }).list?.('de1', ctx)
  }
  expect(await list('[{"connectionId":"u1","payload":{"key":"a"}},{"connectionId":null}]')).toEqual([
    { connectionId: 'u1', payload: { key: 'a' } },
    { connectionId: null, payload: null },
  ])
  for (const output of ['{}', '[{}]', '[1]', '[null]', '[{"connectionId":7}]', '[{"connectionId":"a"}', ''])
    expect(['unavailable', 'internal']).toContain((await failureOf(list(output))).code)
})

test('`check` is yes with 0, no with 1, and nothing else is an answer', async () => {
  script('process.exitCode = Number(process.argv[2])')
  const check = (id: string) => open({ check: [program, '{connectionId}'] }).check?.(access({ connectionId: id }), ctx)
  expect([await check('0'), await check('1')]).toEqual([true, false])
  expect(await failureOf(check('2'))).toMatchObject({ code: 'unavailable' })
  expect(open().check).toBeUndefined()
  expect(open().list).toBeUndefined()
})

test('a program that is not there has had no effect', async () => {
  expect(await failureOf(open().grant(access(), ctx))).toMatchObject({ code: 'unavailable', remedy: expect.stringMatching(/PATH/) })
})

const isAlive = (pid: number): boolean => {
  try {
    // A process that has ended and was not fetched yet is not alive any more.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

test('a time-out ends the command and whatever it has started, and so does who gives up', async () => {
  script(`const child = require('node:child_process').spawn('sleep', ['1000'], { stdio: 'inherit' })
fs.writeFileSync(${JSON.stringify(join(folder, 'pids'))}, process.pid + ' ' + child.pid)
setInterval(() => {}, 1000)`)
  const pids = () => readFileSync(join(folder, 'pids'), 'utf8').split(' ').map(Number)
  const isStarted = () => until('it has started a process', () => existsSync(join(folder, 'pids')) && pids().length === 2)
  const clock = fakeClock()
  const late = failureOf(open({ timeoutMs: 3000, clock }).grant(access(), ctx))
  await isStarted()
  await clock.advance(3000)
  expect(await late).toMatchObject({ code: 'timeout' })
  for (const pid of pids()) await expect.poll(() => isAlive(pid)).toBe(false)
  rmSync(join(folder, 'pids'))
  const leaving = new AbortController()
  const running = failureOf(open().grant(access(), { ...ctx, signal: leaving.signal }))
  await isStarted()
  leaving.abort(new Error('enough'))
  expect(await running).toMatchObject({ message: 'enough' })
  for (const pid of pids()) await expect.poll(() => isAlive(pid)).toBe(false)
})

test('what a command leaves running holds nobody up', async () => {
  script(`require('node:child_process').spawn('sleep', ['1000'], { stdio: 'inherit' }).unref(); process.exit(0)`)
  await open().grant(access(), ctx)
})

test('endless output ends the command', async () => {
  script(`const more = () => process.stdout.write('x'.repeat(65536), more); more()`)
  expect(await failureOf(open({ maxOutputBytes: 100_000 }).grant(access(), ctx))).toMatchObject({
    code: 'internal',
    message: expect.stringMatching(/100000/),
  })
})

test('endless complaints are not kept', async () => {
  script(`for (let n = 0; n < 500; n++) fs.writeSync(2, 'y'.repeat(65536)); process.exitCode = 1`)
  expect((await failureOf(open().grant(access(), ctx))).message.length).toBeLessThan(300)
})

test.each<[string, Record<string, unknown>]>([
  ['a shell line', { grant: 'vpnctl add {connectionId}' as unknown as Json }],
  ['nothing', { grant: [] }],
  ['a place in the program', { grant: ['{connectionId}'] }],
  ['a program beside this process', { grant: ['./vpnctl'] }],
  ['an unknown place', { grant: ['vpnctl', '{user}'] }],
  ['a place of nothing', { grant: ['vpnctl', '{}'] }],
  ['a list about one user', { list: ['vpnctl', '{connectionId}'] }],
  ['a pattern for no place', { patterns: { 'payload.kye': /x/ } }],
  ['a pattern that is a text', { patterns: { connectionId: 'x' } }],
  ['no time', { timeoutMs: 0 }],
])('options with %s are refused', (_, options) => {
  expect(() => open(options as Partial<CommandHandlerOptions>)).toThrow(expect.objectContaining({ code: 'invalid_options' }))
})
