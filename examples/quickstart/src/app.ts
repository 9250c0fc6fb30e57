/** The wiring: a world, an engine over it, and what a person may do. Views are fed from here and know no engine. */
import {
  allOf,
  createPintail,
  type DecisionRecord,
  errorText,
  icmp,
  isPintailError,
  type Pintail,
  type PintailEvent,
  type Policy,
  type PolicyInput,
  type ServerId,
  systemClock,
  tcp,
} from '@pintail/core'
import { moverOf, registryOf } from './adapter.ts'
import type { Settings } from './args.ts'
import { type Durable, keeping, restore } from './durable.ts'
import { type Outage, Outages } from './outages.ts'
import { count, type Tone } from './text.ts'
import type { Mover } from './why.ts'
import { type Entry, Narrator } from './words.ts'
import { createWorld, type World } from './world.ts'

/** Fast, so that an outage fits into a coffee break; the defaults are calmer (see the README). */
const policy = {
  registryRefreshMs: 250,
  detect: {
    checkIntervalMs: 500,
    pingTimeoutMs: 1000,
    // On loopback only this machine is slow, and a busy one is no dead server: those refuse at once.
    latencyThresholdMs: 1000,
    recoveryThreshold: 2,
    confirm: { intervalMs: 100, durationMs: 1500, timeoutMs: 1000 },
  },
  guards: { recheckMs: 200 },
  // Two calls at once for a target: a small panel's pace, at which one can watch.
  // A day of grace, for clients that are slow to follow, would outlive the story.
  migration: { concurrencyPerTarget: 2, timeoutMs: 2000, backoffMs: 250, backoffMaxMs: 1000, retryUnplacedMs: 1000, revokeGraceMs: 3000 },
} as const satisfies PolicyInput

export interface Opening extends Pick<Settings, 'mode'> {
  /** Where everything is kept; null: it ends with the process. */
  readonly durable: Durable | null
}

/** What a view is told. */
export interface View {
  entry(entry: Entry): void
  /** Someone has moved or failed to. */
  progress(outage: Outage, at: number): void
  decided(decision: DecisionRecord): void
  /** The first user of an outage has moved: why there. */
  explained(decision: DecisionRecord, mover: Mover): void
}

export class App {
  readonly world: World
  readonly pintail: Pintail
  /** `icmp and tcp`, or what is left of it on this machine. */
  readonly probing: string
  readonly startedAt = systemClock.now()
  readonly outages = new Outages()
  /** Users on each server before the newest kill. */
  before: ReadonlyMap<string, number> = new Map()
  readonly #narrator: Narrator
  #view: View | null = null
  /** Decisions of which one user has been explained already. */
  readonly #explained = new Set<string>()

  readonly #durable: Durable | null

  private constructor(world: World, { mode, durable }: Opening, hasPing: boolean) {
    this.world = world
    this.#durable = durable
    const kept = durable?.load()
    if (kept) {
      restore(world, kept)
      this.before = new Map(kept.before)
    }
    const lasting = <T extends object>(port: T): T => (durable ? keeping(port, () => durable.save(world, this.before)) : port)
    this.probing = hasPing ? 'icmp and tcp' : 'tcp alone (there is no usable ping here)'
    this.pintail = createPintail({
      registry: lasting(registryOf(world.books)),
      mover: lasting(moverOf(world.books, (id) => world.alive(id))),
      ...(durable && { store: durable.stores.store, leases: durable.leases }),
      // Both must pass: on loopback a dead server still answers ping, as a real one whose VPN has died.
      probers: [hasPing ? allOf(icmp(), tcp()) : tcp()],
      policy: { ...policy, mode },
    })
    this.#narrator = new Narrator(
      () => this.pintail.status(),
      (entry) => this.#view?.entry(entry),
    )
    this.pintail.on('*', (event) => this.#take(event))
  }

  /** Opens the world. The engine is still to be started. @throws Error if no port is free */
  static async open(opening: Opening): Promise<App> {
    const app = new App(await createWorld(), opening, await pingWorks())
    // What an earlier run has told is part of the outages, and told to nobody again.
    for await (const event of opening.durable?.told() ?? []) app.outages.take(event)
    return app
  }

  /** From now on this view is told everything. */
  show(view: View): void {
    this.#view = view
  }

  get policy(): Policy {
    return this.pintail.policy.get().policy
  }

  get serverIds(): string[] {
    return [...this.world.books.servers.keys()]
  }

  note(tag: string, tone: Tone, text: string): void {
    this.#view?.entry({ at: systemClock.now(), tag, tone, text })
  }

  #take(event: PintailEvent): void {
    this.outages.take(event)
    this.#narrator.take(event)
    if (event.type === 'connection.moved' || event.type === 'connection.move_failed') {
      const outage = this.outages.of(event.data.fromServerId)
      if (outage) this.#view?.progress(outage, event.at)
      if (outage && event.type === 'connection.moved') void this.#explain(outage, event.data)
    } else if (event.type === 'decision.made') void this.#decided(event.data.decisionId)
  }

  async #decided(id: string): Promise<void> {
    // The first decision of an outage; later ones only place whoever was left.
    if (this.outages.list.every(({ decisionId }) => decisionId !== id)) return
    const decision = await this.pintail.decision(id)
    this.#view?.decided(decision)
  }

  /** In the words of the decision: users are no part of it, so he is found by what he needs. */
  async #explain({ decisionId }: Outage, { connectionId, toServerId: to }: { connectionId: string; toServerId: string }): Promise<void> {
    const user = this.world.books.users.get(connectionId)
    if (decisionId === null || !user || this.#explained.has(decisionId)) return
    this.#explained.add(decisionId)
    this.#view?.explained(await this.pintail.decision(decisionId), { user: { id: user.id, region: user.region, needs: user.needs }, to })
  }

  // ------------------------------------------------------------------------------------------------ what a person does

  kill(id: string): void {
    const { books } = this.world
    this.before = new Map(this.serverIds.map((server) => [server, books.homes(server).length]))
    this.outages.killed(id, systemClock.now())
    this.note('KILL', 'bad', `${id}: its listener is closed; ${count(books.homes(id).length, 'user')} on it`)
    this.world.kill(id)
    this.#durable?.save(this.world, this.before)
  }

  async revive(id: string): Promise<void> {
    // What is owed by a dead server is told before it is back.
    this.flush()
    await this.world.revive(id)
    this.#durable?.save(this.world, this.before)
    this.outages.revived(id, systemClock.now())
    this.note('revive', 'good', `${id} listens again`)
  }

  async toggle(index: number): Promise<void> {
    const id = this.serverIds[index]
    if (id === undefined) return
    if (this.world.alive(id)) this.kill(id)
    else await this.revive(id)
  }

  async pause(): Promise<void> {
    if (this.pintail.status().pauses.length > 0) await this.pintail.resume()
    else await this.pintail.pause('all', { reason: 'somebody pressed p' })
  }

  async approve(): Promise<void> {
    const waiting = this.pintail.status().evacuations.filter(({ status }) => status === 'suggested')
    for (const { id } of waiting) await this.pintail.evacuations.approve(id)
    if (waiting.length === 0) this.note('note', 'quiet', 'nothing waits for approval')
  }

  async switchMode(): Promise<void> {
    const { policy, version } = this.pintail.policy.get()
    const mode = policy.mode['server-down'] === 'auto' ? 'suggest' : 'auto'
    await this.pintail.policy.update({ mode }, { ifVersion: version })
    const meaning = mode === 'auto' ? 'new incidents are acted on at once' : 'new evacuations wait for approval'
    this.note('mode', 'busy', `${mode}: ${meaning}`)
  }

  /** Tells what was held back to be told together. */
  flush(): void {
    this.#narrator.flush()
  }

  /** Leaves nothing behind, so that the process ends by itself. */
  async stop(): Promise<void> {
    await this.pintail.stop()
    this.flush()
    this.world.close()
    await this.#durable?.stores.close()
  }
}

/** One real ping to this machine: says more than looking for a file on the PATH. */
async function pingWorks(): Promise<boolean> {
  const target = { serverId: 'this-machine' as ServerId, host: '127.0.0.1', port: null, packets: 1, timeoutMs: 1000 }
  try {
    const { received } = await icmp().probe(target, { signal: AbortSignal.timeout(3000) })
    return received > 0
  } catch (error) {
    if (isPintailError(error, 'prober_unavailable') || isPintailError(error, 'aborted')) return false
    throw new Error(`ping: ${errorText(error)}`, { cause: error })
  }
}
