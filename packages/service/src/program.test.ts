import { createServer, type Server } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { pintail } from '../test/terminal.ts'

const listeners: Server[] = []
afterEach(() => {
  for (const one of listeners.splice(0)) one.close()
})
async function listener(): Promise<number> {
  const server = createServer((socket) => socket.destroy())
  listeners.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as { port: number }).port
}
/** Nobody listens there: it has no service, and is below those that a system hands out. One that was free a moment ago may be taken. */
const closed = 4
/** On loopback only this machine is slow: it may stand still while an answer waits to be read. */
const patiently = ['--timeout', '60', '--latency', '60000']

const colour = '\u001b['

describe('the command line', () => {
  test('without a command it says what there is, and ends with 2', async () => {
    const { code, out, err } = await pintail([])
    expect([code, out]).toEqual([2, ''])
    for (const command of ['serve', 'check', 'plan', 'config', 'worker', 'vantage', 'import', 'health', 'key'])
      expect(err).toContain(command)
  })

  test('--version prints the version alone', async () => {
    const { code, out } = await pintail(['--version'])
    expect(code).toBe(0)
    expect(out).toMatch(/^\d+\.\d+\.\d+\S*\n$/)
  })

  test.each(['', 'serve', 'check', 'plan', 'config', 'worker', 'vantage', 'import', 'health', 'key'])(
    '--help of "%s" has examples and goes to the output',
    async (command) => {
      const { code, out, err } = await pintail([...(command ? [command] : []), '--help'])
      expect([code, err]).toEqual([0, ''])
      expect(out).toMatch(/Examples:\n {2}/)
      expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThan(110)
    },
  )

  test('an unknown command or option is answered with the one that was meant, and ends with 2', async () => {
    expect(await pintail(['chekc', 'x'])).toMatchObject({ code: 2, err: expect.stringContaining('Did you mean check?') })
    expect(await pintail(['serve', '--moed', 'auto'])).toMatchObject({ code: 2, err: expect.stringContaining('Did you mean --mode?') })
    expect(await pintail(['serve', 'now'])).toMatchObject({ code: 2 })
    expect(await pintail(['plan'])).toMatchObject({ code: 2, err: expect.stringContaining('--drain') })
  })

  test('wrong settings end with 1 before anything is started, all in one answer', async () => {
    const env = { CHECK_INTERVAL: '3s', PINTAIL_MODE: 'atuo' }
    for (const argv of [['serve'], ['config'], ['plan', '--drain', '1'], ['serve', '--print-config']]) {
      const { code, out, err } = await pintail(argv, env)
      expect([code, out]).toEqual([1, ''])
      expect(err).toContain('2 settings are wrong')
      expect(err).toContain('CHECK_INTERVAL')
      expect(err).toContain('did you mean auto?')
    }
  })

  test('worker and vantage say all that is wrong before anything is started, and print their settings', async () => {
    const nothing = await pintail(['worker'])
    expect([nothing.code, nothing.out]).toEqual([1, ''])
    expect(nothing.err).toContain('3 settings are wrong')
    const env = { PINTAIL_NATS_URL: 'nats://127.0.0.1:4222', PINTAIL_NATS_USER: 'v', PINTAIL_NATS_PASSWORD: 'hunter2' }
    const printed = await pintail(['vantage', '--vantage', 'home', '--print-config'], env)
    expect(printed).toMatchObject({ code: 0, err: '' })
    expect(printed.out).toMatch(/^PINTAIL_VANTAGE +home +flag$/m)
    expect(printed.out).toMatch(/^PINTAIL_NATS_PASSWORD +\*\*\* +environment$/m)
    expect(await pintail(['worker', '--regoin', 'de'])).toMatchObject({ code: 2, err: expect.stringContaining('Did you mean --region?') })
    expect(await pintail(['import', 'x.yaml'])).toMatchObject({ code: 1, err: expect.stringContaining('PINTAIL_NATS_URL') })
  })

  test('config shows each value with its source, as a table and as JSON', async () => {
    const env = { CHECK_INTERVAL: '10', PINTAIL_MOED: 'x' }
    const table = await pintail(['config', '--mode', 'observe'], env)
    expect(table.out).toMatch(/^CHECK_INTERVAL +10 +environment$/m)
    expect(table.out).toMatch(/^PINTAIL_MODE +observe +flag$/m)
    expect(table.out).toMatch(/^PING_COUNT +5 +default$/m)
    expect(table.err).toContain('did you mean PINTAIL_MODE?')
    const json = JSON.parse((await pintail(['config', '--json'], env)).out)
    expect(json.settings.CHECK_INTERVAL).toEqual({ value: 10, source: 'environment' })
    expect(json.policy.detect).toMatchObject({ checkIntervalMs: 2000, pingCount: 1 })
    expect((await pintail(['serve', '--print-config', '--mode', 'observe'], env)).out).toBe(table.out)
  })
})

describe('check', () => {
  test('a host whose port is open is up, with 0; one that refuses is down, with 1 and the layer that failed', async () => {
    const open = await listener()
    const up = await pintail(['check', '--no-icmp', ...patiently, '--tcp', `${open}`, '127.0.0.1'])
    expect(up).toMatchObject({ code: 0, err: '' })
    expect(up.out).toMatch(/^127\.0\.0\.1 +up +\d+\.\d+ ms$/m)
    expect(up.out).not.toContain('answered')
    const down = await pintail([
      'check',
      '--no-icmp',
      ...patiently,
      '--count',
      '2',
      '--tcp',
      `${open}`,
      '--tcp',
      `${closed}`,
      '127.0.0.1',
      '127.0.0.2',
    ])
    expect(down.code).toBe(1)
    expect(down.out).toMatch(new RegExp(`^127\\.0\\.0\\.1 +down .* refused +tcp:${closed} refused`, 'm'))
    expect(down.out).toContain('2 down')
    // The samples behind it.
    expect(down.out).toMatch(new RegExp(`^ +tcp:${open} +2 of 2 answered: \\d+\\.\\d+ \\d+\\.\\d+ ms$`, 'm'))
    expect(down.out).toMatch(new RegExp(`^ +tcp:${closed} +0 of 2 answered; port ${closed}: ECONNREFUSED$`, 'm'))
  })

  test('as JSON each layer tells what it sent, got and why it is down', async () => {
    const { out, code } = await pintail(['check', '--no-icmp', ...patiently, '--json', '--count', '3', '--tcp', `${closed}`, '127.0.0.1'])
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject([
      {
        host: '127.0.0.1',
        verdict: 'down',
        failed_layer: `tcp:${closed}`,
        layers: [{ sent: 3, received: 0, rtt_ms: null, rtts_ms: [], fault: 'refused', why: expect.stringContaining('ECONNREFUSED') }],
      },
    ])
  })

  test('colours are for a terminal, and not where NO_COLOR is set', async () => {
    const argv = ['check', '--no-icmp', ...patiently, '--count', '1', '--tcp', `${await listener()}`, '127.0.0.1']
    expect((await pintail(argv, {}, true)).out).toContain(colour)
    expect((await pintail(argv, { NO_COLOR: '1' }, true)).out).not.toContain(colour)
    expect((await pintail(argv, { TERM: 'dumb' }, true)).out).not.toContain(colour)
    expect((await pintail(argv)).out).not.toContain(colour)
  })

  test('where ping cannot be run the host is unknown, and it says what to do', async () => {
    const { PATH } = process.env
    process.env.PATH = '/nowhere'
    try {
      const { code, out } = await pintail(['check', '127.0.0.1'])
      expect(code).toBe(1)
      expect(out).toMatch(/^127\.0\.0\.1 +unknown +could not try/m)
      expect(out).toContain('icmp: Install ping')
    } finally {
      process.env.PATH = PATH
    }
  })

  test('a port is asked for its handshake and for HTTPS where that is wanted, and the layer that failed is named', async () => {
    const mute = await listener()
    const layers = ['--tcp', `${mute}`, '--tls', `${mute}`, '--https', `${mute}`]
    const { code, out } = await pintail(['check', '--no-icmp', '--json', '--count', '1', ...patiently, ...layers, '127.0.0.1'])
    expect(code).toBe(1)
    const [host] = JSON.parse(out)
    expect(host).toMatchObject({ verdict: 'down', failed_layer: `tls:${mute}` })
    expect(host.layers.map(({ layer, verdict }: { layer: string; verdict: string }) => [layer, verdict])).toEqual([
      [`tcp:${mute}`, 'up'],
      [`tls:${mute}`, 'down'],
      [`https:${mute}`, 'down'],
    ])
  })

  test('fping is used where it is asked for, and says what to do where there is none', async () => {
    const { PATH } = process.env
    process.env.PATH = '/nowhere'
    try {
      const { code, out } = await pintail(['check', '--no-icmp', '--fping', '127.0.0.1'])
      expect(code).toBe(1)
      expect(out).toMatch(/^127\.0\.0\.1 +unknown +could not try +fping could not try/m)
      expect(out).toContain('or check without --fping')
    } finally {
      process.env.PATH = PATH
    }
  })

  test('a host is looked at once, however often it is named', async () => {
    const { out } = await pintail(['check', '--no-icmp', '--json', '--tcp', `${await listener()}`, '127.0.0.1', '127.0.0.1'])
    expect(JSON.parse(out)).toHaveLength(1)
  })

  test.each([
    ['no host', ['check']],
    ['hosts that are none', ['check', 'http://x', '--', '-h']],
    ['a port that is none', ['check', '--tcp', '70000', '127.0.0.1']],
    ['a count with a unit', ['check', '--count', '5s', '127.0.0.1']],
    ['nothing to check by', ['check', '--no-icmp', '127.0.0.1']],
    ['a time-out of nothing', ['check', '--timeout', '0', '127.0.0.1']],
  ])('%s ends with 2, and nothing is sent', async (_what, argv) => {
    const { code, out, err } = await pintail(argv)
    expect([code, out]).toEqual([2, ''])
    expect(err.trim()).not.toBe('')
  })
})

test('health says that nobody answers, and ends with 1', async () => {
  const { code, err } = await pintail(['health', '--url', `http://127.0.0.1:${closed}`])
  expect(code).toBe(1)
  expect(err).toContain('does not answer')
})
