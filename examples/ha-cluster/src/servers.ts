// PostgreSQL and the broker, each of this cluster alone: in a temporary folder, on a free port of loopback.
import { spawnSync } from 'node:child_process'
import { chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { Piece } from './piece.ts'
import type { Programs } from './programs.ts'

export interface Reached {
  readonly piece: Piece
  readonly port: number
}

/** Made anew, started, and answering. */
export async function startPostgres({ postgres, user }: Programs, folder: string): Promise<Reached> {
  const data = join(folder, 'postgres')
  mkdirSync(data, { mode: 0o700 })
  if (user.uid !== undefined && user.gid !== undefined) chownSync(data, user.uid, user.gid)
  const made = spawnSync(join(postgres, 'initdb'), ['-D', data, '-U', 'pintail', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'], {
    ...user,
    encoding: 'utf8',
  })
  if (made.status !== 0) throw new Error(`PostgreSQL could not be set up: ${made.stderr || made.error}`)
  const port = await freePort()
  const settings = ['listen_addresses=127.0.0.1', `port=${port}`, 'unix_socket_directories=', 'max_connections=100']
  const piece = new Piece({
    name: 'PostgreSQL',
    command: join(postgres, 'postgres'),
    args: ['-D', data, ...settings.flatMap((one) => ['-c', one])],
    user,
    logFile: join(folder, 'postgres.log'),
  })
  piece.start()
  await answers(port, piece)
  return { piece, port }
}

/** With JetStream, which keeps its streams in a folder, so that a restart loses nothing. */
export async function startNats({ nats }: Programs, folder: string): Promise<Reached> {
  const port = await freePort()
  const config = join(folder, 'nats-server.conf')
  const lines = [`listen: "127.0.0.1:${port}"`, `jetstream { store_dir: ${JSON.stringify(join(folder, 'nats'))} }`]
  writeFileSync(config, `${lines.join('\n')}\n`)
  const piece = new Piece({ name: 'NATS', command: nats, args: ['-c', config], logFile: join(folder, 'nats.log') })
  piece.start()
  await answers(port, piece)
  return { piece, port }
}

/** Until the port can be connected to. */
export async function answers(port: number, piece: Piece, host = '127.0.0.1'): Promise<void> {
  for (;;) {
    if (await isOpen(port, host)) return
    if (!piece.isAlive) throw new Error(`${piece.name} ended at once; see its log`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

export function isOpen(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host, timeout: 1000 })
    const end = (is: boolean): void => {
      socket.destroy()
      resolve(is)
    }
    socket
      .once('connect', () => end(true))
      .once('error', () => end(false))
      .once('timeout', () => end(false))
  })
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}
