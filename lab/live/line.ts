import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A network between a client and the server, which breaks when it is told to. */
export interface Line {
  readonly port: number
  /** Every connection breaks, in the middle of whatever it carries. */
  cut(): void
  /** For so long nothing comes through, and nobody is told: what the server writes waits in buffers. */
  stall(ms: number): void
  close(): Promise<void>
}

/** @param target where the server listens now; asked for each connection */
export async function makeLine(target: () => number): Promise<Line> {
  const pairs = new Set<readonly [Socket, Socket]>()
  const timers = new Set<NodeJS.Timeout>()
  const server = createServer((near) => {
    const far = connect(target(), '127.0.0.1')
    const pair = [near, far] as const
    pairs.add(pair)
    const end = (): void => {
      pairs.delete(pair)
      near.destroy()
      far.destroy()
    }
    for (const socket of pair) socket.on('error', end).on('close', end)
    near.pipe(far)
    far.pipe(near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = (): void => {
    // As a router does that has lost its table: nobody says goodbye.
    for (const [near, far] of pairs) {
      near.resetAndDestroy()
      far.resetAndDestroy()
    }
  }
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    stall(ms) {
      const held = [...pairs]
      for (const [near, far] of held) {
        far.unpipe(near)
        far.pause()
      }
      const timer = setTimeout(() => {
        timers.delete(timer)
        for (const [near, far] of held) if (!far.destroyed && !near.destroyed) far.pipe(near)
      }, ms)
      timers.add(timer)
    },
    async close() {
      for (const timer of timers) clearTimeout(timer)
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}
