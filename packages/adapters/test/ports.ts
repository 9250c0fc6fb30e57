import { createServer } from 'node:net'

/** Below the ports that systems give to whoever asks for any (from 32768 on, elsewhere from 49152): only who names one of these gets it. */
const [lowest, highest] = [12_000, 32_000]
const blockSize = 32
let block = 0
let used = blockSize

/**
 * A port on loopback that is free, and stays this process's own while nobody listens there, as between two starts of a server. A port that the
 * system has just chosen may be somebody's a moment later. The first port of each block is listened on as long as this process lives, so
 * that no other test has the rest of it.
 */
export async function ownPort(): Promise<number> {
  for (;;) {
    if (++used >= blockSize) {
      ;[block, used] = [await takeBlock(), 1]
    }
    const port = block + used
    if (await isFree(port)) return port
  }
}

async function takeBlock(): Promise<number> {
  for (;;) {
    const first = lowest + blockSize * Math.floor((Math.random() * (highest - lowest)) / blockSize)
    if (await listening(first, true)) return first
  }
}

const isFree = (port: number): Promise<boolean> => listening(port, false)

function listening(port: number, stays: boolean): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => {
      server.unref()
      if (stays) resolve(true)
      else server.close(() => resolve(true))
    })
  })
}
