// What an engine makes of each fault with each prober: the verdict, its reason, and the layer that failed.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Look, Setting } from './engine.ts'
import type { ProberName } from './probers.ts'
import { type Running, runEngine } from './running.ts'
import { type Interface, newKeys, startWireguard } from './wireguard.ts'
import { makeWorld, type World } from './world.ts'

const servers = 5
const usersEach = 4
const tcpPort = 443
const vpnPort = (n: number) => 51_820 + n

/** What is tested with: a further prober is one line more, and an expectation of it below. */
const table = ['icmp', 'fping', 'tcp', 'wireguard', 'icmp and wireguard'] as const satisfies readonly ProberName[]
type Tested = (typeof table)[number]
/** One packet each: exactly half of them can be lost. */
const isExact: readonly Tested[] = ['icmp', 'fping', 'wireguard']
const isVpn = (prober: Tested) => prober.includes('wireguard')

let world: World
const interfaces: Interface[] = []
const keys = Object.fromEntries(table.map((prober) => [prober, newKeys()])) as Record<Tested, ReturnType<typeof newKeys>>
beforeAll(async () => {
  world = await makeWorld()
  await world.listenTcp(tcpPort)
  const peers = Object.values(keys).map(({ publicKey }) => ({ publicKey }))
  for (let n = 0; n < servers; n += 1) interfaces.push(await startWireguard(world, { place: 'hosts', port: vpnPort(n), peers }))
})
afterEach(async () => {
  await world.faults.heal()
  await world.proberLink('up')
})
afterAll(async () => {
  report()
  await world?.destroy()
})

/** Each prober has servers of its own, so that none takes part in what another one does to a host's packets. */
const hostsOf = (prober: Tested) => Array.from({ length: servers }, (_, n) => world.host((table.indexOf(prober) + 1) * 100 + n))
/** The server that fails: `s1`. */
const victimOf = (prober: Tested) => hostsOf(prober)[0] as string

/** Dense confirmation, as Pintail does by default, in less time. */
const fast = { checkIntervalMs: 500, pingTimeoutMs: 900, confirm: { intervalMs: 100, durationMs: 1500, timeoutMs: 900 } }
/** Seed 000's: three failing checks of several packets. A check takes 0.9 s: they do not overlap. */
const slow = { checkIntervalMs: 1200, pingTimeoutMs: 300, pingCount: 4, confirm: null }
type Detect = typeof fast | typeof slow

function start(prober: Tested, detect: Detect): Running {
  const hosts = hostsOf(prober)
  const publicKeys = Object.fromEntries(hosts.map((_, n) => [`s${n + 1}`, interfaces[n]?.keys.publicKey ?? '']))
  const setting: Setting = {
    ...{ hosts, usersEach, prober, keys: { privateKey: keys[prober].privateKey, publicKeys } },
    port: isVpn(prober) ? hosts.map((_, n) => vpnPort(n)) : tcpPort,
    policy: { mode: 'auto', registryRefreshMs: 1000, guards: { recheckMs: 200 }, detect },
  }
  return runEngine(world, setting)
}

/** Starts an engine for each prober, has something done when all of them have seen all servers, and ends them. */
async function engines(detect: Detect, use: (prober: Tested, engine: Running) => Promise<void>, strike: () => Promise<void>) {
  const all = table.map((prober) => [prober, start(prober, detect)] as const)
  await Promise.all(all.map(([, engine]) => engine.allUp()))
  await strike()
  await Promise.all(all.map(([prober, engine]) => use(prober, engine)))
  await world.faults.heal()
  await Promise.all(all.map(([, engine]) => engine.stop()))
}

/** The victim's verdicts in their order, from the first one that is not `up`. */
const verdicts = (engine: Running): string[] => {
  const all = engine.told('server.verdict_changed').flatMap(({ data }) => (data.serverId === 's1' ? [data.verdict as string] : []))
  return all.slice(all.indexOf('up') + 1)
}

/**
 * Nobody but the victim is taken for down. A WireGuard daemon is a program, which a machine may stop for longer than its confirmation takes:
 * that was no error, and it comes back while the fault goes on. Another one's fault would not.
 */
async function onlyVictim(prober: Tested, engine: Running): Promise<void> {
  const accused = new Set(engine.told('incident.opened').map(({ data }) => data.serverId as string))
  accused.delete('s1')
  if (!isVpn(prober)) expect(accused, prober).toEqual(new Set())
  for (const id of accused) await engine.until('incident.recovered', ({ serverId }) => serverId === id)
}

/** A check that was held up may make it suspect for a moment, and never down. */
async function staysUp(prober: Tested, engine: Running): Promise<void> {
  await checked(engine, 8)
  await expect.poll(async () => (await engine.look())[0]?.verdict, { message: prober }).toBe('up')
  expect(verdicts(engine), prober).not.toContain('down')
  expect(engine.told('incident.opened'), prober).toEqual([])
}

/** Waits until the victim has been checked so many times more. */
async function checked(engine: Running, times: number): Promise<void> {
  const seen = new Set<number | null>()
  while (seen.size <= times) {
    seen.add((await engine.look())[0]?.lastSentAt ?? null)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

interface Expected {
  readonly code: string | readonly string[]
  readonly layer?: string
  readonly kind?: string
  /** Stands in the message. After the first layer that failed, a busy machine may not have been able to try the next. */
  readonly says?: string
}

interface Fault {
  readonly name: string
  readonly detect: Detect
  readonly strike: (prober: Tested, host: string) => Promise<void>
  /** Null: this prober does not see it, and the server stays up. */
  readonly expected: Readonly<Record<Tested, Expected | null>>
}

const silent = (layer: string): Expected => ({ code: 'no_reply', layer, kind: 'no_reply' })

const faults: readonly Fault[] = [
  {
    name: 'outage',
    detect: fast,
    strike: (_, host) => world.faults.outage([host]),
    expected: {
      icmp: silent('icmp'),
      fping: silent('icmp'),
      tcp: silent('tcp'),
      wireguard: silent('handshake'),
      'icmp and wireguard': { ...silent('icmp'), says: 'icmp no reply, wireguard ' },
    },
  },
  {
    name: '50 % loss',
    detect: slow,
    // A TCP connection is several packets, and two probers share a host's counter: theirs are lost by chance.
    strike: (prober, host) => (isExact.includes(prober) ? world.faults.half([host]) : world.faults.loss([host], 50)),
    expected: {
      icmp: { code: 'packet_loss', says: '2 of 4 packets lost' },
      fping: { code: 'packet_loss', says: '2 of 4 packets lost' },
      tcp: { code: ['packet_loss', 'no_reply'] },
      wireguard: { code: 'packet_loss', says: '2 of 4 packets lost' },
      'icmp and wireguard': { code: ['packet_loss', 'no_reply'] },
    },
  },
  {
    name: '+400 ms',
    detect: fast,
    strike: (_, host) => world.faults.delay([host], 400),
    expected: {
      icmp: { code: 'latency' },
      fping: { code: 'latency' },
      tcp: { code: 'latency' },
      wireguard: { code: 'latency' },
      'icmp and wireguard': { code: 'latency' },
    },
  },
  {
    name: 'VPN port dead, ICMP answers',
    detect: fast,
    strike: (_, host) => world.faults.dropUdp([host], vpnPort(0)),
    expected: {
      icmp: null,
      fping: null,
      tcp: null,
      wireguard: silent('handshake'),
      'icmp and wireguard': { ...silent('handshake'), says: 'icmp ok, wireguard no reply' },
    },
  },
  {
    name: 'host unreachable',
    detect: fast,
    strike: (_, host) => world.faults.unreachable([host]),
    expected: {
      icmp: { code: 'no_reply', layer: 'icmp', kind: 'unreachable' },
      fping: { code: 'no_reply', layer: 'icmp', kind: 'unreachable' },
      tcp: { code: 'no_reply', layer: 'tcp', kind: 'unreachable' },
      // The kernel does not hand this on to UDP.
      wireguard: silent('handshake'),
      'icmp and wireguard': { code: 'no_reply', layer: 'icmp', kind: 'unreachable', says: 'icmp unreachable, wireguard ' },
    },
  },
]

describe.each(faults)('$name', ({ name, detect, strike, expected }) => {
  test(name, async () => {
    let struckAt = 0
    await engines(
      detect,
      async (prober, engine) => {
        const what = expected[prober]
        if (what === null) {
          await staysUp(prober, engine)
          return
        }
        const opened = await engine.until('incident.opened', ({ serverId }) => serverId === 's1')
        measured(name, prober, detect, engine, struckAt)
        const all = verdicts(engine)
        expect(all.slice(0, all.indexOf('down')), prober).toContain('suspect')
        // Of a check that was held up all may be missing, or a layer not have been tried.
        const codes = [what.code].flat()
        expect([...codes, 'no_reply'], prober).toContain(opened.data.reasons[0].code)
        const { layer, kind, says = '' } = what
        const reason = await engine.downFor(
          0,
          ({ code, message, values = {} }) =>
            codes.includes(code) && message.includes(says) && (layer === undefined || (values.layer === layer && values.kind === kind)),
        )
        expect(codes, prober).toContain(reason.code)
        // Its users are away.
        await engine.until('evacuation.completed')
        await onlyVictim(prober, engine)
      },
      async () => {
        await Promise.all(table.map((prober) => strike(prober, victimOf(prober))))
        struckAt = Date.now()
      },
    )
  })
})

test('a server that flaps faster than it is confirmed is suspected again and again, and nobody is moved', async () => {
  const detect = { ...fast, confirm: { ...fast.confirm, durationMs: 5000 } }
  await engines(
    detect,
    async (prober, engine) => {
      const count = (wanted: string) => verdicts(engine).filter((verdict) => verdict === wanted).length
      await engine.until('server.verdict_changed', () => Math.min(count('suspect'), count('up')) >= 3)
      expect(count('down'), prober).toBe(0)
      await onlyVictim(prober, engine)
      expect(
        engine.told('incident.opened').filter(({ data }) => data.serverId === 's1'),
        prober,
      ).toEqual([])
    },
    async () => {
      await Promise.all(table.map((prober) => world.faults.flap(victimOf(prober), 1000, 700)))
    },
  )
})

test("while the prober's own link is down no server is judged, and all of them are up again when it is mended", async () => {
  const detect = { ...fast, confirm: { ...fast.confirm, durationMs: 600 } }
  await engines(
    detect,
    async (prober, engine) => {
      // Every check throws: after three nothing is known any more, of any server. What a stopped daemon was taken for before stays.
      const look = () => engine.look()
      const isJudged = ({ verdict }: Look['servers'][number]) => verdict !== 'unknown' && !(isVpn(prober) && verdict === 'down')
      await expect.poll(async () => (await look()).filter(isJudged), { message: prober, timeout: 120_000 }).toEqual([])
      const incidents = engine.told('incident.opened').length
      const unknown = (await look()).filter(({ verdict }) => verdict === 'unknown')
      expect(unknown.length, prober).toBeGreaterThan(0)
      for (const { reasons } of unknown)
        expect(
          reasons.map(({ code }) => code),
          prober,
        ).toEqual(['prober_failed'])
      await look()
      expect(engine.told('incident.opened'), prober).toHaveLength(incidents)
      down.delete(prober)
      if (down.size === 0) await world.proberLink('up')
      await expect
        .poll(async () => (await look()).filter(({ verdict }) => verdict !== 'up'), { message: prober, timeout: 120_000 })
        .toEqual([])
      if (!isVpn(prober)) expect(engine.told('incident.opened'), prober).toEqual([])
    },
    () => world.proberLink('down'),
  )
})
const down = new Set<Tested>(table)

test('a WireGuard daemon that has died is refused, and ping answers on', async () => {
  await engines(
    fast,
    async (prober, engine) => {
      if (!isVpn(prober)) {
        await staysUp(prober, engine)
        return
      }
      const { data } = await engine.until('incident.opened', ({ serverId }) => serverId === 's1')
      expect(data.reasons, prober).toMatchObject([{ code: 'no_reply' }])
      const says = prober === 'icmp and wireguard' ? 'icmp ok, wireguard refused' : ''
      const reason = await engine.downFor(0, ({ message, values }) => values?.kind === 'refused' && message.includes(says))
      expect(reason, prober).toMatchObject({ code: 'no_reply', values: { layer: 'handshake', kind: 'refused' } })
      await onlyVictim(prober, engine)
    },
    async () => interfaces[0]?.kill(),
  )
})

const rows: Record<string, string | number>[] = []

/** How long it took until the verdict, beside what the policy predicts. For people: nothing is asserted by it. */
function measured(fault: string, prober: Tested, detect: Detect, engine: Running, struckAt: number): void {
  const isDown = engine.told('server.verdict_changed').find(({ data }) => data.serverId === 's1' && data.verdict === 'down')
  const { checkIntervalMs: every, pingTimeoutMs, confirm } = detect
  // From the first failing check on; it is sent up to an interval (with its jitter of a tenth) after the fault.
  const [soonest, latest] = confirm
    ? [confirm.durationMs, every * 1.1 + confirm.durationMs + confirm.intervalMs + confirm.timeoutMs]
    : [2 * 0.9 * every, 3 * 1.1 * every + 3 * 200 + pingTimeoutMs]
  rows.push({
    fault,
    prober,
    'verdict after (ms)': (isDown?.at ?? Number.NaN) - struckAt,
    'the policy predicts (ms)': `${soonest}–${Math.round(latest)}`,
  })
}

function report(): void {
  if (rows.length > 0) console.table(rows)
}
