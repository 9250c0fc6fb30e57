import { type Clock, PintailError } from '@pintail/core'
import {
  type Access,
  admit,
  comparePairs,
  memoryBook,
  type Pair,
  type RegionHandler,
  type RegionWorker,
  regionWorker,
  type WorkerBook,
} from '../../../packages/adapters/src/regions/index.ts'
import type { TrueServer, TrueUser, World } from '../../../packages/core/src/testing/sim/world.ts'
import type { Kept, VirtualBroker } from './transport.ts'

/** Who hears what becomes of commands on servers. */
export interface EffectWitness {
  granted(serverId: string, user: TrueUser, pair: Pair): void
  /** Before the grant is gone. */
  revoked(serverId: string, user: TrueUser, pair: Pair): void
  /** An effect that is older than one before it. */
  stale(serverId: string, connectionId: string, pair: Pair, newest: Pair): void
}

interface Station {
  readonly server: TrueServer
  readonly region: string
  book: WorkerBook
  worker: RegionWorker | null
  /** Rises with each death: what was under way before comes to nothing. */
  life: number
  /** The broker cannot be reached from here. */
  isCut: boolean
  /** Down by itself, while the server lives. */
  isDown: boolean
  pumpAt: number | null
  readonly newest: Map<string, Pair>
}

const ackWaitMs = 30_000
const atOnce = 16

/** A worker for each server, of the real rules, books and syncs; it dies with its server. */
export class VirtualWorkers {
  readonly stations = new Map<string, Station>()
  readonly #world: World
  readonly #broker: VirtualBroker
  readonly #witness: EffectWitness
  readonly #timeoutMs: number
  /** A mutant: the worker takes what is older than what it has seen. */
  readonly #takesStale: boolean
  readonly #skewMs: number

  constructor(world: World, broker: VirtualBroker, witness: EffectWitness, timeoutMs: number, takesStale: boolean) {
    this.#world = world
    this.#broker = broker
    this.#witness = witness
    this.#timeoutMs = timeoutMs
    this.#takesStale = takesStale
    // In every third world the clocks of the workers are minutes off.
    this.#skewMs = world.setup.seed % 3 === 0 ? (world.setup.seed % 2 === 0 ? 1 : -1) * 300_000 : 0
    broker.onKept = ({ serverId }) => this.#wake(serverId)
  }

  station(serverId: string): Station | null {
    const server = this.#world.servers.get(serverId)
    if (!server) return null
    const found = this.stations.get(serverId)
    if (found) return found
    const region = server.row.region ?? 'none'
    const made: Station = {
      server,
      region,
      book: memoryBook(),
      worker: null,
      life: 0,
      isCut: false,
      isDown: false,
      pumpAt: null,
      newest: new Map(),
    }
    this.stations.set(serverId, made)
    return made
  }

  isUp({ server, isCut, isDown }: Station): boolean {
    return server.alive && !server.gone && !isCut && !isDown
  }

  /** What it was doing comes to nothing; what it remembers stays, unless it is wiped. */
  kill(station: Station, wiped = false): void {
    station.worker?.stop()
    station.worker = null
    station.life++
    if (!wiped) return
    station.book = memoryBook()
    // Who remembers nothing cannot know what is old, until a sync has taught him.
    station.newest.clear()
  }

  start(station: Station): void {
    station.isDown = false
    this.#tell(station, 'worker.started', { bookIsEmpty: station.book.isEmpty, servers: [station.server.id] })
    this.#wake(station.server.id)
  }

  #tell({ region }: Station, type: 'worker.started' | 'stream.made_again', data: object): void {
    const at = new Date(this.#world.clock.now()).toISOString()
    this.#broker.tell({ v: 1, id: crypto.randomUUID(), type, region, serverId: null, at, data: data as never })
  }

  streamIsGone(): void {
    this.#broker.wipe()
    for (const station of this.stations.values()) if (this.isUp(station)) this.#tell(station, 'stream.made_again', {})
  }

  #wake(serverId: string): void {
    const station = this.station(serverId)
    if (station && station.pumpAt === null) this.#pumpIn(station, 1)
  }

  #pumpIn(station: Station, ms: number): void {
    station.pumpAt = this.#world.now + ms
    this.#world.clock.setTimeout(() => {
      station.pumpAt = null
      this.#pump(station)
    }, ms)
  }

  #pump(station: Station): void {
    const world = this.#world
    const mine = this.#broker.stream.filter(({ serverId }) => serverId === station.server.id)
    if (mine.length === 0) return
    if (!this.isUp(station)) {
      // A worker that has died with its server begins anew when that is back.
      if (!station.server.alive && station.worker) this.kill(station)
      this.#pumpIn(station, 1000)
      return
    }
    let out = mine.filter(({ isOut }) => isOut).length
    for (const kept of mine) {
      if (out >= atOnce) break
      if (kept.isOut || kept.dueAt > world.now) continue
      out++
      kept.isOut = true
      kept.deliveries++
      void this.#deliver(station, kept)
    }
    const nextAt = Math.min(...mine.filter(({ isOut }) => !isOut).map(({ dueAt }) => dueAt), Number.POSITIVE_INFINITY)
    this.#pumpIn(station, Math.max(5, Math.min(1000, nextAt - world.now)))
  }

  async #deliver(station: Station, kept: Kept): Promise<void> {
    const world = this.#world
    const { life } = station
    const clock = this.#clockOf(station, life)
    station.worker ??= this.#workerOf(station, clock)
    // Taken back by the broker if it is not acknowledged in time.
    const timer = world.clock.setTimeout(() => {
      kept.isOut = false
      this.#wake(station.server.id)
    }, ackWaitMs)
    const { server, region, worker } = station
    const handled = await worker.handle(kept.bytes, {
      address: { region, serverId: server.id },
      deliveries: kept.deliveries,
      arrivedAt: clock.now(),
      storedAt: kept.storedAt,
      ageMs: world.clock.now() - kept.storedAt,
    })
    if (station.life !== life || !server.alive) return
    // It dies between its effect and its word about it.
    if (world.strikes('mover.fails_halfway', 0.3)) {
      this.kill(station)
      world.clock.setTimeout(() => this.start(station), 1 + world.random() * 5000)
      station.isDown = true
      return
    }
    timer.cancel()
    const { result, replyTo, next, delayMs } = handled
    // Cut off: it cannot say that it has done it, and is asked again.
    if (station.isCut) {
      kept.isOut = false
      kept.dueAt = world.now + 1000
      return
    }
    if (result && replyTo !== null) this.#broker.answer(replyTo, result)
    if (next === 'ack' || next === 'dead') this.#broker.drop(kept)
    else {
      kept.isOut = false
      kept.dueAt = world.now + delayMs
      this.#wake(server.id)
    }
  }

  #clockOf(station: Station, life: number): Clock {
    const { clock } = this.#world
    return {
      now: () => clock.now() + this.#skewMs,
      setTimeout: (callback, ms) =>
        clock.setTimeout(() => {
          if (station.life === life) callback()
        }, ms),
      defer: (callback) => clock.defer?.(callback),
    }
  }

  #workerOf(station: Station, clock: Clock): RegionWorker {
    return regionWorker({
      region: station.region,
      servers: [station.server.id],
      handler: this.#handlerOf(station),
      book: station.book,
      clock,
      random: this.#world.random,
      timeoutMs: Math.max(100, Math.min(600_000, this.#timeoutMs)),
      tell: (event) => this.#broker.tell(event),
      ...(this.#takesStale && {
        admit: (...args: Parameters<typeof admit>) => {
          const admission = admit(...args)
          return typeof admission === 'object' && admission.rejected === 'STALE' ? 'apply' : admission
        },
      }),
    })
  }

  #handlerOf(station: Station): RegionHandler {
    const world = this.#world
    const { life, server } = station
    const lives = async (): Promise<void> => {
      await world.wait(1 + world.random() * world.setup.panel.latencyMs)
      // Nobody hears any more what a dead one would have to say.
      if (station.life !== life || !server.alive || server.gone) await new Promise(() => {})
    }
    const effect = (access: Access, what: 'grant' | 'revoke', change: (user: TrueUser) => void): void => {
      const { connectionId, token, epoch } = access
      const newest = station.newest.get(connectionId)
      if (newest && comparePairs(access, newest) < 0) this.#witness.stale(server.id, connectionId, { token, epoch }, newest)
      else station.newest.set(connectionId, { token, epoch })
      const user = world.users.get(connectionId)
      if (user && !user.gone) change(user)
      else if (what === 'grant') throw new PintailError('rejected', 'there is no such user')
    }
    return {
      grant: async (access) => {
        await lives()
        if (world.refusing.has(access.connectionId)) throw new PintailError('rejected', 'the server does not want him')
        effect(access, 'grant', (user) => this.#witness.granted(server.id, user, access))
        return { server: server.id }
      },
      revoke: async (access) => {
        await lives()
        const fails = world.strikes('mover.fails_complete') || world.strikes('mover.fails_rollback')
        if (fails && world.random() < 0.5) throw new Error('could not revoke')
        effect(access, 'revoke', (user) => {
          this.#witness.revoked(server.id, user, access)
          user.grants.delete(server.id)
          user.hidden.delete(server.id)
        })
        if (fails) throw new Error('could not revoke, or could I?')
      },
      list: async () => {
        await lives()
        const here = [...world.users.values()].filter(({ gone, grants }) => !gone && grants.has(server.id))
        return here.map(({ id }) => ({ connectionId: id, payload: { id } }))
      },
      check: async ({ connectionId }) => {
        await lives()
        return !world.strikes('mover.fails_verify') && world.users.get(connectionId)?.grants.has(server.id) === true
      },
    }
  }
}
