import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PintailError } from '@pintail/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { UapiServer } from '../../test/uapiServer.ts'
import { uapiDevice, wgDevice } from './index.ts'
import { readDump } from './wgDevice.ts'

const ctx = { signal: new AbortController().signal }
/** What a call is refused with. */
const failureOf = (call: PromiseLike<unknown>): Promise<PintailError> =>
  Promise.resolve(call).then(
    () => Promise.reject(new Error('it was not refused')),
    (error) => error,
  )
const key = () => randomBytes(32).toString('base64')
const secret = Buffer.alloc(32, 0x5a).toString('base64')

describe('uapiDevice', () => {
  let server: UapiServer
  beforeEach(async () => {
    server = await new UapiServer().listen()
  })
  afterEach(() => server.close())
  const device = (timeoutMs = 60_000) => uapiDevice({ path: server.path, timeoutMs })

  test('peers are told as they are, without any secret', async () => {
    const [one, two] = [key(), key()]
    Object.assign(server.peer(one, '10.7.0.5/32', 'fd00::5/128'), { handshakeAt: 1_700_000_000_250, endpoint: '192.0.2.1:5000' })
    server.peer(two)
    const peers = await device().peers(ctx)
    expect(peers).toEqual([
      {
        publicKey: one,
        allowedIps: ['10.7.0.5/32', 'fd00::5/128'],
        endpoint: '192.0.2.1:5000',
        latestHandshakeAt: 1_700_000_000_250,
        rxBytes: 7,
        txBytes: 5,
      },
      { publicKey: two, allowedIps: [], endpoint: null, latestHandshakeAt: null, rxBytes: 7, txBytes: 5 },
    ])
    expect(JSON.stringify(peers)).not.toContain(secret)
  })

  test('peers are set and removed; what is removed frees its address in the same call', async () => {
    const [gone, stays, fresh] = [key(), key(), key()]
    server.peer(gone, '10.7.0.5/32')
    server.peer(stays, '10.7.0.6/32', '10.7.0.7/32')
    const presharedKey = key()
    await device().apply(
      {
        set: [
          { publicKey: fresh, allowedIps: ['10.7.0.5'], presharedKey },
          { publicKey: stays, allowedIps: ['10.7.0.7/32'] },
        ],
        remove: [gone],
      },
      ctx,
    )
    expect(server.table()).toEqual({ [stays]: ['10.7.0.7/32'], [fresh]: ['10.7.0.5/32'] })
    expect(server.peers.get(fresh)?.presharedKey).toBe(presharedKey)
    await device().apply({ set: [], remove: [gone] }, ctx)
    expect(server.peers.has(gone)).toBe(false)
  })

  test('an address that another peer keeps is refused beforehand, in whatever spelling, and nothing is changed', async () => {
    const owner = key()
    server.peer(owner, '10.7.0.5/32', 'fd00::5/128')
    for (const allowedIps of [['10.7.0.5'], ['fd00:0::5/128'], ['10.7.0.9/32', '10.7.0.5/32']]) {
      const change = { set: [{ publicKey: key(), allowedIps }], remove: [] }
      await expect(device().apply(change, ctx)).rejects.toMatchObject({
        code: 'rejected',
        message: expect.stringMatching(/belongs to another peer/),
      })
    }
    expect(server.table()).toEqual({ [owner]: ['10.7.0.5/32', 'fd00::5/128'] })
    expect(server.calls.set).toBe(0)
    const two = [key(), key()].map((publicKey) => ({ publicKey, allowedIps: ['10.7.0.8/32'] }))
    await expect(device().apply({ set: two, remove: [] }, ctx)).rejects.toMatchObject({ code: 'rejected' })
  })

  test.each([
    ['no key', { publicKey: 'abc', allowedIps: [] }],
    ['a key that would bring a line of its own', { publicKey: `${key()}\nprivate_key=00`, allowedIps: [] }],
    ['no address', { publicKey: key(), allowedIps: ['10.7.0.5/32\nremove=true'] }],
    ['no preshared key', { publicKey: key(), allowedIps: [], presharedKey: 'secret words' }],
  ])('%s is refused before anything is sent, and not told', async (_, peer) => {
    const failure = await failureOf(device().apply({ set: [peer], remove: [] }, ctx))
    expect(failure).toMatchObject({ code: 'rejected' })
    expect(failure.message).not.toContain('secret words')
    expect(server.calls).toEqual({ get: 0, set: 0 })
  })

  test('no socket, and one whose daemon is dead, are unavailable with what to do', async () => {
    const gone = uapiDevice({ path: join(server.folder, 'none.sock') })
    await expect(gone.peers(ctx)).rejects.toMatchObject({ code: 'unavailable', remedy: expect.stringMatching(/wireguard-go/) })
    await expect(gone.apply({ set: [], remove: [key()] }, ctx)).rejects.toMatchObject({ code: 'unavailable' })
    const stale = join(server.folder, 'file.sock')
    writeFileSync(stale, '')
    await expect(uapiDevice({ path: stale }).peers(ctx)).rejects.toMatchObject({
      code: 'unavailable',
      remedy: expect.stringMatching(/dead/),
    })
  })

  test.each(['silent', 'cut', 'garbled', 'endless', 'refuse'] as const)(
    'a daemon that is %s: reading is unavailable, and of a change nobody knows',
    async (trouble) => {
      server.trouble = trouble
      const short = device(trouble === 'silent' ? 60 : 60_000)
      await expect(short.peers(ctx)).rejects.toMatchObject({ code: 'unavailable' })
      const change = failureOf(short.apply({ set: [], remove: [key()] }, ctx))
      expect(['internal', 'timeout']).toContain((await change).code)
      expect(JSON.stringify([await change, String((await change).cause)])).not.toContain(secret)
      await expect.poll(() => server.openSockets).toBe(0)
    },
  )

  test('who gives up is let go at once, and leaves no connection behind', async () => {
    server.trouble = 'silent'
    const leaving = new AbortController()
    const asked = failureOf(device().peers({ signal: leaving.signal }))
    await expect.poll(() => server.calls.get).toBe(1)
    leaving.abort(new Error('enough'))
    expect(await asked).toMatchObject({ message: 'enough' })
    await expect.poll(() => server.openSockets).toBe(0)
  })

  test.each([
    {},
    { interface: 'wg0', path: '/x' },
    { interface: '../../etc/x' },
    { interface: '-x' },
    { interface: 'sixteen-letters-' },
    { path: 'relative' },
    { path: `/${'x'.repeat(107)}` },
    { path: '/x', timeoutMs: 0 },
  ])('options %j are refused', (options) => {
    expect(() => uapiDevice(options)).toThrow(expect.objectContaining({ code: 'invalid_options' }))
  })
})

describe('wgDevice', () => {
  let folder: string
  let command: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pintail-wg-'))
    command = join(folder, 'wg')
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))
  /** A program in wg's place that notes its arguments, its input and its environment. */
  const program = (script: string) => {
    writeFileSync(
      command,
      `#!${process.execPath}
const { appendFileSync, readFileSync } = require('node:fs')
const said = { argv: process.argv.slice(2), input: readFileSync(0, 'utf8'), env: Object.keys(process.env) }
appendFileSync(${JSON.stringify(join(folder, 'said'))}, JSON.stringify(said) + '\\n')
${script}`,
    )
    chmodSync(command, 0o755)
  }
  const said = (): { argv: string[]; input: string; env: string[] }[] =>
    existsSync(join(folder, 'said'))
      ? readFileSync(join(folder, 'said'), 'utf8')
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line))
      : []
  const dump = (...lines: string[]) =>
    program(`process.stdout.write(${JSON.stringify([`${secret}\t${key()}\t51820\toff`, ...lines, ''].join('\n'))})`)
  const device = () => wgDevice({ interface: 'wg0', command, timeoutMs: 60_000 })

  test('the dump is read, but for its secrets', async () => {
    const [one, two] = [key(), key()]
    dump(`${one}\t${secret}\t192.0.2.1:5000\t10.7.0.5/32,fd00::5/128\t1700000000\t7\t5\toff`, `${two}\t(none)\t(none)\t(none)\t0\t0\t0\t25`)
    expect(await device().peers(ctx)).toEqual([
      {
        publicKey: one,
        allowedIps: ['10.7.0.5/32', 'fd00::5/128'],
        endpoint: '192.0.2.1:5000',
        latestHandshakeAt: 1_700_000_000_000,
        rxBytes: 7,
        txBytes: 5,
      },
      { publicKey: two, allowedIps: [], endpoint: null, latestHandshakeAt: null, rxBytes: 0, txBytes: 0 },
    ])
    expect(said()).toMatchObject([{ argv: ['show', 'wg0', 'dump'] }])
  })

  test('a preshared key goes over standard input, never onto the command line; nothing of the environment but PATH', async () => {
    dump()
    const [gone, plain, shared, presharedKey] = [key(), key(), key(), key()]
    process.env.PINTAIL_TEST_SECRET = 'x'
    await device().apply(
      {
        set: [
          { publicKey: shared, allowedIps: ['10.7.0.6/32'], presharedKey },
          { publicKey: plain, allowedIps: ['10.7.0.5/32', 'fd00::5/128'] },
        ],
        remove: [gone],
        seen: [],
      },
      ctx,
    )
    delete process.env.PINTAIL_TEST_SECRET
    expect(said().map(({ argv }) => argv)).toEqual([
      ['set', 'wg0', 'peer', gone, 'remove', 'peer', plain, 'allowed-ips', '10.7.0.5/32,fd00::5/128'],
      ['set', 'wg0', 'peer', shared, 'preshared-key', '/dev/stdin', 'allowed-ips', '10.7.0.6/32'],
    ])
    expect(said().map(({ input }) => input)).toEqual(['', `${presharedKey}\n`])
    for (const { env } of said()) expect(env).not.toContain('PINTAIL_TEST_SECRET')
  })

  test('many changes go in calls of 200, so that no command line is too long', async () => {
    dump()
    await device().apply({ set: [], remove: Array.from({ length: 450 }, key) }, ctx)
    expect(said().map(({ argv }) => (argv.length - 2) / 3)).toEqual([200, 200, 50])
  })

  test.each([
    ['Unable to access interface: No such device', 'unavailable', /wg show interfaces/],
    ['Unable to access interface: Operation not permitted', 'unavailable', /CAP_NET_ADMIN/],
    ['Unable to modify interface: Protocol not supported', 'unavailable', /wireguard-go/],
    ['Unable to modify interface: Bad address', 'internal', undefined],
  ])('"%s" is %s', async (text, code, remedy) => {
    program(`process.stderr.write(${JSON.stringify(`${text} ${secret}\n`)}); process.exitCode = 1`)
    const failure = await failureOf(device().apply({ set: [], remove: [key()] }, ctx))
    expect(failure).toMatchObject({ code, ...(remedy && { remedy: expect.stringMatching(remedy) }) })
    expect(`${failure.message} ${failure.cause}`).not.toContain(secret)
    await expect(device().peers(ctx)).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('a second call that fails after a first one leaves open what has happened', async () => {
    program(`if (process.argv.includes('preshared-key')) { process.stderr.write('No such device'); process.exitCode = 1 }`)
    const set = [{ publicKey: key(), allowedIps: [], presharedKey: key() }]
    await expect(device().apply({ set, remove: [key()], seen: [] }, ctx)).rejects.toMatchObject({ code: 'internal' })
    await expect(device().apply({ set, remove: [], seen: [] }, ctx)).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('no program, one that is not wg, and one that hangs', async () => {
    await expect(device().peers(ctx)).rejects.toMatchObject({ code: 'unavailable', remedy: expect.stringMatching(/Install it/) })
    program(`process.stdout.write('hello')`)
    await expect(device().peers(ctx)).rejects.toMatchObject({ code: 'unavailable' })
    program('setInterval(() => {}, 1000)')
    const hanging = wgDevice({ interface: 'wg0', command, timeoutMs: 1000 })
    await expect(hanging.peers(ctx)).rejects.toMatchObject({ code: 'unavailable' })
    await expect(hanging.apply({ set: [], remove: [key()] }, ctx)).rejects.toMatchObject({ code: 'timeout' })
  })

  test.each([
    { interface: '' },
    { interface: 'a b' },
    { interface: '--help' },
    { interface: 'all' },
    { interface: 'wg0', command: './wg' },
    { interface: 'wg0', command: '-x' },
  ])('options %j are refused', (options) => {
    expect(() => wgDevice(options)).toThrow(expect.objectContaining({ code: 'invalid_options' }))
  })

  test('half a line is no dump', () => {
    for (const text of ['', 'x', `a\tb\tc\td\n${key()}`, `a\tb\tc\td\n${key()}\t-\t-\t-\tx\t0\t0\t0`])
      expect(() => readDump(text)).toThrow(/not understood/)
  })
})
