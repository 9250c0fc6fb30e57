// What can be done to the lab's servers: rules of nftables in the router before them, and nothing outside of it.
import { setTimeout as sleep } from 'node:timers/promises'

/** Faults compose: each has its own rule, and a packet must pass all of them. `heal` undoes all of it. */
export interface Fault {
  /** Everything to these hosts is dropped; with `healsAfterMs` (whole milliseconds) for that long only. */
  outage(hosts: readonly string[], healsAfterMs?: number): Promise<void>
  /** So many percent (whole, 1–99) of the packets to these hosts are dropped, by chance. */
  loss(hosts: readonly string[], percent: number): Promise<void>
  /** Every second packet to each of these hosts is dropped, the first one too: exactly half, without chance. */
  half(hosts: readonly string[]): Promise<void>
  /** Packets to these hosts take so much longer (whole milliseconds, 1–60 000). What they answer does not. */
  delay(hosts: readonly string[], ms: number): Promise<void>
  /** Dead for `downMs`, alive for `upMs`, and so on until it is healed. */
  flap(host: string, upMs: number, downMs: number): Promise<void>
  /** Only UDP to this port is dropped: WireGuard is dead, while ping and TCP answer. */
  dropUdp(hosts: readonly string[], port: number): Promise<void>
  /** Only TCP to this port is dropped: silence, not a refusal. */
  dropTcp(hosts: readonly string[], port: number): Promise<void>
  /** The router says "host unreachable" in their stead. */
  unreachable(hosts: readonly string[]): Promise<void>
  /** Nothing that this vantage sends to these hosts arrives; others reach them. */
  block(vantage: string, hosts: readonly string[]): Promise<void>
  /** What this vantage sends arrives, and the hosts' answers to it are lost: the way is broken in one direction. */
  mute(vantage: string, hosts: readonly string[]): Promise<void>
  /** Ends all faults of these hosts; without hosts, of all. Rejects with what went wrong in a flapping since. */
  heal(hosts?: readonly string[]): Promise<void>
}

/** The rules that a world begins with. What comes back from a delay has been through `before` already. */
export const tables = `
table inet pintail {
  set down4 { type ipv4_addr; flags timeout; }
  set down6 { type ipv6_addr; flags timeout; }
  set flapped4 { type ipv4_addr; flags timeout; }
  set flapped6 { type ipv6_addr; flags timeout; }
  set udp4 { type ipv4_addr . inet_service; }
  set udp6 { type ipv6_addr . inet_service; }
  set tcp4 { type ipv4_addr . inet_service; }
  set tcp6 { type ipv6_addr . inet_service; }
  set unreachable4 { type ipv4_addr; }
  set unreachable6 { type ipv6_addr; }
  set blocked4 { type ifname . ipv4_addr; }
  set blocked6 { type ifname . ipv6_addr; }
  set muted4 { type ifname . ipv4_addr; }
  set muted6 { type ifname . ipv6_addr; }
  map lossy4 { type ipv4_addr : verdict; }
  map lossy6 { type ipv6_addr : verdict; }
  map late4 { type ipv4_addr : mark; }
  map late6 { type ipv6_addr : mark; }
  chain before {
    type filter hook prerouting priority -300; policy accept;
    iifname "late*" accept
    ip daddr @down4 drop
    ip6 daddr @down6 drop
    ip daddr @flapped4 drop
    ip6 daddr @flapped6 drop
    iifname . ip daddr @blocked4 drop
    iifname . ip6 daddr @blocked6 drop
    ip daddr . udp dport @udp4 drop
    ip6 daddr . udp dport @udp6 drop
    ip daddr . tcp dport @tcp4 drop
    ip6 daddr . tcp dport @tcp6 drop
    ip daddr vmap @lossy4
    ip6 daddr vmap @lossy6
  }
  chain sorted {
    type filter hook prerouting priority -150; policy accept;
    iifname "late*" accept
    meta mark set ip daddr map @late4
    meta mark set ip6 daddr map @late6
  }
  chain passed {
    type filter hook forward priority 0; policy accept;
    ip daddr @unreachable4 oifname "r0" reject with icmp type host-unreachable
    ip6 daddr @unreachable6 oifname "r0" reject with icmpv6 type addr-unreachable
    oifname . ip saddr @muted4 drop
    oifname . ip6 saddr @muted6 drop
  }
}`

export interface FaultTools {
  /** Runs a script of nft in the router. */
  readonly apply: (script: string) => Promise<void>
  /** The interface on the router's side of a vantage's link. */
  readonly interfaceOf: (vantage: string) => string
  /** Makes sure that packets with this mark come so many milliseconds later. */
  readonly delayMarked: (ms: number) => Promise<void>
}

interface Element {
  readonly set: string
  readonly key: string
  readonly host: string
  readonly value: string
}

const command = (verb: string, { set, key }: Element, more = '') => `${verb} element inet pintail ${set} { ${key}${more} }`

function whole(what: string, value: number, most: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= most) return value
  throw new RangeError(`${what} must be a whole number from 1 to ${most}, not ${value}`)
}

/** What was put into which set for which host. */
class Elements {
  readonly #known = new Map<string, Element>()
  readonly #apply: FaultTools['apply']
  /** One script after another: a fault that is set is the last word on its host. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(apply: FaultTools['apply']) {
    this.#apply = apply
  }

  run(lines: () => readonly string[]): Promise<void> {
    const done = this.#last.then(async () => {
      const script = lines()
      if (script.length > 0) await this.#apply(script.join('\n'))
    })
    this.#last = done.catch(() => {})
    return done
  }

  /** `key` and `value` may hold nft's own words around the host. */
  put(kind: string, hosts: readonly string[], { key = (host: string) => host, value = () => '' }: Partial<Putting> = {}): Promise<void> {
    return this.run(() =>
      hosts.flatMap((host) => {
        const element = { set: `${kind}${family(host)}`, key: key(host), host, value: value(host) }
        const name = `${element.set} ${element.key}`
        const known = this.#known.get(name)
        this.#known.set(name, element)
        // An element of a map cannot be changed.
        return [...(known ? this.#remove(known) : []), command('add', element, element.value)]
      }),
    )
  }

  take(kind: string | null, hosts?: readonly string[]): Promise<void> {
    return this.run(() => {
      const ended = [...this.#known].filter(
        ([, { set, host }]) => (!hosts || hosts.includes(host)) && (!kind || set === `${kind}${family(host)}`),
      )
      for (const [name] of ended) this.#known.delete(name)
      return ended.flatMap(([, element]) => this.#remove(element))
    })
  }

  /** Added before it is deleted: nft refuses to delete what has timed out by itself. */
  #remove(element: Element): string[] {
    return [command('add', element, element.value.startsWith(' timeout') ? '' : element.value), command('delete', element)]
  }
}

interface Putting {
  readonly key: (host: string) => string
  readonly value: (host: string) => string
}

const family = (host: string) => (host.includes(':') ? 6 : 4)

export function faultsIn({ apply, interfaceOf, delayMarked }: FaultTools): Fault {
  const elements = new Elements(apply)
  const chains = new Set<string>()
  const flapping = new Map<string, Flapping>()

  /** A chain of one rule, made once; packets are sent through it by `lossy`. */
  const chain = async (name: string, rule: string): Promise<string> => {
    if (!chains.has(name)) await elements.run(() => [`add chain inet pintail ${name}`, `add rule inet pintail ${name} ${rule}`])
    chains.add(name)
    return name
  }
  const by = (vantage: string) => ({ key: (host: string) => `"${interfaceOf(vantage)}" . ${host}` })
  const onPort = (port: number) => ({ key: (host: string) => `${host} . ${port}` })

  return {
    outage: (hosts, forMs) => elements.put('down', hosts, { value: () => (forMs === undefined ? '' : ` timeout ${Math.round(forMs)}ms`) }),
    loss: async (hosts, percent) => {
      const name = await chain(`loss${whole('percent', percent, 99)}`, `numgen random mod 100 < ${percent} drop`)
      await elements.put('lossy', hosts, { value: () => ` : jump ${name}` })
    },
    half: async (hosts) => {
      // A counter for each: hosts that are probed by turns would share out one.
      const nameOf = (host: string) => `half_${host.replace(/\W/g, '_')}`
      for (const host of hosts) await chain(nameOf(host), 'numgen inc mod 2 == 0 drop')
      await elements.put('lossy', hosts, { value: (host) => ` : jump ${nameOf(host)}` })
    },
    delay: async (hosts, ms) => {
      await delayMarked(whole('ms', ms, 60_000))
      await elements.put('late', hosts, { value: () => ` : ${ms}` })
    },
    flap: async (host, upMs, downMs) => {
      await flapping.get(host)?.stop()
      const one = new Flapping(elements, host, upMs, downMs)
      flapping.set(host, one)
      await one.down()
    },
    dropUdp: (hosts, port) => elements.put('udp', hosts, onPort(port)),
    dropTcp: (hosts, port) => elements.put('tcp', hosts, onPort(port)),
    unreachable: (hosts) => elements.put('unreachable', hosts),
    block: (vantage, hosts) => elements.put('blocked', hosts, by(vantage)),
    mute: (vantage, hosts) => elements.put('muted', hosts, by(vantage)),
    heal: async (hosts) => {
      const ended = [...flapping].filter(([host]) => !hosts || hosts.includes(host))
      for (const [host] of ended) flapping.delete(host)
      const stopped = await Promise.allSettled(ended.map(([, one]) => one.stop()))
      await elements.take(null, hosts)
      for (const one of stopped) if (one.status === 'rejected') throw one.reason
    },
  }
}

class Flapping {
  readonly #elements: Elements
  readonly #host: string
  readonly #downMs: number
  readonly #end = new AbortController()
  readonly #loop: Promise<void>
  readonly #first: Promise<void>

  constructor(elements: Elements, host: string, upMs: number, downMs: number) {
    this.#elements = elements
    this.#host = host
    this.#downMs = downMs
    this.#first = this.#kill()
    this.#loop = this.#turns(upMs)
    // Whoever stops it hears of it.
    this.#loop.catch(() => {})
  }

  /** Resolves when it is down for the first time. */
  down(): Promise<void> {
    return this.#first
  }

  /** The kernel revives it, so that it is not dead for longer when this process stands still. */
  #kill(): Promise<void> {
    return this.#elements.put('flapped', [this.#host], { value: () => ` timeout ${this.#downMs}ms` })
  }

  async #turns(upMs: number): Promise<void> {
    const { signal } = this.#end
    for (await this.#first; !signal.aborted; await this.#kill()) {
      await sleep(this.#downMs + upMs, undefined, { signal, ref: false }).catch(() => {})
      if (signal.aborted) return
    }
  }

  async stop(): Promise<void> {
    this.#end.abort()
    await this.#loop
  }
}
