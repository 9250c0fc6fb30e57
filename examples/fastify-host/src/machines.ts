import { createServer, type Server } from 'node:net'

/** Stands for VPN servers, so that the example runs on one machine: a TCP listener for each, on 127.0.0.x. */
export class Machines {
  readonly #listeners = new Map<number, Server>()

  /** Switches one on; answers its port. `port` 0: any free one. */
  async plug(id: number, port: number): Promise<number> {
    const listener = createServer((socket) => socket.destroy())
    await new Promise<void>((resolve, reject) => listener.once('error', reject).listen(port, hostOf(id), resolve))
    this.#listeners.set(id, listener)
    const address = listener.address()
    return typeof address === 'object' && address ? address.port : port
  }

  /** Pulls its plug: connections are refused from now on. */
  async unplug(id: number): Promise<void> {
    const listener = this.#listeners.get(id)
    this.#listeners.delete(id)
    if (listener) await new Promise((resolve) => listener.close(resolve))
  }

  async unplugAll(): Promise<void> {
    for (const id of [...this.#listeners.keys()]) await this.unplug(id)
  }
}

export const hostOf = (id: number): string => `127.0.0.${id + 1}`
