import assert from 'node:assert/strict'
import type { Pintail, PintailEvent, PintailEvents } from '../../index.ts'
import type { ConnectionInput, GuardState, JournalEntry, ServerInput } from '../../ports.ts'
import type { Json, Migration, Mobility, Move, PolicyInput, ServerReport, ServerStatus } from '../../vocabulary.ts'
import { toWire } from '../../wire.ts'
import { inject } from './faults.ts'
import type { FaultKind, Violation } from './kinds.ts'
import { policyOf, type Setup } from './setup.ts'
import { Simulation } from './simulate.ts'
import type { MoverCall, TrueServer, TrueUser } from './world.ts'

/** The world of a scenario: everything not named is well, and there to be relied on. */
export interface ScenarioWorld {
  /** How many (`s1`, `s2` …), or what is special about each. Default 4. */
  readonly servers?: number | readonly (Partial<ServerInput> & { readonly id: string })[]
  /** Users on each server (`s1-1`, `s1-2` …): one number for `s1` alone, or one for each. Default 4 on `s1`. */
  readonly users?: number | Readonly<Record<string, number>>
  /** By user id. */
  readonly mobility?: Readonly<Record<string, Mobility>>
  /** What else the registry says of a user, by id. */
  readonly rows?: Readonly<Record<string, Partial<ConnectionInput>>>
  /** For servers without their own. Default 20. */
  readonly capacity?: number
  /** Default `{ mode: 'auto' }`. */
  readonly policy?: PolicyInput
  /** Default: enforced fencing, confirmation `applied`, all optional methods. */
  readonly panel?: Partial<Setup['panel']>
  /** Default: tells its load, sets a status. */
  readonly registry?: Partial<Setup['registry']>
  /** Vantages elsewhere, by name: the region that each sees from, or null. Each looks every two seconds. Default none. */
  readonly vantages?: Readonly<Record<string, string | null>>
  /** A guard source of the host, which allows everything until it is told to forbid. Default false. */
  readonly guards?: boolean
  /** Somebody who tells users where they are now. Default false. */
  readonly notifier?: boolean
  /** Default 1. */
  readonly engines?: number
  readonly seed?: number
}

export interface Scenario {
  /** The rule that it protects. */
  readonly rule: string
  readonly run: () => Promise<void>
}

/** What a scenario does to its world and sees of it. The judge of the simulator watches all of it. */
export class Stage {
  readonly #sim: Simulation
  readonly events: PintailEvent[] = []
  /** What has reached the users, oldest first. */
  readonly delivered: { readonly user: string; readonly server: string; readonly access: Json }[] = []
  /** What was asked of the mover and of the notifier, oldest first. */
  readonly calls: { readonly name: MoverCall; readonly move: Move | null; readonly at: number }[] = []
  /** `level: message` of every log line. */
  readonly lines: string[] = []

  constructor(sim: Simulation) {
    this.#sim = sim
    sim.onEvent = (event) => this.events.push(event)
    sim.onLine = (level, message) => this.lines.push(`${level}: ${message}`)
    sim.world.onCall = (name, move) => this.calls.push({ name, move, at: sim.world.now })
    sim.world.onDelivery = ({ connection, to }, access) => this.delivered.push({ user: connection.id, server: to.id, access })
  }

  // -------------------------------------------------------------------------------------------------- what is done

  /** Lets virtual time pass. */
  seconds(many: number): Promise<void> {
    return this.#sim.advance(many * 1000)
  }

  minutes(many: number): Promise<void> {
    return this.seconds(many * 60)
  }

  /** Whoever leads now. */
  get engine(): Pintail {
    return this.#sim.engine()
  }

  /** One that waits to lead. */
  get standby(): Pintail {
    const found = this.#sim.standby()
    assert.ok(found, 'there is only one engine in this world')
    return found
  }

  kill(server: string): void {
    this.#health(server, (it) => {
      it.alive = false
    })
  }

  revive(server: string): void {
    this.#health(server, (it) => {
      it.alive = true
    })
  }

  /** Its answers take this much longer, milliseconds. 0: as before. */
  slow(server: string, ms: number): void {
    this.#health(server, (it) => {
      it.slowMs = ms
    })
  }

  /** The prober alone cannot reach these any more; null: it reaches all again. */
  unreachable(servers: readonly string[] | null): void {
    for (const server of this.#sim.world.servers.values()) {
      server.reachable = servers === null || !servers.includes(server.id)
      if (!server.reachable) this.#sim.judge.unreachable(server.id)
    }
  }

  /** These cannot be reached from a region any more; all others can. */
  block(region: string, ...servers: readonly string[]): void {
    for (const server of this.#sim.world.servers.values()) this.#sim.world.block(server, region, servers.includes(server.id))
  }

  /** A vantage elsewhere reaches nothing any more, or sends nothing; null: it is well again. */
  vantage(name: string, how: 'lost' | 'silent' | null): void {
    const { lostVantages, silentVantages } = this.#sim.world
    for (const [set, is] of [
      [lostVantages, how === 'lost'],
      [silentVantages, how === 'silent'],
    ] as const)
      if (is) set.add(name)
      else set.delete(name)
  }

  /** The prober loses its whole network, or gets it back. */
  blind(lost: boolean): void {
    this.#sim.world.blind = lost
  }

  /** A fault of the simulator, for so many seconds; it always strikes, or with this share. */
  fault(kind: FaultKind, seconds: number, pick = 0, share = 1): void {
    this.#sim.world.share = share
    // In a campaign this one kills a server, so that there is a status to write; a scenario does that itself.
    if (kind === 'registry.refuses_status') this.#sim.world.open(kind, seconds * 1000)
    else inject(this.#sim, { at: 0, phase: null, kind, pick, lastsMs: seconds * 1000 })
  }

  /** All faults end; dead servers stay dead. */
  heal(): void {
    this.#sim.world.closeAll()
  }

  /** The panel refuses this user wherever he is to go. */
  refuse(...users: readonly string[]): void {
    for (const user of users) this.#sim.world.refusing.add(user)
  }

  /** The leading engine dies as by kill -9 (now, or at its so manieth next call of a port) and is started again. */
  crash(atCall?: number, when: 'before' | 'after' = 'before'): void {
    const process = this.#sim.leader()
    if (atCall === undefined) process?.kill()
    else process?.dieAt(when, atCall)
  }

  /** The leading engine's process stands still. */
  freeze(seconds: number): void {
    const process = this.#sim.leader()
    process?.freeze()
    this.#sim.world.clock.setTimeout(() => process?.thaw(), seconds * 1000)
  }

  /** Calls back at the next entry into this state of any migration, before the engine goes on. */
  when(status: Migration['status'] | 'recovering', then: () => void): void {
    this.#sim.watch(status, then)
  }

  /** Later, in virtual time. */
  after(seconds: number, then: () => void): void {
    this.#sim.world.clock.setTimeout(then, seconds * 1000)
  }

  addUser(id: string, server: string): void {
    this.#sim.world.addUser(id, server, { id })
  }

  removeUser(id: string): void {
    const user = this.user(id)
    user.gone = true
    user.grants.clear()
  }

  hostMoves(id: string, to: string): void {
    this.#sim.hostMoves(this.user(id), to)
  }

  capacity(server: string, capacity: number): void {
    const it = this.server(server)
    it.row = { ...it.row, capacity }
  }

  /** The operator writes a status into the host's own books. */
  status(server: string, status: ServerStatus): void {
    const it = this.server(server)
    it.status = status
    it.statusBy = 'operator'
    it.statusAt = this.#sim.world.now
  }

  remove(server: string): void {
    this.server(server).gone = true
  }

  add(id: string, capacity = 20): void {
    this.#sim.world.addServer({ id, host: `10.9.0.${this.#sim.world.servers.size}`, capacity })
  }

  /** From now on server lists leave out these, and no others. */
  unlist(...servers: readonly string[]): void {
    const { unlisted } = this.#sim.world
    unlisted.clear()
    for (const { id } of servers.map((server) => this.server(server))) unlisted.add(id)
  }

  /** From now on the connections of these cannot be listed, and of all others they can. */
  unlistable(...servers: readonly string[]): void {
    const { unlistable } = this.#sim.world
    unlistable.clear()
    for (const { id } of servers.map((server) => this.server(server))) unlistable.add(id)
  }

  /** Lets virtual time pass until this is so; that it never is is a failed assertion. */
  async until(what: string, isSo: () => boolean, minutes = 5): Promise<void> {
    for (let waited = 0; !isSo() && waited < minutes * 120; waited++) await this.seconds(0.5)
    assert.ok(isSo(), `it never happened that ${what}`)
  }

  /** The leading engine dies at its next call of this method of the mover: before it leaves, or after its effect, before its answer. */
  crashAt(call: MoverCall, when: 'before' | 'after', skip = 0): void {
    this.#sim.leader()?.dieAt(when, skip, call)
  }

  /** These servers cannot be prepared, and the panel says that this is for good. */
  refusePreparation(...servers: readonly string[]): void {
    for (const server of servers) this.#sim.world.unprepared.add(server)
  }

  /** From now on the host's guard forbids, under this name: the optional reasons off all servers, or what is said. */
  forbid(name: string, what: Pick<GuardState, 'forbids' | 'servers'> = {}): void {
    this.#sim.world.forbidden.set(name, { name, active: true, message: `the host says ${name}`, ...what })
  }

  /** What was forbidden under this name is allowed again. */
  allow(name: string): void {
    this.#sim.world.forbidden.delete(name)
  }

  /** The registry says something else of this server from now on. */
  row(server: string, patch: Partial<ServerInput>): void {
    const it = this.server(server)
    it.row = { ...it.row, ...patch } as TrueServer['row']
  }

  /** The leading engine is stopped as by a deployment, and another one is started. */
  redeploy(): void {
    this.#sim.restart()
  }

  /**
   * For so long, this is what calls of one method of the mover meet; `instead` may make the call, or not, and answer what
   * it likes, or never.
   */
  meet(call: MoverCall, seconds: number, instead: (work: () => Promise<unknown>, move: Move | null) => Promise<unknown>): void {
    const { world } = this.#sim
    const { between } = world
    const until = world.now + seconds * 1000
    world.between = (name, move, work) => (name === call && world.now < until ? instead(work, move) : between(name, move, work))
  }

  // ------------------------------------------------------------------------------------------------- what is seen

  server(id: string): TrueServer {
    const found = this.#sim.world.servers.get(id)
    assert.ok(found, `there is no server ${id} in this world`)
    return found
  }

  user(id: string): TrueUser {
    const found = this.#sim.world.users.get(id)
    assert.ok(found, `there is no user ${id} in this world`)
    return found
  }

  /** Who is at home there, by the host's books. */
  on(server: string): string[] {
    return this.#sim.world.on(server).map(({ id }) => id)
  }

  home(user: string): string {
    return this.user(user).home
  }

  /** Servers on which a grant of this user exists. */
  grants(user: string): string[] {
    return [...this.user(user).grants.keys()]
  }

  /** Payloads of one type, oldest first. */
  told<T extends keyof PintailEvents>(type: T): PintailEvents[T][] {
    return this.events.flatMap((event) => (event.type === type ? [event.data as PintailEvents[T]] : []))
  }

  /** The data of all events of one type as they go over the wire, oldest first. */
  wired(type: keyof PintailEvents): Record<string, unknown>[] {
    return this.events.flatMap((event) => (event.type === type ? [{ ...toWire(event).data }] : []))
  }

  /** Migrations as the store has them, oldest first. */
  get migrations(): Migration[] {
    return [...this.#sim.judge.migrations.values()]
  }

  /** One of them. */
  migration(index = 0): Migration {
    const found = this.migrations[index]
    assert.ok(found, `there are only ${this.migrations.length} migrations`)
    return found
  }

  /** `old → new` of every change of a migration's state, oldest first; of one migration or of all. */
  steps(id?: string): string[] {
    const changes = this.told('migration.status_changed').filter((change) => id === undefined || change.id === id)
    return changes.map(({ oldStatus, newStatus }) => `${oldStatus} → ${newStatus}`)
  }

  get decisions() {
    return [...this.#sim.judge.decisions.values()]
  }

  get evacuations() {
    return [...this.#sim.judge.evacuations.values()]
  }

  get incidents() {
    return [...this.#sim.judge.incidents.values()]
  }

  get revokes() {
    return [...this.#sim.judge.revokes.values()]
  }

  /** A server as the leading engine sees it. */
  report(server: string): ServerReport {
    const found = this.engine.status().servers.find(({ serverId }) => serverId === server)
    assert.ok(found, `the engine knows no server ${server}`)
    return found
  }

  /** The guards that hold the newest incident of a server. */
  held(server: string): string[] {
    return this.incidents.findLast(({ serverId }) => serverId === server)?.heldBy.map(({ guard }) => guard) ?? []
  }

  /** Milliseconds since this world began. */
  get now(): number {
    return this.#sim.world.now
  }

  /** Places that the leading engine holds for somebody, on all servers together. */
  get reserved(): number {
    return this.engine.status().servers.reduce((sum, { reserved }) => sum + reserved, 0)
  }

  /** Keys with which `move` was called, oldest first. */
  get keys(): string[] {
    return this.calls.flatMap(({ name, move }) => (name === 'move' && move ? move.key : []))
  }

  /** Every entry that the store has kept. */
  async journal(): Promise<readonly JournalEntry[]> {
    const ctx = { signal: new AbortController().signal }
    return (await this.#sim.world.store.readJournal({ after: 0, limit: 1_000_000 }, ctx)).entries
  }

  /** Ids of the entries that have reached the audit log. */
  get audited(): ReadonlySet<string> {
    return this.#sim.world.logged
  }

  /** Effective moves of the panel so far. */
  get moved(): number {
    return this.#sim.judge.moved
  }

  /** What became of calls that were made at once: the answers, and the refusals. */
  async atOnce<T>(
    ...calls: readonly Promise<T>[]
  ): Promise<{ readonly answers: T[]; readonly refusals: { code: string; message: string }[] }> {
    const settled = await this.answer(Promise.allSettled(calls))
    return {
      answers: settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])),
      refusals: settled.flatMap((one) => (one.status === 'rejected' ? [one.reason] : [])),
    }
  }

  /** A refusal with its code, or a failed assertion. */
  async refused(call: Promise<unknown>): Promise<{ readonly code: string; readonly message: string; readonly remedy?: string }> {
    let error: unknown
    call.then(
      () => {
        error = new Error('it was not refused')
      },
      (thrown: unknown) => {
        error = thrown
      },
    )
    for (let waited = 0; error === undefined && waited < 60; waited++) await this.seconds(1)
    assert.ok(typeof error === 'object' && error !== null && 'code' in error, `expected a refusal, got ${String(error)}`)
    return error as { code: string; message: string }
  }

  /** The answer to a call, while virtual time passes. */
  async answer<T>(call: Promise<T>): Promise<T> {
    let done = false
    const finish = (): void => {
      done = true
    }
    call.then(finish, finish)
    for (let waited = 0; !done && waited < 120; waited++) await this.seconds(0.5)
    return call
  }

  #health(id: string, change: (server: TrueServer) => void): void {
    const server = this.server(id)
    this.#sim.world.noteHealth(server)
    change(server)
    this.#sim.world.noteHealth(server)
  }
}

/**
 * One rule, shown in one small world. Whatever it asserts itself, the simulator's judge watches I1 to I14 all the way, and
 * at its end the engines must stop without leaving anything behind.
 */
export function scenario(rule: string, world: ScenarioWorld, play: (stage: Stage) => Promise<void>): Scenario {
  return {
    rule,
    async run() {
      const sim = new Simulation({ setup: setupOf(world), steps: [] })
      for (const [id, row] of Object.entries(world.rows ?? {})) {
        const user = sim.world.users.get(id)
        assert.ok(user, `there is no user ${id} in this world`)
        sim.world.addUser(id, user.home, { ...user.row, ...row })
      }
      const stage = new Stage(sim)
      const violations: readonly Violation[] = await sim.play(() => play(stage))
      assert.deepEqual(
        violations.map(({ invariant, at, message }) => `${invariant} at ${at / 1000} s: ${message}`),
        [],
      )
    },
  }
}

function setupOf({
  servers = 4,
  users = 4,
  mobility = {},
  capacity = 20,
  policy,
  panel,
  registry,
  vantages = {},
  guards = false,
  notifier = false,
  engines = 1,
  seed = 1,
}: ScenarioWorld): Setup {
  const rows = typeof servers === 'number' ? Array.from({ length: servers }, (_, index) => ({ id: `s${index + 1}` })) : servers
  const others = Object.entries(vantages).map(([name, region]) => ({ name, region, everyMs: 2000 }))
  const given: PolicyInput = policy ?? { mode: 'auto' }
  const counts = typeof users === 'number' ? { [rows[0]?.id ?? 's1']: users } : users
  return {
    seed,
    servers: rows.map((row, index) => ({ host: `10.0.0.${index + 1}`, capacity, ...row }) as Setup['servers'][number]),
    users: Object.entries(counts).flatMap(([server, many]) =>
      Array.from({ length: many }, (_, index) => {
        const id = `${server}-${index + 1}`
        return { id, server, mobility: mobility[id] ?? 'free', region: null }
      }),
    ),
    policy: others.length === 0 ? given : { ...given, detect: { ...given.detect, vantages: policyOf(others) } },
    ...(others.length > 0 && { vantages: others }),
    panel: {
      latencyMs: 100,
      fencing: 'enforced',
      confirmation: 'applied',
      has: ['prepare', 'complete', 'locate', 'verify', 'rollback'],
      ...panel,
    },
    registry: { tellsLoad: true, setsStatus: true, mixesIds: false, ...registry },
    guards,
    notifier,
    engines,
    rudeListeners: false,
    troubleMs: 0,
    calmMs: 0,
  }
}
