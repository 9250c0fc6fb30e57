import { createConnection, createServer, type Socket } from 'node:net'

export interface Relay {
  readonly port: number
  /** `down`: nothing is taken and everything is cut. `silent`: what is asked arrives, no answer comes back. */
  turn(state: 'up' | 'down' | 'silent'): void
  /** Cuts everything that is open now, once. */
  cut(): void
  close(): Promise<void>
}

/** Stands before a server on loopback, as the network does. */
export async function relayTo(target: number): Promise<Relay> {
  let state: 'up' | 'down' | 'silent' = 'up'
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    if (state === 'down') return void client.destroy()
    const upstream = createConnection({ port: target, host: '127.0.0.1' })
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one)
      one.on('error', () => {})
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
    }
    client.on('data', (bytes) => upstream.write(bytes))
    upstream.on('data', (bytes) => {
      if (state !== 'silent') client.write(bytes)
    })
  })
  const cut = (): void => {
    for (const one of sockets) one.destroy()
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    turn: (next) => {
      // Who was not answered stays so: an answer that is lost does not come later.
      if (next === 'down' || (state === 'silent' && next === 'up')) cut()
      state = next
    },
    cut,
    close: () => {
      cut()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
