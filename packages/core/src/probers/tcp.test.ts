import { spawnSync } from 'node:child_process'
import { getEventListeners, once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { ProbeTarget } from '../ports.ts'
import { proberContract } from '../testing/contracts/index.ts'
import type { ServerId } from '../vocabulary.ts'
import { tcp } from './tcp.ts'

const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const target = (over: Partial<ProbeTarget> = {}): ProbeTarget => ({
  serverId: 'ams-1' as ServerId,
  host: '127.0.0.1',
  port: null,
  packets: 3,
  // Whoever answers does so at once: no machine is so busy that it takes longer.
  timeoutMs: 20_000,
  ...over,
})
const probe = (over: Partial<ProbeTarget> = {}, signal = new AbortController().signal) =>
  Promise.resolve(tcp().probe(target(over), { signal }))

/** What a promise is after one turn of the event loop: who waits for a timer has not settled by then. */
const soon = <T>(promise: Promise<T>): Promise<T | string> =>
  Promise.race([promise, new Promise<string>((resolve) => setImmediate(resolve, 'still waiting'))])

async function listen(host = '127.0.0.1'): Promise<{ port: number; seen: () => number; open: () => number }> {
  let seen = 0
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    seen += 1
    open.add(socket)
    socket.on('close', () => open.delete(socket)).on('error', () => {})
    // Like a server that waits for its client to speak: it ends only what the prober has ended.
    socket.resume()
  })
  server.listen(0, host)
  await once(server, 'listening')
  cleanups.push(() => new Promise((resolve) => server.close(resolve)))
  return { port: (server.address() as AddressInfo).port, seen: () => seen, open: () => open.size }
}

/** A port that refuses, and goes on refusing: a client has it, so that nobody can listen there. */
async function closedPort(): Promise<number> {
  const { port } = await listen()
  const client = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.1', localPort: 0 })
  cleanups.push(() => client.destroy())
  await once(client, 'connect')
  return client.localPort as number
}

/** A port that answers nothing: its process never accepts, and its queue is full, so that the kernel drops each SYN. */
async function silentPort(): Promise<number> {
  const script = `
    const { parentPort } = require('node:worker_threads')
    const server = require('node:net').createServer()
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      parentPort.postMessage(server.address().port)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    })`
  const worker = new Worker(script, { eval: true })
  cleanups.push(() => worker.terminate())
  const [port] = (await once(worker, 'message')) as [number]
  // More than the queue takes: those that it does not take ask again and again, before anybody who comes later.
  const sockets = Array.from({ length: 16 }, () => connect(port, '127.0.0.1').on('error', () => {}))
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy()
  })
  const open = () => sockets.filter((socket) => !socket.connecting).length
  await expect.poll(open).toBeGreaterThan(0)
  await new Promise((resolve) => setTimeout(resolve, 150))
  if (open() === sockets.length) throw new Error('the queue of the silent port does not fill up')
  return port
}

// Ends before a probe of a minute does: what such a probe keeps alive is ended by force, and has no status.
const run = (script: string, shell = '') => {
  const source = `
    import { tcp } from ${JSON.stringify(join(import.meta.dirname, 'tcp.ts'))}
    const target = ${JSON.stringify(target({ port: 9 }))}
    ${script}`
  const args = ['--experimental-strip-types', '--no-warnings', '--input-type=module-typescript', '-e', source]
  const ran = spawnSync('/bin/sh', ['-c', `${shell} exec "$@"`, 'sh', process.execPath, ...args], {
    encoding: 'utf8',
    timeout: 45_000,
  })
  return { status: ran.status, out: ran.stdout.trim(), error: ran.stderr.trim() }
}

describe('tcp keeps the contract of probers', () => {
  const host = '127.0.0.1'
  const world = async () => ({
    prober: tcp(),
    answering: { host, port: (await listen()).port },
    silent: { host, port: await silentPort() },
    refusing: { host, port: await closedPort() },
  })
  const options = { without: ['probeMany', 'breakTool'], timeoutMs: 60_000, promptMs: 5000 } as const
  for (const rule of proberContract(world, options)) test(rule.name, rule.run)
})

describe('what tcp makes of a host', () => {
  test('a listening port answers each packet with a time of its own', async () => {
    const { port, seen, open } = await listen()
    const result = await probe({ port, packets: 5 })
    expect(result).toMatchObject({ sent: 5, received: 5, failure: null })
    expect(result.rttMs).toHaveLength(5)
    expect(result.rttMs.every((ms) => ms > 0 && ms <= 20_000)).toBe(true)
    await expect.poll(() => [seen(), open()]).toEqual([5, 0])
  })

  test.skipIf(!hasIpv6)('an IPv6 port answers too [needs: IPv6]', async () => {
    const { port } = await listen('::1')
    expect(await probe({ host: '::1', port })).toMatchObject({ sent: 3, received: 3, failure: null })
  })

  test('a name is resolved once, and all packets go to one address', async () => {
    const { port, seen } = await listen('127.0.0.1')
    const result = await probe({ host: 'localhost', port, packets: 4 })
    // Where localhost is ::1 first, all four are refused: an answer of either address, never a mixture.
    expect([0, 4]).toContain(result.received)
    await expect.poll(seen).toBe(result.received)
  })

  test('a refused connection is not silence, and is told at once', async () => {
    const port = await closedPort()
    const startedAt = performance.now()
    expect(await probe({ port, packets: 5, timeoutMs: 60_000 })).toEqual({
      sent: 5,
      received: 0,
      rttMs: [],
      failure: { kind: 'refused', layer: 'tcp', detail: `port ${port}: ECONNREFUSED` },
    })
    expect(performance.now() - startedAt).toBeLessThan(60_000)
  })

  test('silence is not a refusal, and lasts one time-out and not one for each packet', async () => {
    const port = await silentPort()
    // Virtual time, over real sockets: it is the prober's own timers that end the check.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    let isOver = false
    const running = probe({ port, packets: 6, timeoutMs: 500 }).finally(() => {
      isOver = true
    })
    // Five pauses and one time-out; one time-out for each packet would be three seconds, and the pauses.
    await vi.advanceTimersByTimeAsync(5 * 200 + 499)
    expect(isOver).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(isOver).toBe(true)
    expect(await running).toEqual({
      sent: 6,
      received: 0,
      rttMs: [],
      failure: { kind: 'no_reply', layer: 'tcp', detail: `port ${port}: nothing within 500 ms` },
    })
  })

  test("the target's own port goes before the prober's", async () => {
    const { port } = await listen()
    const ctx = { signal: new AbortController().signal }
    const refused = await closedPort()
    expect((await tcp({ port: refused }).probe(target({ port }), ctx)).received).toBe(3)
    expect((await tcp({ port }).probe(target({ port: null }), ctx)).received).toBe(3)
  })
})

describe('when tcp cannot probe', () => {
  test('a target without a port is an invalid argument with a remedy', async () => {
    await expect(probe()).rejects.toMatchObject({ code: 'invalid_argument', remedy: expect.stringContaining('port') })
  })

  test.each([0, -1, 65_536, 1.5, Number.NaN, '80' as unknown as number])('%o is no port', async (port) => {
    expect(() => tcp({ port })).toThrow(expect.objectContaining({ code: 'invalid_argument' }))
    await expect(probe({ port })).rejects.toMatchObject({ code: 'invalid_argument' })
  })

  test('a name that does not resolve is its own outcome', async () => {
    await expect(probe({ host: 'no-such-server.invalid', port: 443 })).rejects.toMatchObject({ code: 'unknown_host' })
  })

  test.each(['-h', '', '127.0.0.1\n', '127.0.0.1; id', '127.0.0.256', 'a'.repeat(10_240)])(
    'a hostile host is refused before any lookup: %j',
    async (host) => {
      await expect(probe({ host, port: 443 })).rejects.toMatchObject({ code: 'invalid_host' })
    },
  )

  test('a connect that this machine itself refuses is no evidence against the server', async () => {
    // To a broadcast address connect(2) itself says ENETUNREACH: no packet leaves.
    await expect(probe({ host: '255.255.255.255', port: 443 })).rejects.toMatchObject({
      code: 'prober_unavailable',
      message: expect.stringContaining('ENETUNREACH'),
      remedy: expect.stringContaining('routes'),
    })
  })

  test('without a free file descriptor nobody is judged', () => {
    const script = `
      const { openSync } = process.getBuiltinModule('node:fs')
      const probe = () => tcp().probe({ ...target, port: 9 }, { signal: new AbortController().signal })
      await probe()
      try { for (;;) openSync('/dev/null') } catch {}
      await probe().then(console.log, (error) => process._rawDebug(error.code, error.remedy))`
    expect(run(script, 'ulimit -n 64;').error).toMatch(/^prober_unavailable Raise the limits/)
  })

  test('a blocked event loop does not make a server slow or dead', async () => {
    const { port } = await listen()
    const running = probe({ port, packets: 1, timeoutMs: 100 })
    await new Promise((resolve) => process.nextTick(() => process.nextTick(resolve)))
    const until = performance.now() + 400
    while (performance.now() < until);
    await expect(running).rejects.toMatchObject({
      code: 'prober_unavailable',
      message: expect.stringContaining('blocked'),
    })
  })

  test('an answer that stands there when time is up is no silence, however little late the look at it is', async () => {
    const { port } = await listen()
    const timeoutMs = 100
    const running = probe({ port, packets: 1, timeoutMs })
    await new Promise((resolve) => process.nextTick(() => process.nextTick(resolve)))
    // Until the moment itself: the timer is hardly late, and nobody has seen the connection.
    const until = performance.now() + timeoutMs
    while (performance.now() < until);
    await expect(running).rejects.toMatchObject({ code: 'prober_unavailable', message: expect.stringMatching(/blocked/) })
  })
})

describe('tcp ends', () => {
  test('an abort settles at once and leaves no listener', async () => {
    const port = await silentPort()
    const controller = new AbortController()
    const running = probe({ port, timeoutMs: 60_000 }, controller.signal).then(
      () => 'a result',
      (error) => error,
    )
    await new Promise((resolve) => setTimeout(resolve, 300))
    controller.abort(new Error('stop'))
    expect(await soon(running)).toMatchObject({ code: 'aborted', cause: { message: 'stop' } })
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
  })

  test('an abort before the start opens nothing', async () => {
    const { port, seen } = await listen()
    await expect(probe({ port }, AbortSignal.abort())).rejects.toMatchObject({ code: 'aborted' })
    expect(seen()).toBe(0)
  })

  test('a finished check leaves no listener behind on a signal that lives on', async () => {
    const { port } = await listen()
    const { signal } = new AbortController()
    await Promise.all([probe({ port }, signal), probe({ host: 'localhost', port }, signal)])
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('after an abort nothing keeps the process alive', async () => {
    const port = await silentPort()
    const ran = run(`
      const controller = new AbortController()
      const running = tcp().probe({ ...target, port: ${port}, timeoutMs: 60_000 }, { signal: controller.signal })
      setTimeout(() => controller.abort(), 300)
      await running.catch((error) => console.log(error.code))`)
    expect(ran).toEqual({ status: 0, out: 'aborted', error: '' })
  })

  test('importing and making a prober starts nothing', () => {
    expect(
      run('tcp({ port: 443 }); console.log(process.getActiveResourcesInfo().filter((one) => /TCP|Timeout|Process/.test(one)).length)'),
    ).toEqual({
      status: 0,
      out: '0',
      error: '',
    })
  })
})
