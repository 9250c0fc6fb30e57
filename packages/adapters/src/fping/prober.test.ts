import { spawnSync } from 'node:child_process'
import { getEventListeners } from 'node:events'
import { chmodSync, existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { ProbeResult, ProbeTarget, ServerId } from '@pintail/core'
import { proberContract } from '@pintail/core/testing'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { patient } from '../../test/patient.ts'
import { unhurried } from '../../test/unhurried.ts'
import { until } from '../../test/until.ts'
import { type FpingOptions, fping } from './prober.ts'

const hasFping = spawnSync('fping', ['-C', '1', '127.0.0.1']).status === 0
const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))

const target = (over: Partial<ProbeTarget> = {}): ProbeTarget => ({
  serverId: 'ams-1' as ServerId,
  host: '127.0.0.1',
  port: null,
  packets: 1,
  // Longer than any machine stands still; an answer is not waited for beyond its coming.
  timeoutMs: 30_000,
  ...over,
})
const never = new AbortController().signal
const probe = async (over: Partial<ProbeTarget> = {}, signal = never, options: FpingOptions = {}): Promise<ProbeResult> =>
  fping(options).probe(target(over), { signal })
/** 127.0.0.0/8 answers as a whole. */
const loopback = (n: number): string => `127.1.${n >> 8}.${n & 255}`

const path = process.env.PATH
let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pintail-fping-'))
})
afterEach(async () => {
  vi.useRealTimers()
  process.env.PATH = path
  await rm(folder, { recursive: true, force: true })
})

const setPath = (value: string | undefined): void => {
  process.env.PATH = value
}

/** Puts an `fping` first on the PATH that runs this shell script. */
function fake(script: string, mode = 0o755): void {
  // A new file each time: one that is being executed cannot be written.
  writeFileSync(join(folder, 'next'), `#!/bin/sh\n${script}\n`)
  chmodSync(join(folder, 'next'), mode)
  renameSync(join(folder, 'next'), join(folder, 'fping'))
  process.env.PATH = [folder, path].join(delimiter)
}
const printing = (...lines: string[]): void => fake(`cat <<'EOF'\n${lines.join('\n')}\nEOF`)
/** Counts its starts and is then the real one. */
const counting = (): void => fake(`echo x >> ${join(folder, 'starts')}; PATH='${path}' exec fping "$@"`)
const starts = (): number => (existsSync(join(folder, 'starts')) ? readFileSync(join(folder, 'starts'), 'utf8').length / 2 : 0)
const pidOf = async (): Promise<number> => {
  await expect.poll(() => existsSync(join(folder, 'pid')) && readFileSync(join(folder, 'pid'), 'utf8')).toMatch(/\n$/)
  return Number(readFileSync(join(folder, 'pid'), 'utf8'))
}
const lives = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe.skipIf(!hasFping)('fping with the fping of this machine [needs: fping]', () => {
  const world = () => ({
    prober: unhurried(fping()),
    answering: { host: '127.0.0.1' },
    breakTool: () => setPath(folder),
    mendTool: () => setPath(path),
  })
  // Nothing on loopback is silent to ping: the lab has that, with real faults. Ping is never refused.
  for (const rule of proberContract(world, { without: ['silent', 'refusing'], ...patient })) test(`contract: ${rule.name}`, rule.run)

  test('calls that come together share one process, and each gets the answer of its own host', async () => {
    counting()
    const prober = fping()
    const hosts = Array.from({ length: 500 }, (_, index) => loopback(index + 1))
    const results = await Promise.all(hosts.map((host) => prober.probe(target({ host }), { signal: never })))
    expect(results.every(({ sent, received, rttMs }) => sent === 1 && received === 1 && rttMs.length === 1)).toBe(true)
    expect(starts()).toBe(1)
  })

  test('two checks of one address are two checks, with packets of their own', async () => {
    counting()
    const prober = fping()
    const [one, other] = await Promise.all([2, 2].map((packets) => prober.probe(target({ packets }), { signal: never })))
    expect([one, other]).toMatchObject([
      { sent: 2, received: 2 },
      { sent: 2, received: 2 },
    ])
    expect(one?.rttMs).not.toBe(other?.rttMs)
    expect(starts()).toBe(1)
  })

  test('probeMany carries thousands of hosts in a few processes, each once', async () => {
    counting()
    const targets = Array.from({ length: 10_000 }, (_, index) => target({ host: loopback(index + 1), timeoutMs: 5000 }))
    const seen = new Map<ProbeTarget, ProbeResult>()
    const prober = fping({ packetsPerSecond: 100_000 })
    for await (const { target, result } of prober.probeMany?.(targets, { signal: never }) ?? []) seen.set(target, result)
    expect(seen.size).toBe(10_000)
    // Whether each of them answers is the machine's affair; that none has more than it was sent is ours.
    expect([...seen.values()].every(({ sent, received }) => sent === 1 && received <= 1)).toBe(true)
    expect(starts()).toBeLessThanOrEqual(16)
  })

  test.skipIf(!hasIpv6)('IPv4, IPv6 and a name go together [needs: IPv6]', async () => {
    const prober = fping()
    const results = await Promise.all(
      ['127.0.0.1', '::1', '0:0:0:0:0:0:0:1', 'localhost'].map((host) => prober.probe(target({ host }), { signal: never })),
    )
    expect(results.map(({ received }) => received)).toEqual([1, 1, 1, 1])
  })

  test('a host that answers is told before a silent one of the same process is given up', async () => {
    // The silent one is a stand-in: fping is told to list a host that nobody answers for, wherever this machine is.
    fake(`real() { PATH='${path}' fping "$@"; }; real "$@" | grep -v '^127.0.0.9 '; exec sleep 600`)
    const prober = fping()
    const stop = new AbortController()
    const silent = Promise.resolve(prober.probe(target({ host: '127.0.0.9' }), { signal: stop.signal })).catch(() => 'stopped')
    const living = await prober.probe(target(), { signal: never })
    expect(living.received).toBe(1)
    expect(await Promise.race([silent, 'still waiting'])).toBe('still waiting')
    stop.abort()
    expect(await silent).toBe('stopped')
  })

  test('the program may be given by its path', async () => {
    const real = spawnSync('sh', ['-c', 'command -v fping'], { encoding: 'utf8' }).stdout.trim()
    expect(await probe({}, never, { command: real })).toMatchObject({ received: 1 })
  })

  test('an fping that was replaced is the one that the next check starts', async () => {
    const prober = fping()
    printing('not an fping at all')
    await expect(prober.probe(target(), { signal: never })).rejects.toMatchObject({ code: 'prober_unavailable' })
    counting()
    expect(await prober.probe(target(), { signal: never })).toMatchObject({ received: 1 })
    expect(starts()).toBe(1)
  })
})

describe('what fping makes of what it is told', () => {
  const summary = ['', '10.0.0.1 : 0.4']

  test('typed arguments, a list of addresses, and no translated numbers', async () => {
    fake(`printf "%s " "$@" > ${join(folder, 'args')}; cat > ${join(folder, 'list')}; echo "$LC_ALL"`)
    const call = probe({ host: 'LOCALHOST.', packets: 5, timeoutMs: 31_234.5 })
    await expect(call).rejects.toMatchObject({ code: 'prober_unavailable', message: expect.stringMatching(/: C$/) })
    expect(readFileSync(join(folder, 'args'), 'utf8').trim()).toBe('-C 5 -p 200 -t 31500 -i 0.1 -f -')
    expect(readFileSync(join(folder, 'list'), 'utf8')).toMatch(/^(127\.0\.0\.1|::1)\n$/)
  })

  test('a reply that is later than the time-out is a lost packet, a duplicate is none, and numbers are numbers', async () => {
    printing(
      '10.0.0.1 : [0], 64 bytes, 0.185 ms (0.185 avg, 0% loss)',
      '10.0.0.1 : duplicate for [0], 64 bytes, 0.2 ms',
      '10.0.0.1 : [1], timed out (0.185 avg, 50% loss)',
      '10.0.0.1 : [2], 64 bytes, 30001 ms (15000 avg, 33% loss) [<- 10.0.0.2]',
      '10.0.0.1 : [3], 64 bytes, 12.3 ms (3 avg, 25% loss)',
    )
    expect(await probe({ host: '10.0.0.1', packets: 4, timeoutMs: 30_000 })).toEqual({
      sent: 4,
      received: 2,
      rttMs: [0.185, 12.3],
      failure: null,
    })
  })

  test('what a router said is told from silence', async () => {
    printing('ICMP Host Unreachable from 10.0.0.254 for ICMP Echo sent to 10.0.0.1', '10.0.0.1 : [0], timed out (NaN avg, 100% loss)')
    expect(await probe({ host: '10.0.0.1' })).toEqual({
      sent: 1,
      received: 0,
      rttMs: [],
      failure: { kind: 'unreachable', layer: 'icmp', detail: 'ICMP Host Unreachable from 10.0.0.254' },
    })
    printing('10.0.0.1 : [0], timed out (NaN avg, 100% loss)')
    expect((await probe({ host: '10.0.0.1' })).failure).toEqual({
      kind: 'no_reply',
      layer: 'icmp',
      detail: '1 sent, nothing within 30000 ms',
    })
  })

  test('a busy event loop makes no server slow or silent', async () => {
    // More than a pipe holds: it is done when all has been taken from it, or into a file.
    fake(`while read host; do echo "$host : [0], 64 bytes, 0.1 ms (0.1 avg, 0% loss)"; done
echo; echo > ${join(folder, 'done')}`)
    const prober = fping({ packetsPerSecond: 20_000 })
    const hosts = Array.from({ length: 2000 }, (_, index) => loopback(index + 1))
    const all = Promise.all(hosts.map((host) => prober.probe(target({ host, timeoutMs: 300 }), { signal: never })))
    // Calls that come together are gathered for less than that, and then it is started.
    await new Promise((resolve) => setTimeout(resolve, 30))
    const begun = performance.now()
    while (performance.now() < begun + 1000 || (performance.now() < begun + 50_000 && !existsSync(join(folder, 'done'))));
    expect((await all).filter(({ received }) => received === 0)).toEqual([])
  })

  test('a packet that could not leave this machine is no evidence', async () => {
    printing('', '10.0.0.1 : -')
    await expect(probe({ host: '10.0.0.1' })).rejects.toMatchObject({
      code: 'prober_unavailable',
      message: 'fping could not send to 10.0.0.1',
      remedy: expect.stringContaining('check its own network'),
    })
    // Of two packets one left and came back: that is what was sent.
    printing('10.0.0.1 : [0], 64 bytes, 0.4 ms (0.4 avg, 0% loss)', '', '10.0.0.1 : 0.4 -')
    expect(await probe({ host: '10.0.0.1', packets: 2 })).toMatchObject({ sent: 1, received: 1 })
  })

  test.each([
    ['more replies than packets', ['10.0.0.1 : [0], 64 bytes, 1 ms (1 avg)', '10.0.0.1 : [0], 64 bytes, 1 ms (1 avg)']],
    ['a packet that was never sent', ['10.0.0.1 : [7], 64 bytes, 1 ms (1 avg, 0% loss)', ...summary]],
    ['a host that it was not given', ['10.0.0.2 : [0], 64 bytes, 1 ms (1 avg, 0% loss)', ...summary]],
    ['a negative time', ['10.0.0.1 : [0], 64 bytes, -1 ms (1 avg, 0% loss)']],
    ['no number', ['10.0.0.1 : [0], 64 bytes, soon ms (1 avg, 0% loss)']],
    ['words', ['Segmentation fault']],
    ['nothing', []],
    ['bytes of any kind', ['\u0001\u0002\u001b[31m\u0007']],
  ])('garbage is no evidence: %s', async (what, lines) => {
    printing(...lines)
    const packets = what.startsWith('more') ? 2 : 1
    const error = await probe({ host: '10.0.0.1', packets }).catch((thrown) => thrown)
    expect(error).toMatchObject({ code: 'prober_unavailable' })
    expect(error.message).not.toMatch(/\p{Cc}/u)
  })

  test('a second answer to the only packet of a host makes all of it garbage, and keeps what was told before', async () => {
    const line = '10.0.0.1 : [0], 64 bytes, 1 ms (1 avg, 0% loss)'
    printing(line, line, '10.0.0.2 : [0], 64 bytes, 1 ms (1 avg, 0% loss)')
    const prober = fping()
    const ends = await Promise.allSettled(['10.0.0.1', '10.0.0.2'].map((host) => prober.probe(target({ host }), { signal: never })))
    expect(ends).toMatchObject([{ value: { received: 1 } }, { reason: { code: 'prober_unavailable' } }])
  })

  test('an fping that never stops printing is stopped', async () => {
    fake('while :; do echo "this is no line of fping, however often it is said"; done')
    await expect(probe({ host: '10.0.0.1', timeoutMs: 30_000 })).rejects.toMatchObject({
      code: 'prober_unavailable',
      message: expect.stringContaining('prints too much'),
    })
  })
})

describe('when fping cannot probe', () => {
  const cases: [string, () => void, RegExp, RegExp][] = [
    ['it is not installed', () => setPath(folder), /no program fping/, /apt-get install fping/],
    [
      'it may not be executed',
      () => {
        fake('exit 0', 0o644)
        setPath(folder)
      },
      /did not start/,
      /CAP_NET_RAW|setcap/,
    ],
    [
      'it may not open a socket',
      () => fake(`echo "fping: can't create socket (must run as root?)" >&2; exit 4`),
      /ended with code 4/,
      /setcap/,
    ],
    ['it has limits for users', () => fake('echo "fping: You need -i >= 1 and -p >= 10" >&2; exit 3'), /-i >= 1/, /packetsPerSecond/],
    ['it is killed', () => fake('kill -9 $$'), /ended with SIGKILL/, /fping/],
    ['it ends at once', () => fake('exit 1'), /ended with code 1: it printed nothing/, /fping/],
  ]
  test.each(cases)('%s: no server is judged, and the next check works again', async (_what, spoil, message, remedy) => {
    const prober = fping()
    spoil()
    await expect(prober.probe(target(), { signal: never })).rejects.toMatchObject({
      code: 'prober_unavailable',
      message: expect.stringMatching(message),
      remedy: expect.stringMatching(remedy),
    })
    printing('127.0.0.1 : [0], 64 bytes, 0.1 ms (0.1 avg, 0% loss)')
    expect(await prober.probe(target(), { signal: never })).toMatchObject({ received: 1 })
  })

  test('one that is killed in the middle keeps what it has seen, and nobody else is judged', async () => {
    fake('echo "10.0.0.1 : [0], 64 bytes, 0.1 ms (0.1 avg, 0% loss)"; kill -9 $$')
    const prober = fping()
    const [seen, unseen] = await Promise.allSettled(
      ['10.0.0.1', '10.0.0.2'].map((host) => prober.probe(target({ host }), { signal: never })),
    )
    expect(seen).toMatchObject({ status: 'fulfilled', value: { received: 1 } })
    expect(unseen).toMatchObject({ status: 'rejected', reason: { code: 'prober_unavailable' } })
  })

  test('one that hangs is killed, and no server is judged', async () => {
    fake(`trap '' INT TERM; echo $$ > ${join(folder, 'pid')}; while :; do sleep 1; done`)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const killed = expect(probe({ timeoutMs: 50 })).rejects.toMatchObject({
      code: 'prober_unavailable',
      message: expect.stringContaining('had to be killed'),
    })
    const hasBegun = () => existsSync(join(folder, 'pid')) && readFileSync(join(folder, 'pid'), 'utf8').endsWith('\n')
    await until('it is to be started', () => vi.getTimerCount() > 0)
    // Calls that come together are gathered for a moment.
    vi.advanceTimersByTime(10)
    await until('it hangs', hasBegun)
    vi.advanceTimersByTime(60_000)
    await killed
    vi.useRealTimers()
    const pid = await pidOf()
    await expect.poll(() => lives(pid)).toBe(false)
  })

  test('no program, an unknown host and no reply are three outcomes', async () => {
    process.env.PATH = folder
    await expect(probe()).rejects.toMatchObject({ code: 'prober_unavailable' })
    await expect(probe({ host: 'no-such-server.invalid' })).rejects.toMatchObject({ code: 'unknown_host' })
    printing('10.0.0.1 : [0], timed out (NaN avg, 100% loss)')
    expect(await probe({ host: '10.0.0.1' })).toMatchObject({ failure: { kind: 'no_reply' } })
  })

  test('probeMany passes over what could not be probed, and says why where nothing could be', async () => {
    printing('10.0.0.1 : [0], 64 bytes, 0.1 ms (0.1 avg, 0% loss)')
    const targets = ['no-such-server.invalid', '10.0.0.1', '-h'].map((host) => target({ host }))
    const seen: string[] = []
    for await (const { target: one } of fping().probeMany?.(targets, { signal: never }) ?? []) seen.push(one.host)
    expect(seen).toEqual(['10.0.0.1'])
    process.env.PATH = folder
    const none = async () => {
      for await (const _ of fping().probeMany?.(targets, { signal: never }) ?? []) throw new Error('a result')
    }
    await expect(none()).rejects.toMatchObject({ code: 'prober_unavailable' })
  })

  test.each([
    { command: '-x' },
    { command: '' },
    { command: 'a\0b' },
    { packetsPerSecond: 0 },
    { packetsPerSecond: Number.NaN },
    { processes: 0 },
    { processes: 1.5 },
  ])('an option out of range is refused: %o', (options) => {
    expect(() => fping(options)).toThrow(expect.objectContaining({ code: 'invalid_argument' }))
  })
})

describe('fping ends', () => {
  const hanging = (): void => fake(`trap '' INT TERM; echo $$ > ${join(folder, 'pid')}; sleep 60 & wait; wait`)

  test('an abort settles at once, and kills the process for which nobody waits any more', async () => {
    hanging()
    const prober = fping()
    const [first, second] = [new AbortController(), new AbortController()]
    const calls = [first, second].map(({ signal }) => Promise.resolve(prober.probe(target({ timeoutMs: 30_000 }), { signal })))
    const pid = await pidOf()
    first.abort(new Error('stop'))
    await expect(calls[0]).rejects.toMatchObject({ code: 'aborted', cause: { message: 'stop' } })
    expect(lives(pid)).toBe(true)
    second.abort()
    await expect(calls[1]).rejects.toMatchObject({ code: 'aborted' })
    await expect.poll(() => lives(pid)).toBe(false)
    for (const { signal } of [first, second]) expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('an abort before the process started starts none', async () => {
    hanging()
    const controller = new AbortController()
    const call = probe({}, controller.signal)
    await Promise.resolve()
    controller.abort()
    await expect(call).rejects.toMatchObject({ code: 'aborted' })
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(existsSync(join(folder, 'pid'))).toBe(false)
  })

  test('ending the iteration of probeMany kills what is left', async () => {
    fake(`echo $$ > ${join(folder, 'pid')}; echo "10.0.0.1 : [0], 64 bytes, 0.1 ms (0.1 avg, 0% loss)"; sleep 60 & wait`)
    const targets = ['10.0.0.1', '10.0.0.2'].map((host) => target({ host, timeoutMs: 30_000 }))
    for await (const _ of fping().probeMany?.(targets, { signal: never }) ?? []) break
    const pid = await pidOf()
    await expect.poll(() => lives(pid)).toBe(false)
  })

  test('no file, descriptor or process is left, and a thousand checks under one signal leave no listener', async () => {
    printing('127.0.0.1 : [0], 64 bytes, 0.1 ms (0.1 avg, 0% loss)')
    const prober = fping()
    const open = () => (existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : 0)
    await prober.probe(target(), { signal: never })
    const before = open()
    const { signal } = new AbortController()
    const calls = Array.from({ length: 1000 }, () => Promise.resolve(prober.probe(target(), { signal })).catch(() => null))
    await Promise.all(calls)
    expect(getEventListeners(signal, 'abort')).toEqual([])
    await expect.poll(open).toBeLessThanOrEqual(before)
    // Others may probe at the same time: theirs have a name for a moment.
    const files = () => ['/dev/shm', tmpdir()].flatMap((where) => (existsSync(where) ? readdirSync(where) : []))
    await expect.poll(() => files().filter((name) => /^pintail-fping-[0-9a-f]{8}-/.test(name))).toEqual([])
  })

  test('at most as many processes run as are allowed, and what waits has its turn', async () => {
    fake(
      `read host; echo start >> ${join(folder, 'log')}; sleep 0.1; echo end >> ${join(folder, 'log')}; echo "$host : [0], 64 bytes, 1 ms (1 avg)"`,
    )
    const prober = fping({ processes: 1 })
    const all: Promise<ProbeResult>[] = []
    // Each with a time-out of its own, so that no two of them can share a process.
    for (const timeoutMs of [31_000, 32_000, 33_000]) all.push(Promise.resolve(prober.probe(target({ timeoutMs }), { signal: never })))
    expect((await Promise.all(all)).map(({ received }) => received)).toEqual([1, 1, 1])
    expect(readFileSync(join(folder, 'log'), 'utf8').trim().split('\n')).toEqual(['start', 'end', 'start', 'end', 'start', 'end'])
  })

  test('after an abort nothing keeps the process alive', () => {
    fake(`trap '' INT TERM; echo $$ > ${join(folder, 'pid')}; exec sleep 600`)
    const script = `
      import { existsSync } from 'node:fs'
      import { fping } from ${JSON.stringify(join(import.meta.dirname, 'prober.ts'))}
      const controller = new AbortController()
      const running = fping().probe(${JSON.stringify(target({ timeoutMs: 60_000 }))}, { signal: controller.signal })
      const begun = setInterval(() => {
        if (!existsSync(${JSON.stringify(join(folder, 'pid'))})) return
        clearInterval(begun)
        controller.abort()
      }, 5)
      await running.catch((error) => console.log(error.code))`
    const args = ['--conditions=@pintail/source', '--no-warnings', '--input-type=module-typescript', '-e', script]
    const ran = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 50_000, cwd: import.meta.dirname })
    expect({ status: ran.status, out: ran.stdout.trim(), error: ran.stderr }).toEqual({ status: 0, out: 'aborted', error: '' })
  })
})
