/**
 * `down` takes the interface of the prober away, so that it has no route; `cut` pulls the cable, so that what it sends
 * goes nowhere; `up` mends both.
 */
export type LinkState = 'up' | 'down' | 'cut'

type Exec = (place: string, command: string, ...args: string[]) => Promise<string>

/** A vantage's own cable to the router. Its addresses and routes are lost with an interface, and are laid anew each time. */
export class Link {
  readonly #exec: Exec
  readonly #place: string
  readonly #number: number

  /** @param number 0–255, another one for each vantage: it is part of the interfaces' names and of the addresses */
  constructor(exec: Exec, place: string, number: number) {
    this.#exec = exec
    this.#place = place
    this.#number = number
  }

  /** On the vantage's side, and on the router's. */
  get interfaces(): { readonly near: string; readonly far: string } {
    return { near: `p${this.#number}`, far: `v${this.#number}` }
  }

  async set(state: LinkState): Promise<void> {
    const { near, far } = this.interfaces
    const [v4, v6] = [`10.98.${this.#number}`, `fd98:0:0:${this.#number.toString(16)}:`]
    const ip = (place: string, ...args: string[]) => this.#exec(place, 'ip', ...args)
    await ip('router', 'link', 'set', far, state === 'cut' ? 'down' : 'up')
    await ip(this.#place, 'link', 'set', near, state === 'down' ? 'down' : 'up')
    if (state !== 'up') return
    // IPv6 addresses go with the interface, on either side.
    await ip('router', 'address', 'replace', `${v4}.1/24`, 'dev', far)
    await ip('router', 'address', 'replace', `${v6}:1/64`, 'dev', far, 'nodad')
    await ip(this.#place, 'address', 'replace', `${v4}.2/24`, 'dev', near)
    await ip(this.#place, 'address', 'replace', `${v6}:2/64`, 'dev', near, 'nodad')
    await ip(this.#place, 'route', 'replace', '10.99.0.0/16', 'via', `${v4}.1`)
    await ip(this.#place, 'route', 'replace', 'fd99::/64', 'via', `${v6}:1`)
    // What the kernel has learnt of a dead neighbour would cost the first packet.
    await ip(this.#place, 'neighbour', 'flush', 'dev', near)
    await ip('router', 'neighbour', 'flush', 'dev', far)
    for (const gateway of [`${v4}.1`, `${v6}:1`]) await this.#answers(gateway)
  }

  async #answers(gateway: string): Promise<void> {
    for (const end = performance.now() + 60_000; ; ) {
      try {
        return void (await this.#exec(this.#place, 'ping', '-n', '-c', '1', '-W', '0.2', gateway))
      } catch (error) {
        if (performance.now() > end) throw error
      }
    }
  }
}
