// VPN servers with a machine of their own each (a namespace beside the router), and a client who pings through his tunnel.
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { ClientUpdate, WireGuardAccess } from '@pintail/adapters/wireguard'
import { end } from './children.ts'
import { patiently } from './patient.ts'
import { type Interface, type Keys, type Peering, startWireguard } from './wireguard.ts'
import type { World } from './world.ts'

export const vpnPort = 51_820
/** The servers' own address in the tunnel: the same on all, so that whoever has moved finds it again. */
export const gateway = '10.7.0.1'
export const tunnelNetwork = '10.7.0.0/16'

export interface VpnServer {
  readonly id: string
  /** What clients and probes reach it by. */
  readonly host: string
  readonly wireguard: Interface
  /** Starts its daemon again, with the same name and key, and without any peer but the given ones. */
  restart(): Promise<Interface>
}

/** A server in a place of its own, with one of the lab's server addresses, so that the lab's faults are its faults. */
export async function startServer(world: World, id: string, number: number, peers: readonly Peering[] = []): Promise<VpnServer> {
  await world.addVantage(id)
  const host = world.host(number)
  const [own = '', router = ''] = await linkOf(world, id)
  await world.exec(id, 'ip', 'address', 'add', `${host}/32`, 'dev', 'lo')
  // It answers from that address, or its clients would follow it to another one.
  await world.exec(id, 'ip', 'route', 'replace', '10.98.0.0/16', 'via', router, 'src', host)
  await world.exec('router', 'ip', 'route', 'replace', `${host}/32`, 'via', own)
  const start = (before?: Interface) =>
    startWireguard(world, {
      place: id,
      port: vpnPort,
      address: `${gateway}/16`,
      peers,
      ...(before && { keys: before.keys, name: before.name }),
    })
  const server = {
    id,
    host,
    wireguard: await start(),
    restart: async () => {
      server.wireguard = await start(server.wireguard)
      return server.wireguard
    },
  }
  return server
}

/** The address of a place beside the router, and the router's own there. */
export async function linkOf(world: World, place: string): Promise<[string, string]> {
  const [near = ''] = /10\.98\.\d+\.2(?=\/24)/.exec(await world.exec(place, 'ip', '-4', 'address', 'show')) ?? []
  return [near, near.replace(/2$/, '1')]
}

/** Wakes everybody who waits for something new. */
export class Bell {
  #next = Promise.withResolvers<void>()

  /** Resolves when it rings next. */
  rings(): Promise<void> {
    return this.#next.promise
  }

  ring(): void {
    this.#next.resolve()
    this.#next = Promise.withResolvers()
  }
}

export interface Client {
  readonly keys: Keys
  readonly address: string
  /** Does what an update says: the old peer away, the new one there, in one call. */
  follow(update: Pick<ClientUpdate, 'steps'>): Promise<void>
  /** The first configuration. */
  connect(access: WireGuardAccess): Promise<void>
  /** Pings the gateway through the tunnel until it is stopped. */
  ping(everyMs: number): Promise<Pinging>
}

/** A user's device in a place of its own. */
export async function startClient(world: World, place: string, address: string): Promise<Client> {
  await world.addVantage(place)
  const wireguard = await startWireguard(world, { place, port: 0, address: `${address}/16` })
  const { keys } = wireguard
  const hexOf = (key: string) => Buffer.from(key, 'base64').toString('hex')
  const follow: Client['follow'] = async ({ steps }) => {
    const lines = steps.flatMap((step) => {
      if (step.do === 'remove_peer')
        return step.publicKey === null ? ['replace_peers=true'] : [`public_key=${hexOf(step.publicKey)}`, 'remove=true']
      const { publicKey, endpoint, persistentKeepalive, allowedIps } = step.peer
      return [
        ...[`public_key=${hexOf(publicKey)}`, `endpoint=${endpoint}`, `persistent_keepalive_interval=${persistentKeepalive ?? 0}`],
        ...['replace_allowed_ips=true', ...allowedIps.map((one) => `allowed_ip=${one}`)],
      ]
    })
    await wireguard.set(lines)
  }
  return {
    keys,
    address,
    connect: ({ server }) =>
      follow({
        steps: [
          { do: 'remove_peer', publicKey: null },
          { do: 'add_peer', peer: server },
        ],
      }),
    follow,
    ping: (everyMs) => startPinging(world, place, everyMs),
  }
}

/** How many echo requests have left this place, and how many were answered, as its kernel counts them. */
async function echoes(world: World, place: string): Promise<{ readonly sent: number; readonly answered: number }> {
  const [names = [], values = []] = (await world.exec(place, 'cat', '/proc/net/snmp'))
    .split('\n')
    .filter((line) => line.startsWith('Icmp:'))
    .map((line) => line.split(' '))
  const count = (name: string) => Number(values[names.indexOf(name)])
  return { sent: count('OutEchos'), answered: count('InEchoReps') }
}

export interface Pinging {
  /** Milliseconds since 1970 at which each answer came, by its number. */
  readonly answers: ReadonlyMap<number, number>
  /** Resolves with the next answer from now on that came later than this. */
  answered(after: number): Promise<number>
  /** How many have left so far. */
  sent(): Promise<number>
  /** Between two pings, with none of them under way, and none leaves before it is done: an answer that is on its way when a peer goes is lost. */
  between<T>(work: () => Promise<T>): Promise<T>
  /** Ends it: how many were sent and answered. */
  stop(): Promise<{ readonly sent: number; readonly received: number }>
}

/** @param to an address in the tunnel; default: the servers' own */
export async function startPinging(world: World, place: string, everyMs: number, to = gateway): Promise<Pinging> {
  const before = await echoes(world, place)
  const child: ChildProcess = world.spawn(place, 'ping', '-n', '-i', String(everyMs / 1000), '-W', '1', to)
  const answers = new Map<number, number>()
  let said = ''
  const bell = new Bell()
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    said += `${line}\n`
    const [, number] = /icmp_seq=(\d+) ttl=/.exec(line) ?? []
    if (number !== undefined) answers.set(Number(number), Date.now())
    bell.ring()
  })
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  child.once('close', () => bell.ring())
  return {
    answers,
    async answered(after) {
      for (;;) {
        const times = [...answers.values()].filter((at) => at > after)
        if (times.length > 0) return Math.min(...times)
        if (child.exitCode !== null) throw new Error(`ping has ended: ${said.slice(-300)}`)
        await bell.rings()
      }
    },
    sent: async () => (await echoes(world, place)).sent - before.sent,
    async between(work) {
      child.kill('SIGSTOP')
      try {
        const lost = before.sent - before.answered
        for (const end = performance.now() + patiently.timeout; performance.now() < end; ) {
          const { sent, answered } = await echoes(world, place)
          if (sent - answered <= lost) break
        }
        return await work()
      } finally {
        child.kill('SIGCONT')
      }
    },
    async stop() {
      // Not at once: what is under way may still come. `ip netns exec` becomes the program itself.
      child.kill('SIGINT')
      await closed
      const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(said) ?? []
      if (sent === undefined) throw new Error(`ping has said nothing of what it sent: ${said.slice(-300)}`)
      await end(child)
      return { sent: Number(sent), received: Number(received) }
    },
  }
}
