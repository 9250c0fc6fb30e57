// One server with many users dies. How long do the moves take, against the least that they could take?
//
// The ideal is measured in the same run: the same mover (5 ms a call), 100 calls in flight, and nothing around them.
// The engine's time is that from the decision to the last outcome kept: write-ahead, reservations, events and all.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type SqliteStores, sqliteStores } from '@pintail/adapters/sqlite'
import { type ConnectionMover, createPintail, memoryRegistry, type Prober } from '@pintail/core'
import { type Bench, type Emit, median } from './harness.ts'

const users = 10_000
const inFlight = 100
const moverMs = 5
const targets = 20
const runs = 9

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

async function bare(): Promise<number> {
  const begun = performance.now()
  let left = users
  const worker = async () => {
    while (left > 0) {
      left--
      await pause(moverMs)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  return performance.now() - begun
}

/** Where its state is: null is its own memory. */
async function engine(stores: SqliteStores | null): Promise<{ movesMs: number; wholeMs: number }> {
  const servers = Array.from({ length: targets + 1 }, (_, index) => ({ id: `s${index}`, host: `10.0.0.${index + 1}`, capacity: users }))
  const registry = memoryRegistry({ servers, connections: { s0: Array.from({ length: users }, (_, index) => ({ id: `c${index}` })) } })
  let dead = false
  const prober: Prober = {
    name: 'static',
    probe: async ({ serverId, packets }) => {
      const received = dead && serverId === 's0' ? 0 : packets
      return { sent: packets, received, rttMs: Array.from({ length: received }, () => 1) }
    },
  }
  const mover: ConnectionMover = {
    move: async ({ connection, to }) => {
      await pause(moverMs)
      registry.assign({ id: connection.rawId }, to.id)
    },
  }
  const pintail = createPintail({
    registry,
    mover,
    probers: [prober],
    ...(stores && { store: stores.store, leases: stores.leases }),
    policy: {
      mode: 'auto',
      registryRefreshMs: 1000,
      detect: { checkIntervalMs: 100, confirm: { intervalMs: 20, durationMs: 100 } },
      guards: { recheckMs: 50 },
      migration: { concurrency: inFlight, concurrencyPerTarget: inFlight },
    },
  })
  let decided = 0
  let lastMove = 0
  let moved = 0
  const done = new Promise<void>((resolve) => {
    pintail.on('decision.made', () => {
      decided ||= performance.now()
    })
    pintail.on('connection.moved', () => {
      lastMove = performance.now()
      moved++
    })
    pintail.on('evacuation.completed', () => resolve())
  })
  await pintail.start()
  await pause(400)
  dead = true
  await done
  const wholeMs = performance.now() - decided
  await pintail.stop()
  if (moved !== users || registry.on('s0').length > 0) throw new Error(`${moved} of ${users} moved, ${registry.on('s0').length} left`)
  return { movesMs: lastMove - decided, wholeMs }
}

async function inFile(): Promise<{ movesMs: number; wholeMs: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'pintail-bench-'))
  const stores = sqliteStores({ path: join(folder, 'state.db') })
  try {
    return await engine(stores)
  } finally {
    await stores.close()
    rmSync(folder, { recursive: true })
  }
}

async function compare(emit: Emit, name: string, aim: string, run: typeof inFile, progress: (text: string) => void): Promise<void> {
  const ideals: number[] = []
  const moves: number[] = []
  const wholes: number[] = []
  const ratios: number[] = []
  for (let count = 0; count <= runs; count++) {
    const ideal = await bare()
    const { movesMs, wholeMs } = await run()
    progress(
      `${name}, run ${count} of ${runs}${count === 0 ? ' (not counted)' : ''}: ideal ${ideal.toFixed(0)} ms, engine ${movesMs.toFixed(0)} ms`,
    )
    if (count === 0) continue
    ideals.push(ideal)
    moves.push(movesMs)
    wholes.push(wholeMs)
    ratios.push(movesMs / ideal)
  }
  const peer = 'bare mover loop'
  emit({ case: name, metric: 'total_over_ideal', value: median(ratios), unit: 'ratio', peer, ratio: median(ratios), aim })
  emit({ case: name, metric: 'moves_ms', value: median(moves), unit: 'ms', peer, ratio: median(moves) / median(ideals) })
  emit({ case: name, metric: 'until_completed_ms', value: median(wholes), unit: 'ms', peer, ratio: median(wholes) / median(ideals) })
}

const evacuate: Bench = async (emit, { progress, args }) => {
  const wants = (name: string) => args.length === 0 || args.includes(name)
  if (wants('10k')) await compare(emit, '10k', 'value<=1.10', () => engine(null), progress)
  if (wants('10k-sqlite')) await compare(emit, '10k-sqlite', 'value<=1.30', inFile, progress)
}

export default evacuate
