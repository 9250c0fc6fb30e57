import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** What the way to the server does to a connection that begins now. */
export interface Weather {
  /** Cut after so many bytes of the answer. */
  readonly cutAfter?: number
  /** Held back for so long, milliseconds. */
  readonly delayMs?: number
  /** Pieces are cut up at so many bytes. */
  readonly pieces?: number
  /** Kept until so many bytes are together, as a proxy that buffers does. */
  readonly buffer?: number
  /** Nothing comes through, and nobody says so. */
  readonly swallow?: boolean
}

export interface TcpProxy {
  readonly url: string
  readonly connections: number
  /** Cuts what is open. */
  cut(): void
  close(): Promise<void>
}

/** A proxy on loopback between a client and a server, which does to each connection what it is told. */
export async function proxyTo(port: () => number, weather: (connection: number) => Weather): Promise<TcpProxy> {
  const sockets = new Set<Socket>()
  let count = 0
  const server = createServer((client) => {
    const { cutAfter = Number.POSITIVE_INFINITY, delayMs = 0, pieces, buffer = 0, swallow = false } = weather(++count)
    const upstream = connect(port(), '127.0.0.1')
    const end = (): void => {
      client.destroy()
      upstream.destroy()
      sockets.delete(client)
      sockets.delete(upstream)
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', end).on('close', end)
    }
    client.pipe(upstream)
    let sent = 0
    let kept: Buffer[] = []
    const send = (data: Buffer): void => {
      const part = data.subarray(0, Math.max(0, cutAfter - sent))
      sent += part.length
      const size = pieces ?? Math.max(1, part.length)
      for (let at = 0; at < part.length; at += size) client.write(part.subarray(at, at + size))
      if (sent >= cutAfter) client.end(() => end())
    }
    upstream.on('data', (data: Buffer) => {
      if (swallow) return
      kept.push(data)
      if (kept.reduce((sum, one) => sum + one.length, 0) < buffer) return
      const whole = Buffer.concat(kept)
      kept = []
      if (delayMs === 0) send(whole)
      else setTimeout(() => client.destroyed || send(whole), delayMs)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return count
    },
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
