// The lab's world: two network namespaces of this machine. One has the prober, the other answers for 65,000 VPN
// servers. No container, no other machine, nothing outside of the two namespaces is changed. Needs root, ip and nft.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Where a command runs: beside the prober, or on the machine that stands for all servers. */
export type Place = 'prober' | 'hosts'

/** What can be done to a host. `heal` undoes all of it. */
export interface Fault {
  /** Everything to these hosts is dropped; with `healsAfterMs` (whole milliseconds) for that long only. */
  outage(hosts: readonly string[], healsAfterMs?: number): Promise<void>
  /** Half of all packets to these hosts are dropped, by chance. */
  loss50(hosts: readonly string[]): Promise<void>
  /** Only UDP to this port is dropped: WireGuard is dead, while ping and TCP answer. */
  dropUdp(hosts: readonly string[], port: number): Promise<void>
  /** Only TCP to this port is dropped: silence, not a refusal. */
  dropTcp(hosts: readonly string[], port: number): Promise<void>
  /** A router says "host unreachable" in their stead. IPv4 only. */
  unreachable(hosts: readonly string[]): Promise<void>
  /** Ends all faults of these hosts; without hosts, of all. */
  heal(hosts?: readonly string[]): Promise<void>
}

export interface World extends AsyncDisposable {
  /** The names of the two namespaces, for `ip netns exec`. */
  readonly namespaces: Readonly<Record<Place, string>>
  readonly faults: Fault
  /** The IPv4 address of server `n`, 1 to 65 534: all of them answer ping. */
  host(n: number): string
  /** The IPv6 address of server `n`. */
  host6(n: number): string
  /** Runs a command to its end and hands back its standard output. Rejects when it exits with anything but 0. */
  exec(place: Place, command: string, ...args: string[]): Promise<string>
  /** Starts a command and leaves it running; it is killed with the world at the latest. */
  spawn(place: Place, command: string, ...args: string[]): ChildProcess
  /** Starts a TypeScript file of the repository in Node, with `@pintail/core` taken from its sources. */
  node(place: Place, file: string, ...args: string[]): ChildProcess
  /** Runs a TypeScript file to its end and hands back what it printed, parsed as one JSON value. */
  json<T>(place: Place, file: string, ...args: string[]): Promise<T>
  /** Opens a TCP port on all servers at once; every other port refuses. Ends with the returned function. */
  listenTcp(port: number): Promise<() => Promise<void>>
  /**
   * The prober's own network: `down` takes its interface away, so that it has no route; `cut` pulls the cable, so that
   * what it sends goes nowhere; `up` mends both.
   */
  proberLink(state: 'up' | 'down' | 'cut'): Promise<void>
  /** Ends every process of the world and removes it. Twice is harmless. */
  destroy(): Promise<void>
}

let worlds = 0

/**
 * Makes a world of its own; several may exist at once. It is removed by `destroy()`, and also when this process ends in
 * any other way, kill -9 included: a guardian process waits for the end of a pipe that only this process holds.
 */
export async function makeWorld(): Promise<World> {
  worlds += 1
  const id = `pintail-${process.pid}-${worlds}`
  const namespaces = { prober: `${id}-prober`, hosts: `${id}-hosts` } as const
  // The guardian comes first: whatever fails below is cleaned up.
  const guardian = watchOver(Object.values(namespaces))
  const destroy = async () => {
    if (guardian.exitCode !== null) return
    const gone = once(guardian, 'exit')
    guardian.ref()
    guardian.stdin?.end()
    await gone
  }
  const enter = (place: Place, ...command: string[]) => ['netns', 'exec', namespaces[place], ...command]
  const exec = async (place: Place, ...command: string[]) =>
    (await run('ip', enter(place, ...command), { maxBuffer: 64 * 1024 * 1024 })).stdout
  const spawnIn = (place: Place, ...command: string[]) => spawn('ip', enter(place, ...command), { stdio: ['pipe', 'pipe', 'inherit'] })
  const node = (file: string, args: string[]) => [
    process.execPath,
    '--conditions=@pintail/source',
    join(import.meta.dirname, '..', file),
    ...args,
  ]
  const link = new Link(exec)
  try {
    await lay(namespaces, exec)
    await link.set('up')
  } catch (error) {
    await destroy()
    throw error
  }
  return {
    namespaces,
    faults: faultsIn((script) => nft(namespaces.hosts, script)),
    host: (n) => `10.99.${inRange(n) >> 8}.${n & 255}`,
    host6: (n) => `fd99::${inRange(n).toString(16)}`,
    exec,
    spawn: spawnIn,
    node: (place, file, ...args) => spawnIn(place, ...node(file, args)),
    json: async (place, file, ...args) => JSON.parse(await exec(place, ...node(file, args))),
    listenTcp: async (port) => {
      const script = `require('node:net').createServer((one) => one.on('error', () => {}).resume())
        .listen({ host: '::', port: ${port}, backlog: 4096 }, () => console.log('ready'))`
      const child = spawnIn('hosts', process.execPath, '-e', script)
      await firstLine(child)
      return () => end(child)
    },
    proberLink: (state) => link.set(state),
    destroy,
    [Symbol.asyncDispose]: destroy,
  }
}

function inRange(n: number): number {
  if (Number.isInteger(n) && n >= 1 && n <= 65_534) return n
  throw new RangeError(`there is no server ${n}: 1 to 65534`)
}

/** Removes the namespaces, and whatever runs in them, as soon as its standard input ends. */
function watchOver(names: readonly string[]): ChildProcess {
  const script = `cat > /dev/null
    for name; do ip netns pids "$name" 2> /dev/null | xargs -r kill -9; ip netns delete "$name" 2> /dev/null; done`
  // A session of its own, so that Ctrl-C at the terminal ends the lab and not its guardian.
  const guardian = spawn('sh', ['-c', script, 'guardian', ...names], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  guardian.unref()
  ;(guardian.stdin as { unref?: () => void } | null)?.unref?.()
  return guardian
}

async function lay(names: Record<Place, string>, exec: World['exec']): Promise<void> {
  await run('ip', ['netns', 'add', names.prober])
  await run('ip', ['netns', 'add', names.hosts])
  const ends = ['netns', names.prober, 'type', 'veth', 'peer', 'name', 'h0', 'netns', names.hosts]
  await run('ip', ['link', 'add', 'p0', ...ends])
  for (const place of ['prober', 'hosts'] as const) await exec(place, 'ip', 'link', 'set', 'lo', 'up')
  await exec('hosts', 'ip', 'address', 'add', '10.98.0.1/24', 'dev', 'h0')
  await exec('hosts', 'ip', 'address', 'add', 'fd98::1/64', 'dev', 'h0', 'nodad')
  // A local route: the kernel answers for each address in it.
  await exec('hosts', 'ip', 'route', 'add', 'local', '10.99.0.0/16', 'dev', 'lo')
  await exec('hosts', 'ip', 'route', 'add', 'local', 'fd99::/64', 'dev', 'lo')
  // Linux says "unreachable" a few times a second at most; a lab wants to hear it every time.
  await exec('hosts', 'sysctl', '-qw', 'net.ipv4.icmp_ratelimit=0', 'net.ipv4.icmp_msgs_per_sec=100000')
  await nft(names.hosts, tables)
}

/** The prober's interface. Its addresses and routes are lost with it, and are laid anew each time. */
class Link {
  readonly #exec: World['exec']
  constructor(exec: World['exec']) {
    this.#exec = exec
  }
  async set(state: 'up' | 'down' | 'cut'): Promise<void> {
    const ip = (place: Place, ...args: string[]) => this.#exec(place, 'ip', ...args)
    await ip('hosts', 'link', 'set', 'h0', state === 'cut' ? 'down' : 'up')
    await ip('prober', 'link', 'set', 'p0', state === 'down' ? 'down' : 'up')
    if (state !== 'up') return
    // IPv6 addresses go with the interface, on either side.
    await ip('hosts', 'address', 'replace', 'fd98::1/64', 'dev', 'h0', 'nodad')
    await ip('prober', 'address', 'replace', '10.98.0.2/24', 'dev', 'p0')
    await ip('prober', 'address', 'replace', 'fd98::2/64', 'dev', 'p0', 'nodad')
    await ip('prober', 'route', 'replace', '10.99.0.0/16', 'via', '10.98.0.1')
    await ip('prober', 'route', 'replace', 'fd99::/64', 'via', 'fd98::1')
    // What the kernel has learnt of a dead neighbour would cost the first packet.
    await ip('prober', 'neighbour', 'flush', 'dev', 'p0')
    await ip('hosts', 'neighbour', 'flush', 'dev', 'h0')
    for (const gateway of ['10.98.0.1', 'fd98::1']) await this.#answers(gateway)
  }
  async #answers(gateway: string): Promise<void> {
    for (let left = 20; ; left -= 1) {
      try {
        return void (await this.#exec('prober', 'ping', '-n', '-c', '1', '-W', '0.2', gateway))
      } catch (error) {
        if (left === 0) throw error
      }
    }
  }
}

const tables = `
table inet pintail {
  set down4 { type ipv4_addr; flags timeout; }
  set down6 { type ipv6_addr; flags timeout; }
  set half4 { type ipv4_addr; }
  set half6 { type ipv6_addr; }
  set udp4 { type ipv4_addr . inet_service; }
  set udp6 { type ipv6_addr . inet_service; }
  set tcp4 { type ipv4_addr . inet_service; }
  set tcp6 { type ipv6_addr . inet_service; }
  set unreachable4 { type ipv4_addr; }
  chain before {
    type filter hook prerouting priority -300; policy accept;
    ip daddr @down4 drop
    ip6 daddr @down6 drop
    ip daddr @half4 numgen random mod 100 < 50 drop
    ip6 daddr @half6 numgen random mod 100 < 50 drop
    ip daddr . udp dport @udp4 drop
    ip6 daddr . udp dport @udp6 drop
    ip daddr . tcp dport @tcp4 drop
    ip6 daddr . tcp dport @tcp6 drop
  }
  chain arrived {
    type filter hook input priority 0; policy accept;
    ip daddr @unreachable4 reject with icmp type host-unreachable
  }
}`

async function nft(namespace: string, script: string): Promise<void> {
  const child = spawn('ip', ['netns', 'exec', namespace, 'nft', '-f', '-'], { stdio: ['pipe', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said += chunk
  })
  child.stdin.end(script)
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`nft: ${said.trim()}`)
}

function faultsIn(apply: (script: string) => Promise<void>): Fault {
  // What was put into which set for which host.
  const elements = new Map<string, { readonly set: string; readonly key: string; readonly host: string }>()
  const add = async (kind: string, hosts: readonly string[], port = '', timeout = '') => {
    const added = hosts.map((host) => ({ set: `${kind}${host.includes(':') ? 6 : 4}`, key: `${host}${port}`, host }))
    for (const one of added) elements.set(`${one.set} ${one.key}`, one)
    await apply(added.map(({ set, key }) => `add element inet pintail ${set} { ${key}${timeout} }`).join('\n'))
  }
  return {
    outage: (hosts, forMs) => add('down', hosts, '', forMs === undefined ? '' : ` timeout ${Math.round(forMs)}ms`),
    loss50: (hosts) => add('half', hosts),
    dropUdp: (hosts, port) => add('udp', hosts, ` . ${port}`),
    dropTcp: (hosts, port) => add('tcp', hosts, ` . ${port}`),
    unreachable: (hosts) => add('unreachable', hosts),
    heal: async (hosts) => {
      const ended = [...elements].filter(([, { host }]) => !hosts || hosts.includes(host))
      for (const [name] of ended) elements.delete(name)
      // Added before it is deleted: nft refuses to delete what has timed out by itself.
      const lines = ended.flatMap(([, { set, key }]) => ['add', 'delete'].map((verb) => `${verb} element inet pintail ${set} { ${key} }`))
      if (lines.length > 0) await apply(lines.join('\n'))
    },
  }
}

/** The first line that a child prints. Rejects when it ends before. */
export async function firstLine(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new Error('the child has no standard output')
  for await (const line of createInterface({ input: child.stdout })) return line
  throw new Error('the child ended without a word')
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}
