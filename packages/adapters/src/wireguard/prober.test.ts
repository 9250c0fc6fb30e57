import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { getEventListeners, once } from 'node:events'
import { join } from 'node:path'
import { isPintailError, type PintailError, type ProbeTarget } from '@pintail/core'
import { afterEach, describe, expect, test } from 'vitest'
import { keyPair, type Manner, WireguardServer } from '../../test/wireguardServer.ts'
import { type WireguardProberOptions, wireguardProber } from './index.ts'

const servers: WireguardServer[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server[Symbol.asyncDispose]()
})

/** A server with this manner, and a probe that is registered there. */
async function world(manner: Manner = 'answers', host = '127.0.0.1', options: Partial<WireguardProberOptions> = {}) {
  const server = await new WireguardServer().listen(host)
  servers.push(server)
  server.manner = manner
  const keys = keyPair()
  server.register(keys.publicKey, typeof options.presharedKey === 'string' ? options.presharedKey : undefined)
  const prober = wireguardProber({ privateKey: keys.privateKey, publicKeys: { s1: server.keys.publicKey }, ...options })
  return { server, keys, prober, probe: probing(prober, host, server.port) }
}

/**
 * A check that a busy machine could not make is made again: it is no evidence, as for an engine. What is answered has the longest time-out that
 * there is: it is never waited for, and no machine stands still for so long.
 */
const probing =
  (prober: ReturnType<typeof wireguardProber>, host: string, port: number | null) =>
  async (more: Partial<ProbeTarget> = {}, signal: AbortSignal = new AbortController().signal) => {
    for (;;) {
      try {
        return await prober.probe({ ...{ serverId: 's1' as never, host, port, packets: 2, timeoutMs: 60_000 }, ...more }, { signal })
      } catch (error) {
        if (!/event loop was blocked/.test(String(error))) throw error
      }
    }
  }

/**
 * For a check whose time-out must pass, after its answers have been read: it is made again when this process has stood still for so long that
 * these may have come too late.
 */
const quietly = async <T>(timeoutMs: number, check: (timeoutMs: number) => Promise<T>): Promise<T> => {
  for (;;) {
    let [turnAt, longestMs] = [performance.now(), 0]
    const turn = () => {
      const now = performance.now()
      ;[turnAt, longestMs] = [now, Math.max(longestMs, now - turnAt)]
    }
    const timer = setInterval(turn, 5)
    const [end] = await Promise.allSettled([check(timeoutMs)])
    clearInterval(timer)
    turn()
    if (longestMs > timeoutMs / 4) continue
    if (end.status === 'rejected') throw end.reason
    return end.value
  }
}

/** A port of this process where nobody listens: a socket that is connected elsewhere takes nothing from others. */
async function closedPort() {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  await new Promise<void>((resolve) => socket.connect(9, '127.0.0.1', resolve))
  return { port: socket.address().port, [Symbol.dispose]: () => void socket.close() }
}

const failure = async (promise: PromiseLike<unknown>): Promise<PintailError> => {
  try {
    await promise
  } catch (error) {
    if (isPintailError(error)) return error
    throw error
  }
  throw new Error('it did not fail')
}

describe('a server that knows the probe', () => {
  test.each(['127.0.0.1', '::1'])('answers each packet on %s, and each has its time', async (host) => {
    const { probe, server, keys } = await world('answers', host)
    const result = await probe({ packets: 4 })
    expect(result).toMatchObject({ sent: 4, received: 4, failure: null })
    expect(result.rttMs).toHaveLength(4)
    for (const ms of result.rttMs) expect(ms).toBeGreaterThan(0)
    expect(server.seen.map(({ from }) => from)).toEqual(Array(4).fill(keys.publicKey))
    expect(server.dropped).toEqual([])
  })

  test('is reached by its name too', async () => {
    const { prober, server, keys } = await world('answers', '127.0.0.1')
    // Both families are tried by no prober: the first address of the name is the one.
    const other = new WireguardServer(server.keys)
    other.register(keys.publicKey)
    servers.push(other)
    await other.listen('::1', server.port).catch(() => {})
    expect(await probing(prober, 'localhost', server.port)({ packets: 1 })).toMatchObject({ sent: 1, received: 1 })
    expect([...server.seen, ...server.dropped, ...other.seen, ...other.dropped]).toHaveLength(1)
  })

  test('answers with its preshared key', async () => {
    const presharedKey = randomBytes(32).toString('base64')
    expect(await (await world('answers', '127.0.0.1', { presharedKey })).probe()).toMatchObject({ received: 2, failure: null })
  })

  test('is asked by one socket a check, with a port of its own', async () => {
    const { probe, server } = await world()
    await probe({ packets: 3 })
    expect(new Set(server.seen.map(({ port }) => port)).size).toBe(1)
  })

  test('may be slower than the pace: answers find their packets, and each has its own time', async () => {
    const { probe, server } = await world()
    server.delayMs = 450
    const result = await probe({ packets: 3 })
    expect(result).toMatchObject({ sent: 3, received: 3, failure: null })
    for (const ms of result.rttMs) expect(ms).toBeGreaterThanOrEqual(449)
  })

  test('that answers after the time-out has not answered, and is not taken for somebody else', async () => {
    const { probe, server } = await world()
    server.delayMs = 300
    expect(await probe({ packets: 3, timeoutMs: 100 })).toMatchObject({
      received: 0,
      rttMs: [],
      failure: { kind: 'no_reply', layer: 'handshake' },
    })
  })

  test('is asked never twice within 20 ms, by however many checks at once and however many probers with the same key', async () => {
    const { probe, server, keys, prober } = await world()
    const second = wireguardProber({ privateKey: keys.privateKey, publicKeyOf: () => server.keys.publicKey })
    const results = await Promise.all([
      probe(),
      probe(),
      probing(second, '127.0.0.1', server.port)(),
      probing(prober, '127.0.0.1', server.port)(),
    ])
    for (const result of results) expect(result).toMatchObject({ received: 2, failure: null })
    // The server drops a flood and a replay, as WireGuard does.
    expect(server.dropped).toEqual([])
    expect(server.seen.map(({ timestamp }) => timestamp).toSorted(Buffer.compare)).toEqual(server.seen.map(({ timestamp }) => timestamp))
  })

  test('is one of many: each server gets its own packets only', async () => {
    const keys = keyPair()
    const many = await Promise.all(Array.from({ length: 40 }, () => new WireguardServer().listen()))
    servers.push(...many)
    for (const server of many) server.register(keys.publicKey)
    const prober = wireguardProber({ privateKey: keys.privateKey, publicKeyOf: ({ serverId }) => many[Number(serverId)]?.keys.publicKey })
    const ctx = { signal: new AbortController().signal }
    const results = await Promise.all(
      many.map(({ port }, index) =>
        prober.probe({ serverId: `${index}` as never, host: '127.0.0.1', port, packets: 3, timeoutMs: 60_000 }, ctx),
      ),
    )
    for (const result of results) expect(result).toMatchObject({ sent: 3, received: 3, failure: null })
    expect(many.map(({ seen, dropped }) => [seen.length, dropped])).toEqual(many.map(() => [3, []]))
  })

  test('after a clock that was set back it still answers', async () => {
    let now = 1_700_000_000_000
    const { probe, server } = await world('answers', '127.0.0.1', { clock: { now: () => (now -= 60_000) } })
    // By such times the server cannot tell what was held up from what left too soon.
    server.floodMs = 0
    expect(await probe({ packets: 3 })).toMatchObject({ received: 3 })
    expect(server.dropped).toEqual([])
  })

  test.each([Number.NaN, new Error('no clock')])(
    'is not judged by a probe whose clock says %s, and by the next one it is',
    async (says) => {
      let isBroken = true
      const now = () => {
        if (!isBroken) return Date.now()
        if (says instanceof Error) throw says
        return says
      }
      const { probe } = await world('answers', '127.0.0.1', { clock: { now } })
      expect(await failure(probe())).toMatchObject({ code: 'prober_unavailable' })
      isBroken = false
      expect(await probe()).toMatchObject({ received: 2 })
    },
  )

  test('that answers twice has answered once', async () => {
    const { probe } = await world('twice')
    expect(await probe()).toMatchObject({ sent: 2, received: 2 })
  })
})

describe('a server under load', () => {
  test('gets each message again with its cookie, and the handshake counts', async () => {
    const { probe, server } = await world('under_load')
    const result = await probe({ packets: 3 })
    expect(result).toMatchObject({ sent: 3, received: 3, failure: null })
    // The cookie serves for the rest of the check: whatever leaves after the first message that has it has it too.
    expect(server.asked[0]).toBe(false)
    expect(server.asked.slice(server.asked.indexOf(true))).toEqual([true, true, true])
    expect(server.seen.map(({ hasMac2 }) => hasMac2)).toEqual([true, true, true])
    expect(server.dropped).toEqual([])
  })

  test('that sends nothing but cookies is alive', async () => {
    const { probe, server } = await world('only_cookies')
    const result = await quietly(200, (timeoutMs) => probe({ packets: 2, timeoutMs }))
    expect(result).toMatchObject({ sent: 2, received: 2, failure: null })
    for (const ms of result.rttMs) expect(ms).toBeLessThanOrEqual(200)
    expect(server.seen).toEqual([])
  })

  test('whose cookie was made without its public key is not', async () => {
    const { probe } = await world('forged_cookie')
    expect(await quietly(200, (timeoutMs) => probe({ timeoutMs }))).toMatchObject({ received: 0, failure: { kind: 'wrong_answer' } })
  })
})

describe('nothing came back', () => {
  const meaning = /UDP port \d+: 2 sent, nothing within 100 ms: .*another key.*not registered.*clock set back.*UDP dropped/

  test('a silent server is no reply, and what that can mean is said', async () => {
    const { probe } = await world('silent')
    const result = await probe({ timeoutMs: 100 })
    expect(result).toMatchObject({ sent: 2, received: 0, rttMs: [], failure: { kind: 'no_reply', layer: 'handshake' } })
    expect(result.failure?.detail).toMatch(meaning)
    expect(result.failure?.detail?.length).toBeLessThanOrEqual(300)
  })

  test('a probe that is not registered hears nothing', async () => {
    const { server } = await world()
    const stranger = wireguardProber({ privateKey: keyPair().privateKey, publicKeys: { s1: server.keys.publicKey } })
    const result = await probing(stranger, '127.0.0.1', server.port)({ timeoutMs: 100 })
    expect(result).toMatchObject({ received: 0, failure: { kind: 'no_reply', detail: expect.stringMatching(meaning) } })
    expect(new Set(server.dropped)).toEqual(new Set(['Error: unknown peer']))
  })

  test('a server with another key hears nothing that it understands', async () => {
    const { server, keys } = await world()
    const prober = wireguardProber({ privateKey: keys.privateKey, publicKeys: { s1: keyPair().publicKey } })
    const result = await probing(prober, '127.0.0.1', server.port)({ timeoutMs: 100 })
    expect(result).toMatchObject({ received: 0, failure: { kind: 'no_reply', detail: expect.stringMatching(meaning) } })
    expect(new Set(server.dropped)).toEqual(new Set(['mac1']))
  })

  test('a port where nobody listens is refused, at once', async () => {
    const { prober } = await world()
    using closed = await closedPort()
    const result = await probing(prober, '127.0.0.1', closed.port)({ packets: 3 })
    expect(result).toMatchObject({ sent: 3, received: 0, failure: { kind: 'refused', layer: 'handshake' } })
    expect(result.failure?.detail).toContain('ECONNREFUSED')
  })

  test('a server that comes back in the middle of a check has answered from then on', async () => {
    const { probe, server } = await world()
    const { port } = server
    await server[Symbol.asyncDispose]()
    const result = probe({ packets: 40, timeoutMs: 2000 })
    await server.listen('127.0.0.1', port)
    const { sent, received, failure: why } = await result
    expect(sent).toBe(40)
    expect(received).toBeGreaterThan(0)
    expect(why).toBeNull()
  })
})

describe('answers that prove nothing', () => {
  test('a response that anybody on the way could have made does not count', async () => {
    const { probe } = await world('forged')
    const result = await quietly(150, (timeoutMs) => probe({ timeoutMs }))
    expect(result).toMatchObject({ received: 0, failure: { kind: 'wrong_answer', layer: 'handshake' } })
  })

  test('something else on the port is a wrong answer', async () => {
    const { probe } = await world('garbage')
    const result = await quietly(150, (timeoutMs) => probe({ timeoutMs }))
    expect(result).toMatchObject({ received: 0, failure: { kind: 'wrong_answer', layer: 'handshake' } })
  })

  test('a response with another preshared key is no evidence: the server lives, and the probe is set up wrongly', async () => {
    const { server, keys } = await world()
    const presharedKey = randomBytes(32).toString('base64')
    const prober = wireguardProber({ privateKey: keys.privateKey, publicKeys: { s1: server.keys.publicKey }, presharedKey })
    const error = await quietly(150, (timeoutMs) => failure(probing(prober, '127.0.0.1', server.port)({ timeoutMs })))
    expect(error).toMatchObject({ code: 'prober_unavailable', remedy: expect.stringContaining('preshared') })
    expect(`${error.message} ${error.remedy}`).not.toContain(presharedKey)
  })

  test('a response that does not decrypt is never taken for a server that lives', async () => {
    const { probe } = await world('forged_with_mac1')
    expect(await quietly(150, (timeoutMs) => failure(probe({ timeoutMs })))).toMatchObject({ code: 'prober_unavailable' })
  })

  test('a stranger cannot answer in the place of the server, though he knows its packets', async () => {
    const { probe, server } = await world('silent')
    const stranger = createSocket('udp4')
    // From another port: the connected socket does not even read it.
    const timer = setInterval(() => stranger.send(Buffer.alloc(92, 2), server.port, '127.0.0.1'), 5)
    expect(await probe({ timeoutMs: 100 })).toMatchObject({ received: 0, failure: { kind: 'no_reply' } })
    clearInterval(timer)
    stranger.close()
  })
})

describe('an end', () => {
  const resources = () => process.getActiveResourcesInfo().filter((one) => /UDP|Timeout|Immediate/.test(one))

  test('an abort settles the check at once, and nothing is left', async () => {
    const { prober, server } = await world('silent')
    await server[Symbol.asyncDispose]()
    const silent = createSocket('udp4')
    await new Promise<void>((resolve) => silent.bind(0, '127.0.0.1', resolve))
    const before = resources()
    const control = new AbortController()
    const waiting = failure(probing(prober, '127.0.0.1', silent.address().port)({ packets: 100 }, control.signal))
    await once(silent, 'message')
    control.abort(new Error('enough'))
    expect(await waiting).toMatchObject({ code: 'aborted' })
    silent.close()
    await expect.poll(resources).not.toContain('UDPWrap')
    // Some are the test runner's own, and pass.
    await expect.poll(() => resources().length).toBeLessThanOrEqual(before.length)
  })

  test('a check that was aborted before sends nothing', async () => {
    const { probe, server } = await world()
    expect(await failure(probe({}, AbortSignal.abort()))).toMatchObject({ code: 'aborted' })
    await probe({ packets: 1 })
    expect(server.seen).toHaveLength(1)
  })

  test('many checks leave no socket, no timer and no listener behind', async () => {
    const { probe, server } = await world()
    const control = new AbortController()
    for (let round = 0; round < 5; round += 1) await probe({ packets: 1 }, control.signal)
    expect(getEventListeners(control.signal, 'abort')).toEqual([])
    await server[Symbol.asyncDispose]()
    await expect.poll(resources).not.toContain('UDPWrap')
  })

  test('a process that has probed ends by itself', async () => {
    const { server, keys } = await world()
    const code = `
      import { wireguardProber } from '@pintail/adapters/wireguard'
      const prober = wireguardProber({ privateKey: '${keys.privateKey}', publicKeys: { s1: '${server.keys.publicKey}' } })
      const target = { serverId: 's1', host: '127.0.0.1', port: ${server.port}, packets: 2, timeoutMs: 60_000 }
      console.log(JSON.stringify(await prober.probe(target, { signal: new AbortController().signal })))`
    const args = ['--conditions=@pintail/source', '--input-type=module', '-e', code]
    const child = spawn(process.execPath, args, { cwd: join(import.meta.dirname, '..', '..'), stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
    })
    expect(await once(child, 'close')).toEqual([0, null])
    expect(JSON.parse(output)).toMatchObject({ sent: 2, received: 2, failure: null })
  })
})

describe('bad input', () => {
  const good = () => ({ privateKey: keyPair().privateKey, publicKeys: { s1: keyPair().publicKey } })
  const short = randomBytes(31).toString('base64')
  const long = randomBytes(33).toString('base64')
  const dashes = `${'A-_'.repeat(14)}A=`
  const bad: readonly [string, unknown, RegExp][] = [
    ['of 31 bytes', short, /has 31 bytes; a key has 32/],
    ['of 33 bytes', long, /has 33 bytes/],
    ['that is not base64', dashes, /is not base64/],
    ['in hex', randomBytes(32).toString('hex'), /has 48 bytes/],
    ['of zeros', Buffer.alloc(32).toString('base64'), /all zeros/],
    ['with bits beyond its end', `${'A'.repeat(42)}B=`, /44 characters/],
    ['without padding', randomBytes(32).toString('base64').slice(0, 43), /44 characters/],
    ['with a newline', `${randomBytes(32).toString('base64')}\n`, /is not base64/],
    ['that is a number', 5, /must be a key/],
    ['that is null', null, /must be a key/],
  ]
  const invalid = (options: unknown): PintailError => {
    try {
      wireguardProber(options as WireguardProberOptions)
    } catch (error) {
      if (isPintailError(error, 'invalid_options')) return error
      throw error
    }
    throw new Error('it was taken')
  }

  test.each(bad)('a key %s is refused wherever it stands, with a remedy and without the key', async (_, value, message) => {
    const all = [
      ['privateKey', { ...good(), privateKey: value }],
      ['publicKeys.s1', { ...good(), publicKeys: { s1: value } }],
      ...(value === null ? [] : [['presharedKey', { ...good(), presharedKey: value }] as const]),
    ] as const
    for (const [path, options] of all) {
      const error = invalid(options)
      expect(error.problems).toMatchObject([{ path, message: expect.stringMatching(message), remedy: expect.any(String) }])
      expect(JSON.stringify([error.message, error.remedy, error.problems])).not.toContain(String(value ?? 'no value'))
    }
    if (value === null) return
    const prober = wireguardProber({ privateKey: good().privateKey, publicKeyOf: () => value as string })
    const error = await failure(probing(prober, '127.0.0.1', 1)())
    expect(error).toMatchObject({ code: 'invalid_options', message: expect.stringMatching(message) })
    expect(JSON.stringify([error.message, error.remedy, error.problems])).not.toContain(String(value))
  })

  test('everything that is wrong is said at once', () => {
    const error = invalid({ privateKey: short, publicKeys: { a: short, b: long }, presharedKey: dashes, port: 70_000 })
    expect(error.problems.map(({ path }) => path)).toEqual(['privateKey', 'publicKeys.a', 'publicKeys.b', 'presharedKey', 'port'])
  })

  test.each([
    ['neither keys nor a function', () => ({ privateKey: good().privateKey }), 'publicKeys'],
    ['both', () => ({ ...good(), publicKeyOf: () => null }), 'publicKeys'],
    ['keys that are a list of nothing', () => ({ privateKey: good().privateKey, publicKeys: null }), 'publicKeys'],
    ['a function that is none', () => ({ privateKey: good().privateKey, publicKeyOf: 'key' }), 'publicKeyOf'],
  ])('%s is refused', (_, options, path) => {
    expect(invalid(options()).problems).toMatchObject([{ path, remedy: expect.any(String) }])
  })

  test("a server without a key, or with the probe's own, or with one of low order is not judged", async () => {
    const { privateKey, publicKey } = keyPair()
    const low = Buffer.concat([Buffer.of(1), Buffer.alloc(31)]).toString('base64')
    const codes = []
    for (const key of [null, undefined, publicKey, low])
      codes.push((await failure(probing(wireguardProber({ privateKey, publicKeyOf: () => key }), '127.0.0.1', 1)())).code)
    expect(codes).toEqual(['invalid_argument', 'invalid_argument', 'invalid_options', 'invalid_options'])
    expect((await failure(probing(wireguardProber({ ...good(), publicKeys: {} }), '127.0.0.1', 1)())).remedy).toContain('publicKeys')
  })

  test('a target without a port, with an impossible host, or with values out of range is refused', async () => {
    const probe = probing(wireguardProber(good()), '127.0.0.1', null)
    expect(await failure(probe())).toMatchObject({ code: 'invalid_argument', remedy: expect.stringContaining('port') })
    expect(await failure(probe({ port: 0 }))).toMatchObject({ code: 'invalid_argument' })
    expect(await failure(probe({ port: 5, packets: 101 }))).toMatchObject({ code: 'invalid_argument' })
    expect(await failure(probe({ port: 5, timeoutMs: Number.NaN }))).toMatchObject({ code: 'invalid_argument' })
    expect(await failure(probe({ port: 5, host: '-h' }))).toMatchObject({ code: 'invalid_host' })
    expect(await failure(probe({ port: 5, host: 'no-such-host.invalid' }))).toMatchObject({
      code: expect.stringMatching(/unknown_host|prober_unavailable/),
    })
  })

  test('the port of the options serves targets without one', async () => {
    const { server, keys } = await world()
    const options = { privateKey: keys.privateKey, publicKeys: { s1: server.keys.publicKey }, port: server.port }
    expect(await probing(wireguardProber(options), '127.0.0.1', null)()).toMatchObject({ received: 2 })
  })
})
