import { spawnSync } from 'node:child_process'
import { getEventListeners } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { ProbeTarget } from '../ports.ts'
import { proberContract } from '../testing/contracts/index.ts'
import type { ServerId } from '../vocabulary.ts'
import { icmp } from './icmp.ts'

const hasPing = spawnSync('ping', ['-c', '1', '-W', '20', '127.0.0.1']).status === 0
const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))

const target = (over: Partial<ProbeTarget> = {}): ProbeTarget => ({
  serverId: 'ams-1' as ServerId,
  host: '127.0.0.1',
  port: null,
  packets: 3,
  // Whoever answers does so at once, and so does whoever plays ping: no machine is so busy that it takes longer.
  timeoutMs: 20_000,
  ...over,
})
const probe = (over: Partial<ProbeTarget> = {}, signal = new AbortController().signal) =>
  Promise.resolve(icmp().probe(target(over), { signal }))

const environment = { ...process.env }
let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pintail-icmp-'))
})
afterEach(async () => {
  vi.useRealTimers()
  for (const name of ['PATH', 'LANG', 'LC_ALL']) {
    if (environment[name] === undefined) delete process.env[name]
    else process.env[name] = environment[name]
  }
  await rm(folder, { recursive: true, force: true })
})

const setPath = (value: string | undefined): void => {
  process.env.PATH = value
}

/** Puts a `ping` first on the PATH that runs this shell script. */
async function fakePing(script: string, mode = 0o755): Promise<void> {
  await writeFile(join(folder, 'ping'), `#!/bin/sh\n${script}\n`, { mode })
  process.env.PATH = [folder, environment.PATH].join(delimiter)
}
const printing = (...lines: string[]) => fakePing(`cat <<'EOF'\n${lines.join('\n')}\nEOF`)

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
const realTimeout = setTimeout
/** Not by `expect.poll`, which lets virtual time pass as it asks. */
async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let turn = 0; !isSo(); turn += 1) {
    if (turn === 6000) throw new Error(`in a minute ${what} did not come true`)
    await new Promise((resolve) => realTimeout(resolve, 10))
  }
}
const pidFile = () => join(folder, 'pid')
const written = () => (existsSync(pidFile()) ? readFileSync(pidFile(), 'utf8') : '')
/** Of a ping that has written it down: what stands before that in its script is done. */
const fakePid = async (): Promise<number> => {
  await until('that ping wrote down its process', () => written().endsWith('\n'))
  return Number(written())
}
const isGone = (pid: number) => until(`that process ${pid} is gone`, () => !alive(pid))

/** From now on the prober's timers go by a time that the test lets pass. */
const virtualTime = () => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })

/** What a promise is after one turn of the event loop: who waits for a process has not settled by then. */
const soon = <T>(promise: Promise<T>): Promise<T | string> =>
  Promise.race([promise, new Promise<string>((resolve) => setImmediate(resolve, 'still waiting'))])
const endOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'a result',
    (error) => error,
  )

describe.skipIf(!hasPing)('icmp keeps the contract of probers [needs: ping]', () => {
  const world = () => ({
    prober: icmp(),
    answering: { host: '127.0.0.1' },
    breakTool: () => setPath(folder),
    mendTool: () => setPath(environment.PATH),
  })
  // Nothing on loopback is silent to ping: the lab has that, with real faults. Ping is never refused.
  const options = { without: ['silent', 'refusing', 'probeMany'], timeoutMs: 60_000, promptMs: 5000 } as const
  for (const rule of proberContract(world, options)) test(rule.name, rule.run)
})

describe('icmp with the ping of this machine', () => {
  test.skipIf(!hasPing)('a living host answers each packet with a time of its own [needs: ping]', async () => {
    const result = await probe({ packets: 5 })
    expect(result).toMatchObject({ sent: 5, received: 5, failure: null })
    expect(result.rttMs).toHaveLength(5)
    expect(result.rttMs.every((ms) => typeof ms === 'number' && ms >= 0 && ms <= 20_000)).toBe(true)
  })

  test.skipIf(!hasPing)('five packets do not take four seconds [needs: ping]', async () => {
    // A second apart they never take less, on any machine; 0.2 s apart they do whenever the machine does not stand still.
    const tookMs = async () => {
      const startedAt = performance.now()
      await probe({ packets: 5 })
      return performance.now() - startedAt
    }
    await expect.poll(tookMs).toBeLessThan(3000)
  })

  test.skipIf(!hasPing || !hasIpv6)('an IPv6 host answers too [needs: ping, IPv6]', async () => {
    expect(await probe({ host: '::1', packets: 2 })).toMatchObject({ sent: 2, received: 2, failure: null })
  })

  test.skipIf(!hasPing)('IPv4 and IPv6 checks at the same time do not disturb each other [needs: ping]', async () => {
    const hosts = ['127.0.0.1', hasIpv6 ? '::1' : '127.0.0.3', '127.0.0.2', 'localhost']
    const results = await Promise.all(hosts.map((host) => probe({ host, packets: 2 })))
    expect(results.map(({ received }) => received)).toEqual([2, 2, 2, 2])
  })

  test.skipIf(!hasPing)('the locale of the process changes nothing, and is not changed [needs: ping]', async () => {
    process.env.LANG = 'de_DE.UTF-8'
    process.env.LC_ALL = 'zh_CN.UTF-8'
    const results = await Promise.all([probe({ packets: 2 }), probe({ packets: 2, host: '127.0.0.2' })])
    expect(results.map(({ received }) => received)).toEqual([2, 2])
    expect([process.env.LANG, process.env.LC_ALL]).toEqual(['de_DE.UTF-8', 'zh_CN.UTF-8'])
  })
})

describe('what icmp makes of the output of ping', () => {
  test('ping gets the address and typed arguments, never a deadline or a packet size', async () => {
    await fakePing(`printf "%s " "$@" > ${join(folder, 'args')}; echo LC_ALL=$LC_ALL`)
    await expect(probe({ host: 'localhost', packets: 5, timeoutMs: 20_500 })).rejects.toMatchObject({
      code: 'prober_unavailable',
    })
    const args = (await readFile(join(folder, 'args'), 'utf8')).trim()
    expect(args).toMatch(/^-n -c 5 -i 0\.2( -W 21)? (127\.0\.0\.1|::1)$/)
  })

  test('each reply of BusyBox is read', async () => {
    await printing(
      'PING 10.0.0.1 (10.0.0.1): 56 data bytes',
      '64 bytes from 10.0.0.1: seq=0 ttl=64 time=0.039 ms',
      '64 bytes from 10.0.0.1: seq=2 ttl=64 time=12.5 ms',
      '',
      '--- 10.0.0.1 ping statistics ---',
      '3 packets transmitted, 2 packets received, 33% packet loss',
      'round-trip min/avg/max = 0.039/6.269/12.5 ms',
    )
    expect(await probe()).toEqual({ sent: 3, received: 2, rttMs: [0.039, 12.5], failure: null })
  })

  test('translated output is read like any other', async () => {
    await printing(
      'PING 10.0.0.1 (10.0.0.1) 56(84) Bytes an Daten.',
      '64 Bytes von 10.0.0.1: icmp_seq=1 TTL=64 Zeit=0,160 ms',
      '64 Bytes von 10.0.0.1: icmp_seq=2 TTL=64 Zeit=0,042 ms',
      '',
      '--- 10.0.0.1 Ping-Statistiken ---',
      '2 Pakete übertragen, 2 empfangen, 0% Paketverlust, Zeit 203 ms',
      'rtt min/avg/max/mdev = 0,042/0,101/0,160/0,059 ms',
    )
    expect(await probe({ packets: 2 })).toEqual({ sent: 2, received: 2, rttMs: [0.16, 0.042], failure: null })
  })

  test('ping is asked for untranslated output', async () => {
    process.env.LC_ALL = 'de_DE.UTF-8'
    await fakePing('echo "ping: $LC_ALL"')
    await expect(probe()).rejects.toThrow('ping: C')
  })

  test('no reply is a result, not an error', async () => {
    await printing(
      'PING 10.0.0.1 (10.0.0.1) 56(84) bytes of data.',
      '',
      '--- 10.0.0.1 ping statistics ---',
      '3 packets transmitted, 0 received, 100% packet loss, time 404ms',
      '',
    )
    const result = await probe()
    expect(result).toMatchObject({ sent: 3, received: 0, rttMs: [], failure: { kind: 'no_reply', layer: 'icmp' } })
  })

  test('a router that says "unreachable" is not silence', async () => {
    await printing(
      'PING 10.0.0.1 (10.0.0.1) 56(84) bytes of data.',
      'From 10.0.0.254 icmp_seq=1 Destination Host Unreachable',
      '',
      '--- 10.0.0.1 ping statistics ---',
      '3 packets transmitted, 0 received, +1 errors, 100% packet loss, time 404ms',
    )
    expect((await probe()).failure).toEqual({
      kind: 'unreachable',
      layer: 'icmp',
      detail: 'From 10.0.0.254 icmp_seq=1 Destination Host Unreachable',
    })
  })

  test('a duplicate is not a second reply', async () => {
    await printing(
      '64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=1.00 ms',
      '64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=1.10 ms (DUP!)',
      '--- 10.0.0.1 ping statistics ---',
      '2 packets transmitted, 1 received, +1 duplicates, 50% packet loss, time 203ms',
    )
    expect(await probe({ packets: 2 })).toMatchObject({ sent: 2, received: 1, rttMs: [1] })
  })

  test('a reply after the time-out is a lost packet', async () => {
    await printing(
      '64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=20000 ms',
      '64 bytes from 10.0.0.1: icmp_seq=2 ttl=64 time=20001 ms',
      '--- 10.0.0.1 ping statistics ---',
      '2 packets transmitted, 2 received, 0% packet loss, time 203ms',
    )
    expect(await probe({ packets: 2, timeoutMs: 20_000 })).toMatchObject({ received: 1, rttMs: [20_000], failure: null })
    expect(await probe({ packets: 2, timeoutMs: 19_999 })).toMatchObject({ received: 0, failure: { kind: 'no_reply' } })
  })

  test.each([
    ['nothing', ''],
    ['one word', 'hello'],
    ['a usage text', 'Usage\n  ping [options] <destination>'],
    ['a header alone', 'PING 10.0.0.1 (10.0.0.1) 56(84) bytes of data.'],
    ['statistics of nothing sent', '--- 10.0.0.1 ping statistics ---\n0 packets transmitted, 0 received, 0% packet loss'],
    ['replies without times', '--- x ping statistics ---\n3 packets transmitted, 3 received, 0% packet loss, time 4ms'],
    [
      'more replies than packets',
      `${[1, 2, 3, 4].map((n) => `8 bytes from x: icmp_seq=${n} ttl=1 time=1 ms`).join('\n')}
--- x ping statistics ---\n3 packets transmitted, 3 received, 0% packet loss, time 4ms`,
    ],
    [
      'a packet that could not leave',
      `ping: sendmsg: Operation not permitted
--- x ping statistics ---\n3 packets transmitted, 0 received, 100% packet loss, time 4ms`,
    ],
  ])('output that proves nothing never makes a server fail: %s', async (_what, text) => {
    await printing(text)
    await expect(probe()).rejects.toMatchObject({ code: 'prober_unavailable', remedy: expect.any(String) })
  })

  test('output without end is cut off, and the process killed', async () => {
    await fakePing(`echo $$ > ${pidFile()}; exec yes`)
    virtualTime()
    const end = endOf(probe({ packets: 1, timeoutMs: 100 }))
    const pid = await fakePid()
    // One time-out, and what a busy machine needs beside it.
    await vi.advanceTimersByTimeAsync(300)
    expect(await end).toMatchObject({ code: 'prober_unavailable' })
    await isGone(pid)
  })
})

describe('when icmp cannot probe', () => {
  test('a missing binary is an error with a remedy, never a dead server', async () => {
    process.env.PATH = folder
    await expect(probe()).rejects.toMatchObject({
      code: 'prober_unavailable',
      message: 'there is no ping program on the PATH',
      remedy: expect.stringContaining('iputils-ping'),
    })
  })

  test('a binary that may not be run is an error of its own', async () => {
    await fakePing('exit 0', 0o644)
    process.env.PATH = folder
    await expect(probe()).rejects.toMatchObject({
      code: 'prober_unavailable',
      message: expect.stringContaining('EACCES'),
    })
  })

  test('a ping that cannot even be tried says so as the others do', async () => {
    // The kernel refuses so long a variable, and Node throws that at once, as it does with EPERM.
    process.env.PINTAIL_TOO_LONG = 'x'.repeat(200_000)
    try {
      await expect(probe()).rejects.toMatchObject({
        code: 'prober_unavailable',
        message: expect.stringContaining('ping did not start: spawn'),
      })
    } finally {
      delete process.env.PINTAIL_TOO_LONG
    }
  })

  test('a wrapper that ends with 127 is an error, with what it said', async () => {
    await fakePing('echo "ping: not found" >&2; exit 127')
    await expect(probe()).rejects.toMatchObject({
      code: 'prober_unavailable',
      message: 'ping ended with code 127: ping: not found',
    })
  })

  test('a missing permission names its own remedy', async () => {
    await fakePing('echo "ping: socktype: SOCK_RAW" >&2; echo "ping: socket: Operation not permitted" >&2; exit 2')
    await expect(probe()).rejects.toMatchObject({
      code: 'prober_unavailable',
      remedy: expect.stringContaining('cap_net_raw'),
    })
  })

  test('a machine without a route does not make servers fail', async () => {
    await fakePing('echo "ping: connect: Network is unreachable" >&2; exit 2')
    await expect(probe()).rejects.toMatchObject({
      code: 'prober_unavailable',
      remedy: expect.stringContaining('routes'),
    })
  })

  test('a name that does not resolve is its own outcome, and starts no process', async () => {
    await fakePing(`echo $$ > ${pidFile()}`)
    await expect(probe({ host: 'no-such-server.invalid' })).rejects.toMatchObject({ code: 'unknown_host' })
    expect(existsSync(pidFile())).toBe(false)
  })

  test.each([
    ['-h', '-h'],
    ['a newline', '127.0.0.1\n-f'],
    ['a leading newline', '\n127.0.0.1'],
    ['a command', '127.0.0.1; rm -rf /'],
    ['a substitution', '$(id).example'],
    ['nothing', ''],
    ['white space', ' '],
    ['a NUL', '127.0.0.1\0'],
    ['10 kB', 'a'.repeat(10_240)],
    ['10 kB of labels', 'a.'.repeat(5_120)],
    ['a label with a leading -', 'example.-f'],
    ['a broken address', '127.0.0.256'],
    ['a number', 42 as unknown as string],
  ])('a hostile host never reaches ping: %s', async (_what, host) => {
    await fakePing(`echo $$ > ${pidFile()}`)
    await expect(probe({ host })).rejects.toMatchObject({ code: 'invalid_host' })
    expect(existsSync(pidFile())).toBe(false)
  })

  test.each([
    { packets: 0 },
    { packets: 1.5 },
    { packets: 101 },
    { packets: Number.NaN },
    { timeoutMs: 0 },
    {
      timeoutMs: Number.NaN,
    },
  ])('a target out of range is refused: %o', async (over) => {
    await expect(probe(over)).rejects.toMatchObject({ code: 'invalid_argument' })
  })
})

describe('icmp ends', () => {
  test('an abort settles at once, kills the process and leaves no listener', async () => {
    await fakePing(`trap '' INT TERM; echo $$ > ${pidFile()}; sleep 60 & wait`)
    const controller = new AbortController()
    const end = endOf(probe({ timeoutMs: 60_000 }, controller.signal))
    const pid = await fakePid()
    controller.abort(new Error('stop'))
    expect(await soon(end)).toMatchObject({ code: 'aborted', cause: { message: 'stop' } })
    await isGone(pid)
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
  })

  test('an abort before the start starts nothing', async () => {
    await fakePing(`echo $$ > ${pidFile()}`)
    await expect(probe({}, AbortSignal.abort())).rejects.toMatchObject({ code: 'aborted' })
    expect(existsSync(pidFile())).toBe(false)
  })

  test('a ping that hangs is interrupted, and its statistics count', async () => {
    await fakePing(`trap 'printf -- "--- x ping statistics ---\\n1 packets transmitted, 0 received, 100%% packet loss\\n"; exit 1' INT
echo $$ > ${pidFile()}
while [ -e ${pidFile()} ]; do sleep 0.05; done`)
    virtualTime()
    const running = probe({ packets: 1, timeoutMs: 100 })
    await fakePid()
    await vi.advanceTimersByTimeAsync(300)
    expect(await running).toMatchObject({ sent: 1, failure: { kind: 'no_reply' } })
  })

  test('a ping that ignores the interruption is killed, and makes no server fail', async () => {
    await fakePing(`trap '' INT TERM; echo $$ > ${pidFile()}; while [ -e ${pidFile()} ]; do sleep 1; done`)
    virtualTime()
    const end = endOf(probe({ packets: 1, timeoutMs: 100 }))
    const pid = await fakePid()
    await vi.advanceTimersByTimeAsync(799)
    expect(alive(pid)).toBe(true)
    expect(await soon(end)).toBe('still waiting')
    await vi.advanceTimersByTimeAsync(1)
    expect(await soon(end)).toMatchObject({ code: 'prober_unavailable', message: expect.stringContaining('had to be killed') })
    await isGone(pid)
  })

  test('after an abort nothing keeps the process alive', async () => {
    await fakePing(`trap '' INT TERM; echo started; sleep 60 & wait`)
    const script = `
      import { icmp } from ${JSON.stringify(join(import.meta.dirname, 'icmp.ts'))}
      const controller = new AbortController()
      const running = icmp().probe(${JSON.stringify(target({ timeoutMs: 60_000 }))}, { signal: controller.signal })
      setTimeout(() => controller.abort(), 200)
      await running.catch((error) => console.log(error.code))`
    const args = ['--experimental-strip-types', '--no-warnings', '--input-type=module-typescript', '-e', script]
    // Ends before ping and its time-out would: what they keep alive is ended by force, and has no status.
    const ran = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 45_000, env: process.env })
    expect({ status: ran.status, out: ran.stdout.trim(), error: ran.stderr }).toEqual({
      status: 0,
      out: 'aborted',
      error: '',
    })
  })
})
