// The VPN servers, as far as a prober sees them: a TCP port on a loopback address of its own for each, opened and closed.
import { createServer, type Server, type Socket } from 'node:net'
import type { ServerRow } from './words.ts'

export class Town implements AsyncDisposable {
  readonly rows: readonly ServerRow[]
  readonly #open = new Map<string, Server>()
  readonly #sockets = new Set<Socket>()

  private constructor(rows: readonly ServerRow[]) {
    this.rows = rows
  }

  /** @param regions each with so many servers: `de-1`, `de-2` … */
  static async open(regions: readonly string[], serversEach: number): Promise<Town> {
    // A port that is free on one address may be taken on another one: then with the next.
    for (let tries = 0; ; tries++) {
      const port = 20_000 + ((process.pid * 37 + tries * 101) % 10_000)
      const rows = regions.flatMap((region, at) =>
        Array.from({ length: serversEach }, (_, index) => ({
          id: `${region}-${index + 1}`,
          host: `127.44.${at + 1}.${index + 1}`,
          port,
          region,
        })),
      )
      const town = new Town(rows)
      try {
        for (const { id } of rows) await town.revive(id)
        return town
      } catch (error) {
        await town[Symbol.asyncDispose]()
        if (tries === 20) throw error
      }
    }
  }

  get dead(): string[] {
    return this.rows.map(({ id }) => id).filter((id) => !this.#open.has(id))
  }

  async revive(id: string): Promise<void> {
    const row = this.rows.find((one) => one.id === id)
    if (!row || this.#open.has(id)) return
    const server = createServer((socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket)).on('error', () => {})
      socket.end()
    })
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(row.port, row.host, resolve))
    this.#open.set(id, server)
  }

  async kill(id: string): Promise<void> {
    const server = this.#open.get(id)
    this.#open.delete(id)
    if (server) await new Promise((resolve) => server.close(resolve))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    for (const id of [...this.#open.keys()]) await this.kill(id)
  }
}
