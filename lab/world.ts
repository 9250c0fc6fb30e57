// The lab's world: network namespaces of this machine. One has the prober, one answers for 65,000 VPN servers, and a
// router between them does all the harm; each further vantage has its own. No container, no other machine, nothing
// outside of them is changed. Needs root, ip and nft.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { end, firstLine } from './children.ts'
import { type Fault, faultsIn, tables } from './faults.ts'
import { Link, type LinkState } from './link.ts'
import { delayer } from './tun.ts'

const run = promisify(execFile)

/** Where a command runs: beside the prober, on the machine that stands for all servers, between them, or at a further vantage. */
export type Place = 'prober' | 'hosts' | 'router' | (string & {})

export interface World extends AsyncDisposable {
  /** The names of the namespaces by place, for `ip netns exec`. */
  readonly namespaces: Readonly<Record<string, string>>
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
  /** Another prober's place, with a link of its own to all servers. A name of lower-case letters and digits, at most 20. */
  addVantage(name: string): Promise<void>
  /** A vantage's own network; `prober` is the first vantage. */
  link(vantage: string, state: LinkState): Promise<void>
  /** The network of the first vantage. */
  proberLink(state: LinkState): Promise<void>
  /** Has this file or folder removed with the world, however it ends. */
  leaves(path: string): void
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
  const namespaces: Record<string, string> = {}
  const links = new Map<string, Link>()
  // The guardian comes first: whatever fails below is cleaned up.
  const guardian = watchOver()
  const destroy = async () => {
    if (guardian.exitCode !== null || guardian.signalCode !== null) return
    await faults.heal().catch(() => {})
    const gone = once(guardian, 'exit')
    guardian.ref()
    guardian.stdin?.end()
    await gone
  }
  const namespaceOf = (place: Place): string => {
    const name = namespaces[place]
    if (name === undefined) throw new RangeError(`there is no place ${place} in this world: addVantage makes one`)
    return name
  }
  const linkOf = (vantage: string): Link => {
    const link = links.get(vantage)
    if (link) return link
    throw new RangeError(`there is no vantage ${vantage} in this world: addVantage makes one`)
  }
  const enter = (place: Place, ...command: string[]) => ['netns', 'exec', namespaceOf(place), ...command]
  const exec = async (place: Place, ...command: string[]) =>
    (await run('ip', enter(place, ...command), { maxBuffer: 64 * 1024 * 1024 })).stdout
  const spawnIn = (place: Place, ...command: string[]) => spawn('ip', enter(place, ...command), { stdio: ['pipe', 'pipe', 'inherit'] })
  const node = (file: string, args: string[]) => [
    process.execPath,
    '--conditions=@pintail/source',
    join(import.meta.dirname, '..', file),
    ...args,
  ]
  const addPlace = async (place: Place) => {
    const name = `${id}-${place}`
    // Told before it is made: the guardian may have to remove it at any moment.
    guardian.stdin?.write(`netns ${name}\n`)
    await run('ip', ['netns', 'add', name])
    namespaces[place] = name
    // A new IPv6 address is not looked for elsewhere first: for a second or two nobody could use it.
    await exec(place, 'sysctl', '-qw', 'net.ipv6.conf.default.accept_dad=0', 'net.ipv6.conf.default.dad_transmits=0')
    await exec(place, 'ip', 'link', 'set', 'lo', 'up')
  }
  const cable = ([place, near]: readonly [Place, string], [other, far]: readonly [Place, string]) =>
    run('ip', ['link', 'add', near, 'netns', namespaceOf(place), 'type', 'veth', 'peer', 'name', far, 'netns', namespaceOf(other)])
  const addVantage = async (place: string) => {
    if (!/^[a-z0-9]{1,20}$/.test(place) || place in namespaces) throw new RangeError(`no name for a further vantage: ${place}`)
    await addPlace(place)
    const link = new Link(exec, place, links.size)
    links.set(place, link)
    const { near, far } = link.interfaces
    await cable([place, near], ['router', far])
    await link.set('up')
  }
  const faults = faultsIn({
    apply: (script) => nft(namespaceOf('router'), script),
    interfaceOf: (vantage) => linkOf(vantage).interfaces.far,
    delayMarked: delayer({ exec: (...command) => exec('router', ...command), spawn: (...command) => spawnIn('router', ...command) }),
  })
  try {
    await addPlace('router')
    await addPlace('hosts')
    await cable(['router', 'r0'], ['hosts', 'h0'])
    await layHosts(exec)
    await nft(namespaceOf('router'), tables)
    await addVantage('prober')
  } catch (error) {
    await destroy()
    throw error
  }
  return {
    namespaces,
    faults,
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
    addVantage,
    link: async (vantage, state) => linkOf(vantage).set(state),
    proberLink: (state) => linkOf('prober').set(state),
    leaves: (path) => void guardian.stdin?.write(`file ${path}\n`),
    destroy,
    [Symbol.asyncDispose]: destroy,
  }
}

function inRange(n: number): number {
  if (Number.isInteger(n) && n >= 1 && n <= 65_534) return n
  throw new RangeError(`there is no server ${n}: 1 to 65534`)
}

/**
 * Removes the namespaces and files that it has been told of, and whatever runs in them, as soon as its standard input
 * ends.
 */
function watchOver(): ChildProcess {
  const script = `files=; names=
    while read -r what name; do case $what in file) files="$files $name";; netns) names="$names $name";; esac; done
    for name in $names; do ip netns pids "$name" 2> /dev/null | xargs -r kill -9; ip netns delete "$name" 2> /dev/null; done
    for name in $files; do rm -rf "$name"; done`
  // A session of its own, so that Ctrl-C at the terminal ends the lab and not its guardian.
  const guardian = spawn('sh', ['-c', script], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  guardian.unref()
  ;(guardian.stdin as { unref?: () => void } | null)?.unref?.()
  return guardian
}

/** The hosts and the way to them. */
async function layHosts(exec: World['exec']): Promise<void> {
  const ip = (place: Place, ...args: string[]) => exec(place, 'ip', ...args)
  for (const [place, device, own] of [
    ['router', 'r0', 1],
    ['hosts', 'h0', 2],
  ] as const) {
    await ip(place, 'link', 'set', device, 'up')
    await ip(place, 'address', 'add', `10.97.0.${own}/24`, 'dev', device)
    await ip(place, 'address', 'add', `fd97::${own}/64`, 'dev', device, 'nodad')
    // Linux says "unreachable" a few times a second at most; a lab wants to hear it every time.
    const often = ['net.ipv4.icmp_ratelimit=0', 'net.ipv4.icmp_msgs_per_sec=100000', 'net.ipv6.icmp.ratelimit=0']
    await exec(place, 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1', 'net.ipv4.conf.all.rp_filter=0', ...often)
  }
  for (const [net, local, own, via] of [
    ['10.99.0.0/16', '10.98.0.0/16', '10.97.0.2', '10.97.0.1'],
    ['fd99::/64', 'fd98::/48', 'fd97::2', 'fd97::1'],
  ] as const) {
    // A local route: the kernel answers for each address in it.
    await ip('hosts', 'route', 'add', 'local', net, 'dev', 'lo')
    await ip('hosts', 'route', 'add', local, 'via', via)
    await ip('router', 'route', 'add', net, 'via', own)
  }
  // Programs may answer from these addresses over IPv6 too, though no interface has them.
  await exec('hosts', 'sysctl', '-qw', 'net.ipv6.ip_nonlocal_bind=1')
}

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
